use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;
use crate::{Grammar, Matcher, Next, Token, Vocabulary};

const END: u32 = 256;

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let bytes = (0..=255).map(|byte| Token::Text(vec![byte]));
    Vocabulary::new(bytes.chain([Token::Special("<think>".to_owned())]), None).unwrap()
});

fn compile(text: &str) -> Matcher {
    let compiled = VOCABULARY.matcher(&Grammar::Gbnf(text.to_owned()));
    compiled.unwrap_or_else(|error| panic!("{error}\n{}", to_lark(text).unwrap())).start(&[END])
}

fn allows(next: &Next, token: u32) -> bool {
    match next {
        Next::End => false,
        Next::Forced(forced) => forced[0] == token,
        Next::Choice(mask) => mask.contains(token),
    }
}

fn matches(grammar: &Matcher, text: &str) -> bool {
    let mut matcher = grammar.start(&[END]);
    for byte in text.bytes().map(u32::from) {
        if !allows(&matcher.allowed().unwrap(), byte) {
            return false;
        }
        matcher.accept(byte).unwrap();
    }
    let next = matcher.allowed().unwrap();
    next == Next::End || allows(&next, END)
}

fn check(grammar: &str, texts: &[(&str, bool)]) {
    let matcher = compile(grammar);
    for (text, valid) in texts {
        assert_eq!(matches(&matcher, text), *valid, "{text:?} by {}", to_lark(grammar).unwrap());
    }
}

#[test]
fn a_grammar_of_json_allows_json() {
    let json = r#"
        root   ::= object
        value  ::= object | array | string | number | ("true" | "false" | "null") ws
        object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
        array  ::= "[" ws ( value ("," ws value)* )? "]" ws
        string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
        number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
        # White space is bounded.
        ws ::= | " " | "\n" [ \t]{0,20}
    "#;
    check(
        json,
        &[
            ("{}", true),
            ("{\"a\": [1, -2.5e3, \"\\u00e9\\n\", {\"b\": null}]}\n", true),
            ("{\"a\": 1", false),
            ("{\"a\": 01}", false),
            ("{\"a\": \"\n\"}", false),
            ("{a: 1}", false),
        ],
    );
}

#[test]
fn what_follows_a_repetition_may_look_like_it() {
    // The white space after a term would swallow the line break.
    let arithmetic = "root ::= (expr \"=\" ws term \"\\n\")+\nexpr ::= term ([-+*/] term)*\n\
        term ::= ident | num | \"(\" ws expr \")\" ws\nident ::= [a-z] [a-z0-9_]* ws\nnum ::= [0-9]+ ws\nws ::= [ \\t\\n]*\n";
    check(
        arithmetic,
        &[("1 +x_1=2\n", true), ("(1*2)=(3)\n\nx=1\n", true), ("1=2", false), ("1+=2\n", false)],
    );
    check("root ::= \"(\" root \")\" | [a-z]* \"z\"", &[("z", true), ("((azz))", true), ("(a)", false)]);
}

#[test]
fn repetitions_are_counted() {
    check(
        "root ::= \"ab\"{2} [0-9]{1,3} \"x\"{2,}",
        &[
            ("abab1xx", true),
            ("abab123xxxx", true),
            ("ab1xx", false),
            ("abab1234xx", false),
            ("abab1x", false),
        ],
    );
    check("root ::= \"a\"{0} \"b\"? \"c\"*", &[("", true), ("bcc", true), ("a", false)]);
}

#[test]
fn characters_are_unicode() {
    check(
        "root ::= [ぁ-ゟ]+ \"\\u3042\\U0001F980\\x41\" [^\\x00-\\U0001F97F]",
        &[("ぁああ🦀A🦀", true), ("あ🦀A🦀", false), ("ああ🦀Aa", false)],
    );
    check("root ::= . \"-\" [a\\]^-]+", &[("é-a]^-", true), ("\n-a", true), ("--", false)]);
}

#[test]
fn tokens_are_named() {
    for grammar in ["root ::= <think> \"a\"", "root ::= <[256]> \"a\"\n"] {
        let mut matcher = compile(grammar).start(&[]);
        assert_eq!(matcher.allowed().unwrap(), Next::Forced(vec![256]), "{grammar}");
        matcher.accept(256).unwrap();
        assert!(allows(&matcher.allowed().unwrap(), b'a'.into()));
    }
}

#[test]
fn lines_may_break_inside_of_parentheses_and_after_a_bar() {
    check(
        "root ::= (\n # first\n \"a\"\n \"b\" )\n\nother ::= \"x\" |\n  \"y\"\n",
        &[("ab", true), ("a", false)],
    );
}

#[test]
fn faults_are_told_with_line_and_column() {
    let faults = [
        ("root ::= a", "line 1, column 10: the rule `a` is not defined"),
        ("a ::= \"x\"", "there is no rule `root`"),
        ("root ::= \"x\"\nb := \"y\"", "line 2, column 3: `::=` is expected"),
        ("root ::= \"x", "line 1, column 10: the string has no end"),
        ("root ::= [z-a]", "line 1, column 10: the range from 'z' to 'a'"),
        ("root ::= [a", "line 1, column 10: the class has no end"),
        ("root ::= \"a\"{3,2}", "line 1, column 13: the least number"),
        ("root ::= \"a\"{5000}", "line 1, column 13: a part is repeated at most"),
        ("root ::= \"a\"{,2}", "line 1, column 14: a number is expected"),
        ("root ::= (\"a\"", "line 1, column 14: `)` is expected"),
        ("root ::= \"\\q\"", "line 1, column 11: there is no escape `\\q`"),
        ("root ::= \"é\\u00\"", "line 1, column 12: 4 hexadecimal digits"),
        ("root ::= \"a\" )", "line 1, column 14: the end of the rule"),
        ("root ::= !<x>", "line 1, column 10: a token is negated by its number"),
    ];
    for (text, message) in faults {
        let error = to_lark(text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
    let deep = format!("root ::= {}\"a\"{}", "(".repeat(1000), ")".repeat(1000));
    assert!(to_lark(&deep).unwrap_err().to_string().contains("nest deeper"));
}

/// Returns the ends of all texts of `node` that begin at `start` of `text`, by trying everything.
fn ends(rules: &Rules, node: &Node, text: &[u8], start: usize, depth: usize) -> BTreeSet<usize> {
    if depth == 0 {
        return BTreeSet::new();
    }
    let again = |node, at| ends(rules, node, text, at, depth - 1);
    match node {
        Node::Text(word) => {
            text[start..].starts_with(word.as_bytes()).then_some(start + word.len()).into_iter().collect()
        }
        Node::Class(class) => {
            let fits = |byte: &&u8| !class.is_disjoint(&Class::of([(**byte as char, **byte as char)]));
            text.get(start).filter(fits).map(|_| start + 1).into_iter().collect()
        }
        Node::Token(_) => BTreeSet::new(),
        Node::Rule(rule) => again(&rules.bodies[*rule], start),
        Node::Sequence(parts) => parts.iter().fold(BTreeSet::from([start]), |starts, part| {
            starts.into_iter().flat_map(|at| again(part, at)).collect()
        }),
        Node::Choice(choices) => choices.iter().flat_map(|choice| again(choice, start)).collect(),
        Node::Repeat(part, min, max) => {
            let (mut all, mut last) = (BTreeSet::new(), BTreeSet::from([start]));
            for turn in 0..=text.len() as u32 + min {
                if turn >= *min {
                    all.extend(&last);
                }
                if Some(turn) == *max || last.is_empty() {
                    break;
                }
                last = last.into_iter().flat_map(|at| again(part, at)).collect();
            }
            all
        }
    }
}

/// Random numbers of a fixed sequence (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn part(&mut self, rule: u64, rules: u64, depth: u64) -> String {
        match self.below(if depth == 0 { 4 } else { 7 }) {
            0 => ["\"a\"", "\"ab\"", "\"ba\""][self.below(3) as usize].to_owned(),
            1 => ["[ab]", "[b-c]", "[^a]"][self.below(3) as usize].to_owned(),
            2 => ["[a]*", "[bc]+", "[ab]{1,2}"][self.below(3) as usize].to_owned(),
            // Later rules, or this one between parentheses.
            3 if rule + 1 < rules => format!("r{}", rule + 1 + self.below(rules - rule - 1)),
            3 => format!("\"(\" r{rule} \")\""),
            4 => format!("({} | {})", self.part(rule, rules, depth - 1), self.part(rule, rules, depth - 1)),
            5 => format!("{} {}", self.part(rule, rules, depth - 1), self.part(rule, rules, depth - 1)),
            _ => format!(
                "({}){}",
                self.part(rule, rules, depth - 1),
                ["*", "+", "?", "{2}"][self.below(4) as usize]
            ),
        }
    }
}

#[test]
fn random_grammars_allow_only_what_they_describe() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut all, mut found) = (0, 0);
    for _ in 0..60 {
        let count = 3;
        let body = |rule| format!("r{rule} ::= {}\n", random.part(rule, count, 3));
        let text = (0..count).map(body).collect::<String>() + "root ::= r0 | \"z\"\n";
        let rules = syntax::parse(&text).unwrap();
        let regular = sets::Sets::of(&rules).unwrap().is_regular(&Node::Rule(rules.root));
        let Ok(matcher) = VOCABULARY.matcher(&Grammar::Gbnf(text.clone())) else { continue };
        for _ in 0..40 {
            let length = random.below(6);
            let word: String =
                (0..length).map(|_| ['a', 'b', 'c', '(', ')'][random.below(5) as usize]).collect();
            let described =
                ends(&rules, &Node::Rule(rules.root), word.as_bytes(), 0, 60).contains(&word.len());
            let allowed = matches(&matcher, &word);
            assert!(described || !allowed, "{word:?} by {text}");
            assert!(!regular || allowed == described, "{word:?} by the regular {text}");
            all += usize::from(described);
            found += usize::from(allowed);
        }
    }
    assert!(found * 10 > all * 9, "{found} of {all} described texts are allowed");
    assert!(all > 50, "{all}");
}
