//! The prompt of a chat with tools.

use serde_json::{Value, json};
use tercet_engine::ChatInput;

use super::Tools;
use super::format::{CLOSE, Format, OPEN};

/// Puts tools, calls and results into the form that the model's template understands.
pub(crate) fn prepare(input: &mut ChatInput, tools: Option<&Tools>, format: Format) {
    input.messages.iter_mut().for_each(parse_arguments);
    if format.native {
        input.tools = tools.map(|tools| tools.list.iter().map(|tool| tool.whole.clone()).collect());
        return;
    }
    let mut messages: Vec<Value> = Vec::new();
    for message in input.messages.drain(..) {
        match message.get("role").and_then(Value::as_str) {
            Some("assistant") if message.get("tool_calls").is_some_and(Value::is_array) => {
                messages.push(json!({ "role": "assistant", "content": with_calls(&message) }));
            }
            Some("tool" | "function") => {
                let result = format!("<tool_response>\n{}\n</tool_response>", content(&message));
                match messages.last_mut().filter(|last| last.get("tool_response").is_some()) {
                    Some(last) => last["content"] = json!(format!("{}\n{result}", content(last))),
                    None => {
                        messages.push(json!({ "role": "user", "content": result, "tool_response": true }))
                    }
                }
            }
            _ => messages.push(message),
        }
    }
    if let Some(tools) = tools {
        instruct(&mut messages, &instruction(tools));
    }
    input.messages = messages;
}

/// Reads the arguments of calls, which are JSON in a string. Templates expect the value.
fn parse_arguments(message: &mut Value) {
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(arguments) = call.pointer_mut("/function/arguments") else { continue };
        let parsed = arguments.as_str().and_then(|text| serde_json::from_str(text).ok());
        if let Some(parsed) = parsed {
            *arguments = parsed;
        }
    }
}

fn content(message: &Value) -> &str {
    message.get("content").and_then(Value::as_str).unwrap_or_default()
}

/// Returns the text of a message with its calls.
fn with_calls(message: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(Some(content(message)).filter(|text| !text.is_empty()).map(str::to_owned));
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = call.get("function").unwrap_or(call);
        let call = json!({ "name": function["name"], "arguments": function["arguments"] });
        parts.push(format!("{OPEN}\n{call}\n{CLOSE}"));
    }
    parts.join("\n")
}

fn instruction(tools: &Tools) -> String {
    let described =
        tools.list.iter().map(|tool| tool.whole.get("function").unwrap_or(&tool.whole).to_string());
    format!(
        "You can call functions. Each line describes one of them:\n{}\n\nTo call a function, write its name and its \
         arguments in this form:\n{OPEN}\n{{\"name\": \"function\", \"arguments\": {{}}}}\n{CLOSE}\nThe next message then has \
         the result.",
        described.collect::<Vec<_>>().join("\n")
    )
}

/// Adds an instruction to the system's message, which begins the chat.
fn instruct(messages: &mut Vec<Value>, instruction: &str) {
    let is_system = |message: &&mut Value| message["role"] == "system";
    match messages.first_mut().filter(is_system) {
        Some(system) => system["content"] = json!(format!("{}\n\n{instruction}", content(system))),
        None => messages.insert(0, json!({ "role": "system", "content": instruction })),
    }
}
