use super::*;

const BITNET: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

const LLAMA3: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";

/// A template over several lines, as newer ones are: whitespace control, Python methods, a namespace,
/// an exception.
const MULTILINE: &str = "{%- if messages[0].role == 'system' %}
    {%- set system = messages[0].content.strip() %}
    {%- set messages = messages[1:] %}
{%- endif %}
{%- if not tools is none %}
    {{- raise_exception('no tools') }}
{%- endif %}
{% set ns = namespace(count=0) %}
{% for message in messages %}
    {% if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{ raise_exception('roles must alternate') }}
    {% endif %}
    {% set ns.count = ns.count + 1 %}
<{{ message.role.upper() }}>{{ message.content | tojson }}
{% endfor %}
{{ ns.count }}{% if system is defined %} {{ system.split(' ')[-1] }}{% endif %}
";

fn template(source: &str) -> Result<ChatTemplate> {
    ChatTemplate::compile(TemplateSource {
        text: source.into(),
        label: "t.jinja".into(),
        special_tokens: vec![("bos_token", "<|begin_of_text|>".into())],
    })
}

fn render(source: &str, messages: &[(&str, &str)], add_generation_prompt: bool) -> Result<String> {
    let messages: Vec<Message> =
        messages.iter().map(|(role, content)| Message::new(*role, *content)).collect();
    template(source)?.render(&messages, add_generation_prompt)
}

#[test]
fn published_templates_render_as_transformers_renders_them() {
    let turns = [("user", " Hi there \n"), ("assistant", "Hello!"), ("user", "<b>&'\"{{ x }}")];
    assert_eq!(
        render(BITNET, &turns, true).unwrap(),
        "<|begin_of_text|>User: Hi there<|eot_id|>Assistant: Hello!<|eot_id|>User: <b>&'\"{{ x }}<|eot_id|>Assistant: "
    );
    assert_eq!(
        render(LLAMA3, &turns[..1], true).unwrap(),
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi there<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n"
    );
    assert_eq!(
        render(LLAMA3, &turns[..2], false).unwrap(),
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi there<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\nHello!<|eot_id|>"
    );
}

#[test]
fn a_template_over_several_lines_renders_as_in_python() {
    let turns = [("system", " be very brief "), ("user", "<é> 'q' \"d\" \\u003c\n"), ("assistant", "ok")];
    assert_eq!(
        render(MULTILINE, &turns, false).unwrap(),
        "<USER>\"<é> 'q' \\\"d\\\" \\\\u003c\\n\"\n<ASSISTANT>\"ok\"\n2 brief"
    );
    let message = render(MULTILINE, &turns[2..], false).unwrap_err().to_string();
    assert!(
        message.starts_with("t.jinja: chat template") && message.contains("roles must alternate"),
        "{message}"
    );
}

#[test]
fn todays_date_is_available() {
    let text = render("{{ strftime_now('%Y-%m-%d') }}", &[], false).unwrap();
    assert!(text.len() == 10 && text.starts_with("20"), "{text}");
}

#[test]
fn a_template_that_does_not_compile_is_named() {
    let message = template("a\n{% for %}").unwrap_err().to_string();
    assert!(message.starts_with("t.jinja: chat template line 2: "), "{message}");
}

#[test]
fn templates_are_found_in_the_models_files() {
    let tiny = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/bitnet-tiny");
    let tiny = ChatTemplate::load(&ModelFiles::open(&tiny).unwrap()).unwrap();
    let prompt = tiny.render(&[Message::new("user", "Hi")], true).unwrap();
    assert_eq!(prompt, "<|begin_of_text|>User: Hi<|eot_id|>Assistant: ");

    let of = |files| ChatTemplate::load(&ModelFiles::embedded("m".into(), files));
    let named = of(&[(
        "tokenizer_config.json",
        br#"{"bos_token": {"content": "<s>"}, "chat_template":
            [{"name": "tools", "template": "no"}, {"name": "default", "template": "{{ bos_token }}yes"}]}"#,
    )]);
    assert_eq!(named.unwrap().render(&[], false).unwrap(), "<s>yes");
    let apart = of(&[
        ("tokenizer_config.json", br#"{"chat_template": "no"}"#),
        ("special_tokens_map.json", br#"{"eos_token": "</s>"}"#),
        ("chat_template.jinja", b"{{ eos_token }}{{ bos_token }}yes"),
    ]);
    assert_eq!(apart.unwrap().render(&[], false).unwrap(), "</s>yes");

    let message = of(&[("tokenizer_config.json", b"{}")]).unwrap_err().to_string();
    assert!(
        message.contains("chat_template.jinja: no such file") && message.contains("generate"),
        "{message}"
    );
    let message = of(&[("tokenizer_config.json", br#"{"chat_template": 3}"#)]).unwrap_err().to_string();
    assert!(message.contains("chat_template: 3 is not a text"), "{message}");
    let message = of(&[("tokenizer_config.json", br#"{"chat_template": []}"#)]).unwrap_err().to_string();
    assert!(message.contains("\"default\""), "{message}");
}
