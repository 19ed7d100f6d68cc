use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

fn template(source: &str) -> Result<ChatTemplate> {
    let special_tokens = vec![("bos_token".into(), "<|begin_of_text|>".into())];
    ChatTemplate::compile(TemplateSource { special_tokens, ..TemplateSource::alone(source, "t.jinja") })
}

fn render(source: &str) -> Result<String> {
    template(source)?.render(&ChatInput::question(&[Message::new("user", "Hi")]))
}

/// Renders with messages and more, given as a JSON object.
fn render_with(source: &str, input: Value) -> Result<String> {
    template(source)?.render(&serde_json::from_value(input).unwrap())
}

/// Goldens of transformers, made by `tests/templates/golden.py`: the input of a template, and its text or error.
#[test]
fn templates_render_as_in_transformers() {
    let golden: Value = serde_json::from_str(include_str!("../../tests/fixtures/templates.json")).unwrap();
    let contexts = golden["contexts"].as_array().unwrap();
    let mut wrong = Vec::new();
    let mut results = 0;
    for case in golden["cases"].as_array().unwrap() {
        let text = case["template"].as_str().unwrap();
        for (context, wanted) in contexts.iter().zip(case["results"].as_array().unwrap()) {
            results += 1;
            let mut input: ChatInput = serde_json::from_value(context.clone()).unwrap();
            input.chat_template_kwargs.extend(context["special_tokens"].as_object().unwrap().clone());
            let rendered = template(text).and_then(|template| template.render(&input));
            let right = match (&rendered, wanted["text"].as_str(), wanted["error"].as_str()) {
                (Ok(ours), Some(theirs), _) => ours == theirs,
                (Err(ours), None, Some(theirs)) => {
                    ours.to_string().contains(&theirs.split_whitespace().collect::<Vec<_>>().join(" "))
                }
                _ => false,
            };
            if !right {
                wrong.push(format!("{text}\n  theirs: {wanted}\n  ours:   {rendered:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {results} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn todays_date_is_available() {
    let text = render("{{ strftime_now('%Y-%m-%d') }}").unwrap();
    assert!(text.len() == 10 && text.starts_with("20"), "{text}");
}

#[test]
fn a_template_that_does_not_compile_is_named() {
    let message = template("a\n{% for %}").unwrap_err().to_string();
    assert!(message.starts_with("t.jinja: chat template line 2: "), "{message}");
}

#[test]
fn what_a_template_says_of_the_messages_reaches_the_user() {
    let message =
        render("\n{{ raise_exception('Roles must\\nalternate, ' ~ messages[0].role) }}").unwrap_err();
    let message = message.to_string();
    assert!(
        message.contains("line 2: the template refuses these messages: Roles must alternate, user"),
        "{message}"
    );
}

#[test]
fn the_last_message_can_be_continued() {
    let source = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</s>{% endfor %}";
    let continued = |content: Value| {
        let messages = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}]);
        render_with(source, json!({"messages": messages, "continue_final_message": true}))
    };
    // The expected texts come from transformers' `render_jinja_template`.
    assert_eq!(continued(json!("Sure, ")).unwrap(), "<user>Hi</s><assistant>Sure,");
    assert_eq!(continued(json!("Sure")).unwrap(), "<user>Hi</s><assistant>Sure");
    let message = continued(json!(3)).unwrap_err().to_string();
    assert!(message.contains("continue_final_message: the last message has no text"), "{message}");
    let both = json!({"messages": [{"content": "x"}], "continue_final_message": true, "add_generation_prompt": true});
    assert!(render_with(source, both).unwrap_err().to_string().contains("contradicts"));
}

#[test]
fn messages_lose_nulls_and_keep_reasoning_by_all_names() {
    let source = "{{ messages | tojson }}";
    let input = json!({"messages": [{"role": "assistant", "tool_calls": null, "reasoning": "r"}]});
    // transformers writes the same.
    let wanted = r#"[{"thinking": "r", "role": "assistant", "reasoning": "r", "reasoning_content": "r"}]"#;
    assert_eq!(render_with(source, input).unwrap(), wanted);
    let none = render_with(source, json!({"messages": []})).unwrap_err().to_string();
    assert!(none.contains("at least one message"), "{none}");
    let text = render_with(source, json!({"messages": ["hi"]})).unwrap_err().to_string();
    assert!(text.contains("messages: one is not an object"), "{text}");
}

/// Expressions and blocks without end, depth or measure: each is refused within seconds on a machine that is free, and nothing panics.
#[test]
fn no_template_takes_more_than_its_share() {
    let deep = |open: &str, middle: &str, close: &str, times: usize| {
        format!("{{{{ {}{middle}{} }}}}", open.repeat(times), close.repeat(times))
    };
    let grow = |body: &str| {
        format!(
            "{{% set ns = namespace(v='x', l=[], d=1) %}}{{% for i in range(99999) %}}{{% for j in range(999) %}}{{% set {body} %}}{{% endfor %}}{{% endfor %}}{{{{ ns.v }}}}{{{{ ns.l }}}}"
        )
    };
    let sources = [
        "{% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{% endfor %}{% endfor %}".to_owned(),
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".to_owned(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% for i in [[]] recursive %}{{ loop([[1]]) }}{% endfor %}".to_owned(),
        "{% set ns = namespace() %}{% set ns.v = ns %}{{ ns }}".to_owned(),
        "{% set ns = namespace() %}{% set ns.v = [ns] %}{{ ns.v == ns.v }}{{ ns | tojson }}".to_owned(),
        "{% set a = namespace() %}{% set b = namespace() %}{% set a.v = [b] %}{% set b.v = [a] %}{{ [a] }}"
            .to_owned(),
        "{{ 'x' * 4294967296 }}".to_owned(),
        "{{ [0] * 4294967296 }}".to_owned(),
        "{{ 'a'.center(2000000000) }}".to_owned(),
        "{{ 'a' | center(2000000000) }}".to_owned(),
        "{{ 'a\\nb' | indent(2000000000) }}".to_owned(),
        "{{ 'a'.zfill(2000000000) ~ 'a'.ljust(2000000000) }}".to_owned(),
        "{{ '\\t'.expandtabs(2000000000) }}".to_owned(),
        "{{ [1] | tojson(indent=2000000000) }}".to_owned(),
        "{{ [1] | batch(2000000000, 'x') }}".to_owned(),
        "{{ [1] | slice(2000000000) | list }}".to_owned(),
        "{{ range(1000000000) | list }}".to_owned(),
        "{{ '{:>999999999}'.format('a') }}".to_owned(),
        "{{ '{:.999999999f}'.format(1.5) }}".to_owned(),
        "{{ '%999999999d' % 1 }}".to_owned(),
        "{{ '%*d' % (999999999, 1) }}".to_owned(),
        "{{ '%.999999999f' % 1.5 }}".to_owned(),
        "{{ 10 ** 10 ** 10 }}".to_owned(),
        "{{ 7 ** 1000000000 }}".to_owned(),
        "{{ (range(9999) | list) | join('x' * 99999) }}".to_owned(),
        "{{ ('a' * 9999).replace('', 'x' * 99999) }}".to_owned(),
        "{{ ('a ' * 9999) | wordwrap(1, wrapstring='x' * 99999) }}".to_owned(),
        "{{ loop.cycle() }}{% for i in [1] %}{{ loop.cycle() }}{% endfor %}".to_owned(),
        grow("ns.v = ns.v ~ ns.v"),
        grow("ns.v = ns.v + ns.v"),
        grow("ns.v = ns.v | replace('x', 'xx')"),
        grow("ns.v = ns.v.replace('x', 'xxxx')"),
        grow("ns.l = ns.l + ns.l + [1]"),
        grow("ns.l = [ns.l]"),
        grow("ns.l = [ns.l, ns.l]"),
        grow("ns.l = (ns.l,)"),
        grow("ns.l = {'a': ns.l}"),
        grow("ns.l = dict(a=ns.l)"),
        grow("ns.l = ns.l | batch(1) | list"),
        grow("ns.l = [ns.l] | map('list') | list"),
        grow("ns.l = namespace(v=ns.l)"),
        grow("ns.l = cycler(ns.l)"),
        grow("ns.l = ns.l.copy"),
        grow("ns.d = ns.d * 3"),
        deep("(", "1", ")", 100_000),
        deep("[", "1", "]", 100_000),
        deep("{1:", "1", "}", 100_000),
        deep("not ", "1", "", 100_000),
        deep("-", "1", "", 100_000),
        deep("+", "1", "", 100_000),
        deep("", "1", "|string", 100_000),
        deep("", "x", ".a", 100_000),
        deep("", "1", "+1", 100_000),
        deep("", "1", "**2", 100_000),
        deep("", "1", " if 1 else 1", 100_000),
        deep("", "1", "~1", 100_000),
        deep("", "1", " is defined", 100_000),
        deep("", "x", "()", 100_000),
        deep("", "x", "[0]", 100_000),
        deep("", "1", " and 1", 100_000),
        deep("", "1", "<1", 100_000),
        format!("{}{}", "{% if 1 %}".repeat(100_000), "{% endif %}".repeat(100_000)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(100_000)),
        "x".repeat(2 << 20),
    ];
    for source in &sources {
        let start = Instant::now();
        let outcome = render(source);
        let shown: String = source.chars().take(120).collect();
        // Few of them are harmless: their work is small, or what grows stays hidden.
        if let Err(error) = &outcome {
            assert!(!error.to_string().contains("engine failed"), "{shown}: {error}");
        }
        let text = outcome.map_or(0, |text| text.len());
        assert!(text < 1 << 20, "{shown}: {text} bytes");
        assert!(start.elapsed() < Duration::from_secs(120), "{shown}: {:?}", start.elapsed());
    }
}

/// What is just within the limits of a template's size must not exhaust the stack.
#[test]
fn the_largest_templates_fit_the_stack() {
    for (open, close) in [
        ("not ", ""),
        ("-", ""),
        ("+", ""),
        ("", "|string"),
        ("", ".a"),
        ("", "+1"),
        ("", "~1"),
        ("", "**1"),
        ("", " and 1"),
        ("", " if 1 else 1"),
    ] {
        let times = 3_900 / (open.split_whitespace().count() + close.split_whitespace().count() + 1);
        // Undefined attributes and the like are errors; a crash would end the test.
        drop(render(&format!("{{{{ {}1{} }}}}", open.repeat(times), close.repeat(times))));
    }
    drop(render(&format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(9_900))));
}

#[test]
fn a_long_conversation_renders() {
    let messages: Vec<Message> = (0..2_000)
        .map(|turn| Message::new(if turn % 2 == 0 { "user" } else { "assistant" }, "word ".repeat(200)))
        .collect();
    let source = "{% for m in messages %}{% if not loop.first and messages[loop.index0 - 1].role == m.role %}{{ raise_exception('no') }}{% endif %}<{{ m.role | upper }}>{{ m.content.strip().split('</think>')[-1] | trim }}{% endfor %}";
    let text = template(source).unwrap().render(&ChatInput::question(&messages)).unwrap();
    assert!(text.len() > 1_900_000, "{}", text.len());
}

#[test]
fn templates_are_found_in_the_models_files() {
    let tiny = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/bitnet-tiny");
    let tiny = ChatTemplate::load(&ModelFiles::open(&tiny).unwrap()).unwrap();
    let question = ChatInput::question(&[Message::new("user", "Hi")]);
    assert_eq!(tiny.render(&question).unwrap(), "<|begin_of_text|>User: Hi<|eot_id|>Assistant: ");

    let of = |files| ChatTemplate::load(&ModelFiles::embedded("m".into(), files));
    let named = of(&[(
        "tokenizer_config.json",
        br#"{"bos_token": {"content": "<s>"}, "image_token": "<i>", "extra_special_tokens": {"a": "<a>"},
            "chat_template": [{"name": "tool_use", "template": "{{ tools | length }} tools"},
            {"name": "default", "template": "{{ bos_token }}{{ image_token }}{{ a }}yes"}]}"#,
    )])
    .unwrap();
    assert_eq!(named.render(&question).unwrap(), "<s><i><a>yes");
    assert_eq!(
        named.render(&ChatInput { tools: Some(vec![json!({})]), ..question.clone() }).unwrap(),
        "1 tools"
    );
    // As transformers does: templates with files of their own count instead of those in the configuration.
    let additional = of(&[
        ("tokenizer_config.json", br#"{"chat_template": "no"}"#),
        ("additional_chat_templates/tool_use.jinja", b"{{ tools | length }} tools"),
        ("additional_chat_templates/rag.jinja", b"rag"),
        ("additional_chat_templates/README.md", b"no"),
    ])
    .unwrap();
    assert_eq!(
        additional.render(&ChatInput { tools: Some(Vec::new()), ..question.clone() }).unwrap(),
        "0 tools"
    );
    let message = additional.render(&question).unwrap_err().to_string();
    assert!(message.contains(r#"no template is called "default", only "rag", "tool_use""#), "{message}");
    let apart = of(&[
        ("tokenizer_config.json", br#"{"chat_template": "no"}"#),
        ("special_tokens_map.json", br#"{"eos_token": "</s>"}"#),
        ("chat_template.jinja", b"{{ eos_token }}{{ bos_token }}yes"),
    ]);
    assert_eq!(apart.unwrap().render(&question).unwrap(), "</s>yes");

    let message = of(&[("tokenizer_config.json", b"{}")]).unwrap_err().to_string();
    assert!(
        message.contains("chat_template.jinja: no such file") && message.contains("generate"),
        "{message}"
    );
    let message = of(&[("tokenizer_config.json", br#"{"chat_template": 3}"#)]).unwrap_err().to_string();
    assert!(message.contains("chat_template: 3 is not a text"), "{message}");
    let message = of(&[("tokenizer_config.json", br#"{"chat_template": []}"#)]).unwrap_err().to_string();
    assert!(message.contains("it is not a list of objects"), "{message}");
}
