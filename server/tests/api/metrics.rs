//! Prometheus' metrics. The requests' own reports tell the counts.

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat};

fn metrics(client: &Client) -> String {
    ureq::get(format!("{}/metrics", client.base)).call().unwrap().body_mut().read_to_string().unwrap()
}

fn metric(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn requests(outcome: &str) -> String {
    format!("tercet_requests_total{{model=\"fairy-tales\",outcome=\"{outcome}\"}}")
}

#[test]
fn counters_equal_what_requests_report() {
    let client = Client::start(&ServerOptions::default());
    let mut streamed = chat();
    streamed["stream"] = json!(true);
    streamed["stream_options"] = json!({ "include_usage": true });
    let mut usages = vec![client.stream(CHAT, &streamed).pop().unwrap()["usage"].take()];
    usages.extend((0..2).map(|_| client.json(CHAT, &chat())["usage"].take()));
    let sum =
        |count: fn(&Value) -> &Value| usages.iter().map(|usage| count(usage).as_f64().unwrap()).sum::<f64>();
    let cached = sum(|usage| &usage["prompt_tokens_details"]["cached_tokens"]);
    let (prompt, generated) =
        (sum(|usage| &usage["prompt_tokens"]), sum(|usage| &usage["completion_tokens"]));
    assert!(cached > 0.0);

    let text = metrics(&client);
    let of_model = |name: &str| metric(&text, &format!("tercet_{name}{{model=\"fairy-tales\"}}"));
    assert_eq!(of_model("cached_tokens_total"), cached);
    assert_eq!(of_model("prompt_tokens_total"), prompt - cached);
    assert_eq!(of_model("generated_tokens_total"), generated);
    assert_eq!(metric(&text, "llamacpp:tokens_predicted_total"), generated);
    assert_eq!(metric(&text, &requests("length")), 3.0);
    assert_eq!(of_model("request_prompt_tokens_sum"), prompt);
    for name in ["time_to_first_token", "queue_time", "request_time"] {
        assert_eq!(of_model(&format!("{name}_seconds_count")), 3.0, "{name}");
    }
    assert_eq!(of_model("time_between_tokens_seconds_count"), generated - 3.0);
    // The prompt of the last request is kept for the next one.
    let held = of_model("kv_bytes");
    assert!(0.0 < held && held < of_model("kv_bytes_limit"), "{text}");
}

#[test]
fn a_header_tells_when_the_counts_began() {
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let before = now();
    let client = Client::start(&ServerOptions::default());
    let answer = ureq::get(format!("{}/metrics", client.base)).call().unwrap();
    let start = answer.headers()["process-start-time-unix"].to_str().unwrap().parse().unwrap();
    assert!((before..=now()).contains(&start));
}

#[test]
fn refused_requests_count_as_such() {
    let client = Client::start(&ServerOptions { queue: 0, ..ServerOptions::default() });
    assert_eq!(client.post(CHAT, &chat()).0, 429);
    assert_eq!(metric(&metrics(&client), &requests("refused")), 1.0);
}

#[test]
fn metrics_need_the_key() {
    let client =
        Client::start(&ServerOptions { api_keys: vec!["sesame".to_owned()], ..ServerOptions::default() });
    assert!(client.wire("GET /metrics HTTP/1.1\nHost: localhost").starts_with("HTTP/1.1 401"));
}
