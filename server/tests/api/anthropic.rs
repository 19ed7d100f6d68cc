//! Messages, as Anthropic's clients ask for them. An independent path, the chat completion, tells the text.

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat, types};

const MESSAGES: &str = "/v1/messages";

#[test]
fn a_message_has_the_text_of_the_chat() {
    let client = Client::start(&ServerOptions::default());
    let completion = client.json(CHAT, &chat());
    let message = client.json(MESSAGES, &chat());
    assert_eq!(message["content"][0]["text"], completion["choices"][0]["message"]["content"]);
    assert_eq!((&message["role"], &message["stop_reason"]), (&json!("assistant"), &json!("max_tokens")));
    let (usage, expected) = (&message["usage"], &completion["usage"]);
    let read = usage["input_tokens"].as_u64().unwrap() + usage["cache_read_input_tokens"].as_u64().unwrap();
    assert_eq!((&json!(read), &usage["output_tokens"]), (&expected["prompt_tokens"], &json!(12)));
    let counted = client.json("/v1/messages/count_tokens", &chat());
    assert_eq!(counted, json!({ "input_tokens": expected["prompt_tokens"] }));
}

#[test]
fn the_system_and_a_begun_answer_are_in_the_prompt() {
    let client = Client::start(&ServerOptions::default());
    let user = json!({ "role": "user", "content": "Tell me a story" });
    let begun = json!({ "role": "assistant", "content": "Once upon" });
    let body = json!({ "system": "Be brief.", "messages": [user, begun] });
    let system = json!({ "role": "system", "content": "Be brief." });
    let expected = client.json(
        "/apply-template",
        &json!({ "messages": [system, user, begun], "continue_final_message": true }),
    );
    let tokens = client.json("/tokenize", &json!({ "content": expected["prompt"] }));
    let counted = client.json("/v1/messages/count_tokens", &body);
    assert_eq!(counted["input_tokens"], tokens["tokens"].as_array().unwrap().len());
}

#[test]
fn a_stream_has_the_official_events() {
    let client = Client::start(&ServerOptions::default());
    let whole = client.json(MESSAGES, &chat());
    let mut body = chat();
    body["stream"] = json!(true);
    let events = client.events(MESSAGES, &body);
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(types(&events), expected);
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(whole["content"][0]["text"], text);
    let last = &events[events.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], whole["stop_reason"]);
    assert_eq!(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
}

#[test]
fn the_stop_sequence_that_ended_a_text_is_named() {
    let client = Client::start(&ServerOptions::default());
    let mut body = chat();
    let plain = client.json(MESSAGES, &body)["content"][0]["text"].as_str().unwrap().to_owned();
    let word = plain.split_whitespace().nth(2).unwrap();
    body["stop_sequences"] = json!(["never said", word]);
    let stopped = client.json(MESSAGES, &body);
    assert_eq!((&stopped["stop_reason"], &stopped["stop_sequence"]), (&json!("stop_sequence"), &json!(word)));
    assert_eq!(stopped["content"][0]["text"], plain[..plain.find(word).unwrap()]);
}

#[test]
fn faults_are_in_anthropics_words() {
    let keys = vec!["sesame".to_owned()];
    let fault = |client: &Client, body: &Value| {
        let (status, text) = client.post(MESSAGES, body);
        let fault: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(fault["type"], "error");
        (status, fault["error"]["type"].as_str().unwrap().to_owned())
    };
    let client = Client::start(&ServerOptions::default());
    let with = |field: &str, value: Value| {
        let mut body = chat();
        body[field] = value;
        fault(&client, &body)
    };
    assert_eq!(with("top_p", json!(7)), (400, "invalid_request_error".to_owned()));
    assert_eq!(with("model", json!("claude")), (404, "not_found_error".to_owned()));
    assert_eq!(with("messages", json!([])).0, 400);
    let locked = Client::start(&ServerOptions { api_keys: keys, ..ServerOptions::default() });
    assert_eq!(fault(&locked, &chat()), (401, "authentication_error".to_owned()));
}
