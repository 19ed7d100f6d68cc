//! Structured output and calls of tools.

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat, types};

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

/// Returns names and arguments of a chat's calls. Other APIs must tell the same ones.
fn expected_calls(client: &Client) -> Vec<(Value, Value)> {
    let mut body = chat();
    (body["tools"], body["tool_choice"], body["max_tokens"]) = (tools(), json!("required"), json!(400));
    let answer = client.json(CHAT, &body);
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls", "{answer}");
    let call = |call: &Value| (call["function"]["name"].clone(), parsed(&call["function"]["arguments"]));
    answer["choices"][0]["message"]["tool_calls"].as_array().unwrap().iter().map(call).collect()
}

fn parsed(arguments: &Value) -> Value {
    serde_json::from_str(arguments.as_str().unwrap()).unwrap()
}

/// Returns the tools with the fields of each function beside `type`, under other names.
fn flat(rename: impl Fn(&Value) -> Value) -> Value {
    tools().as_array().unwrap().iter().map(|tool| rename(&tool["function"])).collect()
}

#[test]
fn anthropics_messages_call_tools() {
    const MESSAGES: &str = "/v1/messages";
    let client = Client::start(&ServerOptions::default());
    let expected = expected_calls(&client);
    let mut body = chat();
    (body["tool_choice"], body["max_tokens"]) = (json!({ "type": "any" }), json!(400));
    body["tools"] = flat(
        |function| json!({ "name": function["name"], "description": function["name"], "input_schema": function["parameters"] }),
    );
    let whole = client.json(MESSAGES, &body);
    let blocks = whole["content"].as_array().unwrap();
    let calls: Vec<_> = blocks.iter().map(|block| (block["name"].clone(), block["input"].clone())).collect();
    assert_eq!((calls, &whole["stop_reason"]), (expected, &json!("tool_use")));
    body["stream"] = json!(true);
    let events = client.events(MESSAGES, &body);
    for (index, block) in blocks.iter().enumerate() {
        let of_block: Vec<&Value> = events.iter().filter(|event| event["index"] == index).collect();
        assert_eq!(of_block[0]["content_block"]["name"], block["name"]);
        let input: String =
            of_block.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
        assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), block["input"]);
        assert_eq!(of_block.last().unwrap()["type"], "content_block_stop");
    }
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
    body["tools"] = json!([{ "type": "web_search_20250305", "name": "web_search" }]);
    assert_eq!(client.post(MESSAGES, &body).0, 400);
}

#[test]
fn responses_call_functions() {
    const RESPONSES: &str = "/v1/responses";
    let client = Client::start(&ServerOptions::default());
    let expected = expected_calls(&client);
    let mut body =
        json!({ "input": "Tell me a story", "max_output_tokens": 400, "seed": 7, "tool_choice": "required" });
    body["tools"] = flat(|function| {
        let mut tool = function.clone();
        tool["type"] = json!("function");
        tool
    });
    let whole = client.json(RESPONSES, &body);
    let items = whole["output"].as_array().unwrap();
    let calls: Vec<_> = items.iter().map(|item| (item["name"].clone(), parsed(&item["arguments"]))).collect();
    assert_eq!((calls, &whole["status"]), (expected, &json!("completed")));
    body["stream"] = json!(true);
    let events = client.events(RESPONSES, &body);
    assert_eq!(
        types(&events)[2..6],
        [
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done"
        ]
    );
    for (index, item) in items.iter().enumerate() {
        let of_item = events.iter().filter(|event| event["output_index"] == index);
        let arguments: String = of_item.filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(item["arguments"], arguments);
    }
}

#[test]
fn ollamas_chats_call_tools() {
    let client = Client::start(&ServerOptions::default());
    let function = json!({ "name": "get_time", "description": "The time", "parameters": { "type": "object", "properties": {} } });
    let call = json!({ "function": { "name": "get_time", "arguments": {} } });
    let body = |messages: Value| {
        let options = json!({ "num_predict": 60, "seed": 3 });
        json!({
            "model": "fairy-tales", "messages": messages, "stream": false, "options": options,
            "tools": [{ "type": "function", "function": function }],
        })
    };
    let user = json!({ "role": "user", "content": "What time is it?" });
    let called = json!({ "role": "assistant", "content": "", "tool_calls": [call] });
    let answer =
        client.json("/api/chat", &body(json!([user, called, { "role": "tool", "content": "noon" }])));
    // Without a duty to call, a small model tells a story.
    assert!(answer["message"]["content"].is_string() && answer["done"] == true, "{answer}");
}

#[test]
fn a_responses_text_has_a_format() {
    let client = Client::start(&ServerOptions::default());
    let schema = json!({ "type": "object", "properties": { "city": { "enum": ["Rome", "Oslo"] } }, "required": ["city"] });
    let format = json!({ "type": "json_schema", "name": "city", "strict": true, "schema": schema });
    let body = json!({ "input": "Name a city", "text": { "format": format }, "seed": 1 });
    let answer = client.json("/v1/responses", &body);
    let city: Value = parsed(&answer["output"][0]["content"][0]["text"]);
    assert!(["Rome", "Oslo"].contains(&city["city"].as_str().unwrap()), "{answer}");
    assert_eq!(answer["text"]["format"], format);
}
