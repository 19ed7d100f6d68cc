use serde_json::{Value, json};

use super::*;

const END: u32 = 257;

/// Returns a vocabulary of all bytes, one token of several bytes, and an end token.
fn bytes(tokenize: bool) -> Vocabulary {
    let tokens = (0..=255).map(|byte| Token::Text(vec![byte]));
    let more = [Token::Text(b"name".to_vec()), Token::Special("<|end|>".to_owned())];
    let encode = |text: &str| {
        let mut ids: Vec<u32> = Vec::new();
        for part in text.split_inclusive("name") {
            let (plain, name) = part.strip_suffix("name").map_or((part, None), |plain| (plain, Some(256)));
            ids.extend(plain.bytes().map(u32::from).chain(name));
        }
        ids
    };
    Vocabulary::new(tokens.chain(more), tokenize.then_some(Box::new(encode) as _)).unwrap()
}

fn compile(grammar: &Grammar) -> Result<Matcher> {
    Ok(bytes(false).matcher(grammar)?.start(&[END]))
}

/// Returns the number of bytes of `text` that the grammar allows, and true if the text may end there.
fn follow(grammar: &Grammar, text: &str) -> (usize, bool) {
    let mut matcher = compile(grammar).unwrap();
    for (at, byte) in text.bytes().map(u32::from).enumerate() {
        let allowed = match matcher.allowed().unwrap() {
            Next::End => false,
            Next::Forced(forced) => forced[0] == byte,
            Next::Choice(mask) => mask.contains(byte),
        };
        if !allowed {
            return (at, false);
        }
        matcher.accept(byte).unwrap();
    }
    let ends = match matcher.allowed().unwrap() {
        Next::End => true,
        Next::Forced(_) => false,
        Next::Choice(mask) => mask.contains(END),
    };
    (text.len(), ends)
}

fn matches(grammar: &Grammar, text: &str) -> bool {
    follow(grammar, text) == (text.len(), true)
}

fn person() -> Value {
    json!({
        "type": "object",
        "properties": { "name": { "type": "string", "maxLength": 5 }, "age": { "type": "integer", "minimum": 0 } },
        "required": ["name", "age"],
        "additionalProperties": false,
    })
}

#[test]
fn a_schema_allows_what_is_valid_by_it() {
    let grammar = Grammar::JsonSchema(person());
    let valid = [
        r#"{"name":"Ann","age":7}"#,
        r#"{ "name": "", "age": 0 }"#,
        "{\n  \"name\": \"\\u0007é\",\n  \"age\": 12\n}",
    ];
    valid.iter().for_each(|text| assert!(matches(&grammar, text), "{text}"));
    let invalid = [
        r#"{"name":"Antonia","age":7}"#,
        r#"{"age":7,"name":"Ann"}"#,
        r#"{"name":"Ann","age":-1}"#,
        r#"{"name":"Ann","age":07}"#,
        r#"{"name":"Ann"}"#,
        r#"{  "name":"Ann","age":7}"#,
        r#" {"name":"Ann","age":7}"#,
    ];
    invalid.iter().for_each(|text| assert!(!matches(&grammar, text), "{text}"));
}

#[test]
fn objects_that_list_properties_have_no_others() {
    let open = r#"{"a":1,"b":2}"#;
    let one = |more: Value| {
        let mut schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
        schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        schema
    };
    let allows = |schema: Value, text: &str| matches(&Grammar::JsonSchema(schema), text);
    assert!(allows(one(json!({})), r#"{"a":1}"#) && !allows(one(json!({})), open));
    assert!(allows(one(json!({ "additionalProperties": { "type": "integer" } })), open));
    assert!(allows(json!({ "type": "object" }), open));
    assert!(allows(one(json!({ "required": ["a", "b"] })), open));
    let nested =
        json!({ "type": "array", "items": { "$ref": "#/$defs/one" }, "$defs": { "one": one(json!({})) } });
    assert!(allows(nested.clone(), r#"[{"a":1}]"#) && !allows(nested, &format!("[{open}]")));
    let b = json!({ "type": "object", "properties": { "b": { "type": "integer" } }, "required": ["b"] });
    assert!(allows(json!({ "allOf": [one(json!({})), b] }), open));
}

#[test]
fn a_part_of_lark_has_the_same_white_space() {
    let part = Grammar::json_part(&json!({ "type": "array", "x-guidance": { "lenient": true }, "not": {} }));
    let grammar = Grammar::Lark(format!("start: \"<\" json \">\"\njson: {}\n", part.unwrap()));
    assert!(matches(&grammar, "<[1, 2]>") && matches(&grammar, "<[\n 1\n]>"));
    assert!(!matches(&grammar, "<[  1]>") && !matches(&grammar, "<{}>"));
}

#[test]
fn every_json_object_is_an_object() {
    for text in ["{}", r#"{"a":[1,2.5e3,null,{"b":true}]}"#] {
        assert!(matches(&Grammar::JsonObject, text), "{text}");
    }
    for text in ["[]", "1", "{", "{a:1}"] {
        assert!(!matches(&Grammar::JsonObject, text), "{text}");
    }
}

#[test]
fn a_regex_matches_the_whole_text() {
    let grammar = Grammar::Regex("(yes|no)[!?]{0,2}".to_owned());
    assert!(matches(&grammar, "yes") && matches(&grammar, "no!?"));
    assert_eq!(follow(&grammar, "maybe").0, 0);
    assert_eq!(follow(&grammar, "yes!!!").0, 5);
    assert!(!matches(&grammar, "ye"));
}

#[test]
fn a_lark_grammar_may_recurse_and_name_special_tokens() {
    let grammar = Grammar::Lark("start: \"(\" start? \")\"".to_owned());
    assert!(matches(&grammar, "((()))"));
    assert_eq!(follow(&grammar, "(()))").0, 4);
    let mut matcher = compile(&Grammar::Lark("start: \"a\" <|end|> \"b\"".to_owned())).unwrap();
    for token in [u32::from(b'a'), END, u32::from(b'b')] {
        assert_eq!(matcher.allowed().unwrap(), Next::Forced(vec![token]));
        matcher.accept(token).unwrap();
    }
    assert_eq!(matcher.allowed().unwrap(), Next::End);
}

#[test]
fn forced_text_comes_in_the_tokens_of_the_tokenizer() {
    let grammar = Grammar::Regex("her name is (Ann|Eve)".to_owned());
    let mut matcher = bytes(true).matcher(&grammar).unwrap().start(&[END]);
    let Next::Forced(forced) = matcher.allowed().unwrap() else { panic!("nothing is forced") };
    assert_eq!(forced[..5], [b'h'.into(), b'e'.into(), b'r'.into(), b' '.into(), 256]);
    forced.iter().for_each(|&token| matcher.accept(token).unwrap());
}

#[test]
fn a_text_without_choice_ends_by_itself() {
    let mut matcher = bytes(true).matcher(&Grammar::Regex("ok".to_owned())).unwrap().start(&[]);
    let Next::Forced(forced) = matcher.allowed().unwrap() else { panic!("nothing is forced") };
    forced.iter().for_each(|&token| matcher.accept(token).unwrap());
    assert_eq!((forced.len(), matcher.allowed().unwrap()), (2, Next::End));
}

#[test]
fn an_end_token_ends_the_text() {
    let mut matcher = compile(&Grammar::Regex("a+".to_owned())).unwrap();
    matcher.accept(b'a'.into()).unwrap();
    let mut other = matcher.clone();
    matcher.accept(END).unwrap();
    assert_eq!(matcher.allowed().unwrap(), Next::End);
    other.accept(b'a'.into()).unwrap();
    assert!(other.accept(b'b'.into()).is_err());
    assert!(other.allowed().is_err(), "a matcher with a fault does not go on");
}

#[test]
fn invalid_grammars_are_refused_in_one_line() {
    let invalid = [
        Grammar::Regex("(".to_owned()),
        Grammar::Lark("start: unknown".to_owned()),
        Grammar::Lark("begin: \"a\"".to_owned()),
        Grammar::JsonSchema(json!({ "type": "animal" })),
        Grammar::JsonSchema(json!({ "$ref": "#/nowhere" })),
        Grammar::JsonSchema(json!([])),
        Grammar::JsonSchema(json!({ "type": "string", "pattern": "(?=a)b" })),
    ];
    for grammar in invalid {
        let error = compile(&grammar).unwrap_err().to_string();
        assert!(!error.contains('\n') && error.len() <= 400, "{error}");
    }
}

#[test]
fn grammars_that_would_cost_too_much_are_refused() {
    let nested = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({ "items": inner }));
    let chain = |links: usize| {
        let link = |i: usize| (format!("d{i}"), json!({ "$ref": format!("#/$defs/d{}", i + 1) }));
        let mut defs: serde_json::Map<_, _> = (0..links).map(link).collect();
        defs.insert(format!("d{links}"), json!({ "type": "null" }));
        json!({ "$defs": defs, "$ref": "#/$defs/d0" })
    };
    let terminals = |links: usize| {
        let lines: String = (0..links).map(|i| format!("T{i}: T{}\n", i + 1)).collect();
        format!("start: T0\n{lines}T{links}: \"a\"\n")
    };
    let doubled: String = (0..60).map(|i| format!("r{i}: r{} r{}\n", i + 1, i + 1)).collect();
    let dear = [
        Grammar::JsonSchema(nested(101)),
        Grammar::JsonSchema(json!({ "description": "x".repeat(2 << 20) })),
        Grammar::Lark(format!("start: {}\"a\"", "(".repeat(20_000))),
        Grammar::Lark(terminals(20_000)),
        Grammar::Gbnf(format!("root ::= {}\n", "\"a\"? ".repeat(20_000))),
        Grammar::Regex("(".repeat(5_000) + &")".repeat(5_000)),
    ];
    for grammar in dear {
        assert!(compile(&grammar).is_err());
    }
    // These may be refused or not, but they come to an end.
    let heavy = [
        Grammar::JsonSchema(nested(99)),
        Grammar::JsonSchema(chain(5_000)),
        Grammar::Lark(format!("start: {}\"a\"{}", "(".repeat(9_000), ")".repeat(9_000))),
        Grammar::Lark(terminals(9_000)),
        Grammar::Gbnf(format!("root ::= \"(\" root? \")\" {}\n", "[a-b]* ".repeat(4_000))),
        Grammar::Lark(format!("start: r0\n{doubled}r60: \"a\"\n")),
        Grammar::Regex(".*a.{60}.*b.{60}".to_owned()),
        Grammar::Regex("(a{1000}){1000}b{1000}".to_owned()),
    ];
    for grammar in heavy {
        let _ = compile(&grammar);
    }
}
