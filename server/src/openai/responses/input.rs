//! From the items of a response's input to the messages of a chat.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, Result};
use crate::prompt::text_of;

/// A user's text, or items of several kinds.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ResponseInput")]
pub(super) enum Input {
    Text(String),
    Items(#[schemars(with = "Vec<Map<String, Value>>")] Vec<Value>),
}

/// Returns the messages for a chat template, with the instructions before all.
///
/// # Errors
/// Fails with status 400 if an item is neither a message, a thought, nor about a function.
pub(super) fn messages(instructions: Option<&str>, input: &Input) -> Result<Vec<Value>> {
    let system = instructions.map(|text| json!({ "role": "system", "content": text }));
    let mut messages: Vec<Value> = system.into_iter().collect();
    match input {
        Input::Text(text) => messages.push(json!({ "role": "user", "content": text })),
        Input::Items(items) => add(items, &mut messages)?,
    }
    Ok(messages)
}

fn add(items: &[Value], messages: &mut Vec<Value>) -> Result<()> {
    // Thoughts belong to the message or the calls that follow.
    let mut thoughts = None;
    for item in items {
        match item["type"].as_str().unwrap_or("message") {
            "message" => {
                let mut message = json!({ "role": item["role"], "content": item["content"] });
                if let Some(thoughts) = thoughts.take().filter(|_| item["role"] == "assistant") {
                    message["reasoning_content"] = thoughts;
                }
                messages.push(message);
            }
            "reasoning" => {
                let parts = item["content"].as_array().or_else(|| item["summary"].as_array());
                thoughts = parts.map(|parts| join(parts).into());
            }
            "function_call" => {
                let call = json!({
                    "id": item["call_id"],
                    "type": "function",
                    "function": { "name": item["name"], "arguments": item["arguments"] },
                });
                match messages.last_mut().and_then(|last| last.get_mut("tool_calls")?.as_array_mut()) {
                    Some(calls) => calls.push(call),
                    None => {
                        let mut message = json!({ "role": "assistant", "content": "", "tool_calls": [call] });
                        if let Some(thoughts) = thoughts.take() {
                            message["reasoning_content"] = thoughts;
                        }
                        messages.push(message);
                    }
                }
            }
            "function_call_output" => {
                let output = match &item["output"] {
                    Value::Array(parts) => text_of(parts)?,
                    text => text.as_str().unwrap_or_default().to_owned(),
                };
                messages.push(json!({ "role": "tool", "tool_call_id": item["call_id"], "content": output }));
            }
            kind => {
                let problem = format!("an item of type {kind:?} is not supported; send messages");
                return Err(ApiError::field("input", &problem));
            }
        }
    }
    Ok(())
}

/// Returns the text of thoughts, whatever their parts are called.
fn join(parts: &[Value]) -> String {
    parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::plain_messages;

    fn converted(input: Value) -> Value {
        let messages = messages(Some("Be kind."), &serde_json::from_value(input).unwrap()).unwrap();
        plain_messages(messages).unwrap().into()
    }

    #[test]
    fn items_become_messages() {
        let system = json!({ "role": "system", "content": "Be kind." });
        let user = json!({ "role": "user", "content": "Is it warm?" });
        assert_eq!(converted(json!("Is it warm?")), json!([system, user]));
        let call =
            |id: &str| json!({ "type": "function_call", "call_id": id, "name": "f", "arguments": "{}" });
        let part = json!({ "type": "input_text", "text": "Is it warm?" });
        let input = json!([
            { "role": "user", "content": [part] },
            { "type": "reasoning", "id": "r", "summary": [{ "type": "summary_text", "text": "Hm." }] },
            call("a"),
            call("b"),
            { "type": "function_call_output", "call_id": "a", "output": "20" },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "Yes." }] },
        ]);
        let called = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
        let expected = json!([
            system,
            user,
            { "role": "assistant", "content": "", "reasoning_content": "Hm.",
              "tool_calls": [called("a"), called("b")] },
            { "role": "tool", "tool_call_id": "a", "content": "20" },
            { "role": "assistant", "content": "Yes." },
        ]);
        assert_eq!(converted(input), expected);
    }
}
