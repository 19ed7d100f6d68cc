//! Structured output and calls of tools.

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat};

const COMPLETIONS: &str = "/v1/completions";

/// Returns the text of an answer that a grammar holds, by a chat with these fields.
fn held(client: &Client, fields: &Value) -> String {
    let mut body = chat();
    body["max_tokens"] = json!(200);
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let answer = client.json(CHAT, &body);
    assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{answer}");
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[test]
fn a_format_holds_the_text() {
    let client = Client::start(&ServerOptions::default());
    let schema = json!({
        "type": "object",
        "properties": { "title": { "type": "string", "maxLength": 20 }, "pages": { "type": "integer", "maximum": 99 } },
        "required": ["title", "pages"],
        "additionalProperties": false,
    });
    let format =
        json!({ "type": "json_schema", "json_schema": { "name": "book", "strict": true, "schema": schema } });
    for fields in [
        json!({ "response_format": format }),
        json!({ "json_schema": schema }),
        json!({ "guided_json": schema.to_string() }),
        json!({ "structured_outputs": { "json": schema } }),
    ] {
        let book: Value = serde_json::from_str(&held(&client, &fields)).unwrap();
        assert!(
            book["title"].as_str().unwrap().chars().count() <= 20 && book["pages"].as_i64().unwrap() <= 99
        );
    }
    for fields in [
        json!({ "regex": "(yes|no)!" }),
        json!({ "grammar": "root ::= (\"yes\" | \"no\") \"!\"" }),
        json!({ "grammar": "start: (\"yes\" | \"no\") \"!\"" }),
        json!({ "structured_outputs": { "choice": ["yes!", "no!"] } }),
    ] {
        assert!(["yes!", "no!"].contains(&held(&client, &fields).as_str()));
    }
    let body = json!({ "prompt": "Is it so? ", "regex": "yes|no" });
    assert!(["yes", "no"].contains(&client.json(COMPLETIONS, &body)["choices"][0]["text"].as_str().unwrap()));
    let mut both = chat();
    (both["regex"], both["grammar"]) = (json!("yes"), json!("start: \"no\""));
    assert_eq!(client.error(CHAT, &both).1["param"], "grammar");
}

fn tools() -> Value {
    let tool = |name: &str, parameters: Value| json!({ "type": "function", "function": { "name": name, "description": name, "parameters": parameters } });
    let city = json!({ "type": "string", "enum": ["Rome", "Oslo"] });
    let weather = json!({ "type": "object", "properties": { "city": city }, "required": ["city"], "additionalProperties": false });
    json!([
        tool("get_weather", weather),
        tool("get_time", json!({ "type": "object", "properties": {}, "additionalProperties": false }))
    ])
}

#[test]
fn calls_follow_their_schemas() {
    let client = Client::start(&ServerOptions::default());
    let mut body = chat();
    (body["tools"], body["max_tokens"], body["temperature"]) = (tools(), json!(300), json!(1.5));
    body["parallel_tool_calls"] = json!(false);
    let named = json!({ "type": "function", "function": { "name": "get_weather" } });
    for choice in [json!("required"), named.clone()] {
        body["tool_choice"] = choice;
        for seed in 0..4 {
            body["seed"] = json!(seed);
            let answer = client.json(CHAT, &body);
            let choice = &answer["choices"][0];
            assert_eq!(
                (&choice["finish_reason"], &choice["message"]["content"]),
                (&json!("tool_calls"), &Value::Null)
            );
            let [call] = choice["message"]["tool_calls"].as_array().unwrap().as_slice() else {
                panic!("{answer}")
            };
            assert_eq!((&call["type"], call["id"].is_string()), (&json!("function"), true));
            let arguments: Value =
                serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            match call["function"]["name"].as_str().unwrap() {
                "get_weather" => assert!(["Rome", "Oslo"].contains(&arguments["city"].as_str().unwrap())),
                name => assert_eq!(
                    (name, arguments, body["tool_choice"] == named),
                    ("get_time", json!({}), false)
                ),
            }
        }
    }
}

#[test]
fn streamed_calls_are_the_whole_in_pieces() {
    let client = Client::start(&ServerOptions::default());
    let mut body = chat();
    (body["tools"], body["tool_choice"], body["max_tokens"]) = (tools(), json!("required"), json!(400));
    let whole = client.json(CHAT, &body);
    body["stream"] = json!(true);
    let chunks = client.stream(CHAT, &body);
    let mut calls: Vec<Value> = Vec::new();
    for delta in chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0)) {
        let index = delta["index"].as_u64().unwrap() as usize;
        if index == calls.len() {
            calls.push(json!({ "type": delta["type"], "name": delta["function"]["name"], "arguments": "" }));
        } else {
            assert!(delta.get("id").is_none() && delta["function"].get("name").is_none());
        }
        let more = delta["function"]["arguments"].as_str().unwrap();
        calls[index]["arguments"] = json!(calls[index]["arguments"].as_str().unwrap().to_owned() + more);
    }
    let expected = whole["choices"][0]["message"]["tool_calls"].as_array().unwrap().iter();
    let expected: Vec<Value> = expected
        .map(|call| json!({ "type": call["type"], "name": call["function"]["name"], "arguments": call["function"]["arguments"] }))
        .collect();
    assert_eq!(calls, expected);
    assert_eq!(chunks[chunks.len() - 1]["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
}

#[test]
fn calls_and_results_are_told_to_a_model_without_tools_in_its_template() {
    let client = Client::start(&ServerOptions::default());
    let call = json!({ "id": "1", "type": "function", "function": { "name": "get_weather", "arguments": "{\"city\": \"Oslo\"}" } });
    let messages = json!([
        { "role": "user", "content": "How is it in Oslo?" },
        { "role": "assistant", "content": null, "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "1", "content": "Snow" },
    ]);
    let body = json!({ "messages": messages, "tools": tools() });
    let prompt = client.json("/apply-template", &body)["prompt"].as_str().unwrap().to_owned();
    for part in
        ["\"name\":\"get_time\"", "{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}", "Snow"]
    {
        assert!(prompt.contains(part), "{prompt}");
    }
    // Without a duty to call, any text is an answer.
    let mut body = body;
    (body["max_tokens"], body["seed"]) = (json!(8), json!(3));
    assert_eq!(client.json(CHAT, &body)["usage"]["completion_tokens"], 8);
}
