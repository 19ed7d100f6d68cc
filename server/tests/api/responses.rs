//! Responses, as OpenAI's clients ask for them. An independent path, the chat completion, tells the text.

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat, types};

const RESPONSES: &str = "/v1/responses";

/// Returns the request for the response that is the same as the chat.
fn response() -> Value {
    json!({ "input": "Tell me a story", "max_output_tokens": 12, "seed": 7 })
}

#[test]
fn a_response_has_the_text_of_the_chat() {
    let client = Client::start(&ServerOptions::default());
    let completion = client.json(CHAT, &chat());
    let answer = client.json(RESPONSES, &response());
    let message = &answer["output"][0];
    assert_eq!(message["content"][0]["text"], completion["choices"][0]["message"]["content"]);
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(answer["usage"]["total_tokens"], completion["usage"]["total_tokens"]);
}

#[test]
fn instructions_and_items_are_a_chat() {
    let client = Client::start(&ServerOptions::default());
    let system = json!({ "role": "system", "content": "Be brief." });
    let mut expected = chat();
    expected["messages"] = json!([system, chat()["messages"][0]]);
    let expected = client.json(CHAT, &expected);
    let mut body = response();
    body["instructions"] = json!("Be brief.");
    let part = json!({ "type": "input_text", "text": "Tell me a story" });
    body["input"] = json!([{ "type": "message", "role": "user", "content": [part] }]);
    let answer = client.json(RESPONSES, &body);
    assert_eq!(answer["output"][0]["content"][0]["text"], expected["choices"][0]["message"]["content"]);
}

#[test]
fn a_stream_has_the_official_events() {
    let client = Client::start(&ServerOptions::default());
    let whole = client.json(RESPONSES, &response());
    let mut body = response();
    body["stream"] = json!(true);
    body["include"] = json!(["message.output_text.logprobs"]);
    let events = client.events(RESPONSES, &body);
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ];
    assert_eq!(types(&events), expected);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(whole["output"][0]["content"][0]["text"], text);
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["usage"]["output_tokens"], whole["usage"]["output_tokens"]);
    assert_eq!(last["output"][0]["content"][0]["logprobs"].as_array().unwrap().len(), 12);
}

#[test]
fn what_needs_a_store_or_another_service_is_refused_by_name() {
    let client = Client::start(&ServerOptions::default());
    let refused = |field: &str, value: Value| {
        let mut body = response();
        body[field] = value;
        let (status, error) = client.error(RESPONSES, &body);
        assert_eq!(status, 400);
        error["param"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused("previous_response_id", json!("resp_1")), "previous_response_id");
    assert_eq!(refused("background", json!(true)), "background");
    assert_eq!(refused("text", json!({ "format": { "type": "haiku" } })), "text.format.type");
    assert_eq!(refused("tools", json!([{ "type": "web_search" }])), "tools[0].type");
    assert_eq!(refused("input", json!([{ "type": "item_reference", "id": "x" }])), "input");
}
