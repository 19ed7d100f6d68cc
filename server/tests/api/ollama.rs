//! Ollama's routes. Independent paths, OpenAI's routes, tell the texts.

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat};

/// Returns the request that is the same as the chat.
fn body() -> Value {
    let options = json!({ "num_predict": 12, "seed": 7 });
    json!({ "model": "fairy-tales:latest", "messages": chat()["messages"], "options": options, "stream": false })
}

/// Returns the lines of a stream.
fn lines(client: &Client, route: &str, body: &Value) -> Vec<Value> {
    let (status, text) = client.post(route, body);
    assert_eq!(status, 200, "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_chat_has_the_text_of_the_chat_completion() {
    let client = Client::start(&ServerOptions::default());
    let expected = client.json(CHAT, &chat());
    let answer = client.json("/api/chat", &body());
    assert_eq!(answer["message"]["content"], expected["choices"][0]["message"]["content"]);
    assert_eq!((&answer["done"], &answer["done_reason"]), (&json!(true), &json!("length")));
    assert_eq!(answer["eval_count"], expected["usage"]["completion_tokens"]);
    assert_eq!(answer["prompt_eval_count"], expected["usage"]["prompt_tokens"]);
    assert!(answer["total_duration"].as_u64().unwrap() >= answer["eval_duration"].as_u64().unwrap());
    let mut streamed = body();
    streamed["stream"] = Value::Null;
    let lines = lines(&client, "/api/chat", &streamed);
    let text: String = lines.iter().map(|line| line["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(answer["message"]["content"], text);
    assert_eq!(lines.iter().filter(|line| line["done"] == true).count(), 1);
}

#[test]
fn a_text_is_generated_by_the_template_or_raw() {
    let client = Client::start(&ServerOptions::default());
    let generate = |raw: bool| {
        let mut body = body();
        (body["prompt"], body["raw"]) = (json!("Tell me a story"), json!(raw));
        client.json("/api/generate", &body)["response"].clone()
    };
    assert_eq!(generate(false), client.json(CHAT, &chat())["choices"][0]["message"]["content"]);
    let raw = json!({ "prompt": "Tell me a story", "max_tokens": 12, "seed": 7 });
    assert_eq!(generate(true), client.json("/v1/completions", &raw)["choices"][0]["text"]);
    let load = client.json("/api/generate", &json!({ "model": "fairy-tales" }));
    assert_eq!(load["done_reason"], "load");
}

#[test]
fn models_are_listed_and_shown() {
    let client = Client::start(&ServerOptions::default());
    let get = |route: &str| -> Value {
        let mut answer = ureq::get(format!("{}{route}", client.base)).call().unwrap();
        answer.body_mut().read_json().unwrap()
    };
    for route in ["/api/tags", "/api/ps"] {
        assert_eq!(get(route)["models"][0]["name"], "fairy-tales:latest");
    }
    assert!(get("/api/version")["version"].is_string());
    let shown = client.json("/api/show", &json!({ "model": "fairy-tales" }));
    let config = client.session.model().config();
    assert_eq!(shown["model_info"]["ternary.block_count"], config.layers);
    assert!(shown["template"].as_str().unwrap().contains("{%"));
}

#[test]
fn faults_are_in_ollamas_words() {
    let client = Client::start(&ServerOptions::default());
    let fault = |route: &str, field: &str, value: Value| {
        let mut body = body();
        body[field] = value;
        let (status, text) = client.post(route, &body);
        (status, serde_json::from_str::<Value>(&text).unwrap()["error"].as_str().unwrap().to_owned())
    };
    assert_eq!(fault("/api/chat", "model", json!("llama3")).0, 404);
    assert!(fault("/api/chat", "format", json!("xml")).1.contains("format"));
    assert!(fault("/api/generate", "context", json!([1])).1.contains("context"));
    assert!(fault("/api/embed", "input", json!("x")).1.contains("has no embeddings"));
    assert_eq!(fault("/api/pull", "insecure", json!(false)).0, 404);
}
