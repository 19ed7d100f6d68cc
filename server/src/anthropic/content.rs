//! From Anthropic's messages, which consist of blocks, to those of chat templates.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::prompt::text_of;

/// A message.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "MessagesTurn")]
pub(super) struct Turn {
    role: String,
    content: Content,
}

/// A text, or blocks of several kinds.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "MessagesContent")]
pub(super) enum Content {
    Text(String),
    Blocks(#[schemars(with = "Vec<Map<String, Value>>")] Vec<Value>),
}

impl Content {
    fn into_blocks(self) -> Vec<Value> {
        match self {
            Content::Text(text) => vec![json!({ "type": "text", "text": text })],
            Content::Blocks(blocks) => blocks,
        }
    }
}

/// Returns the messages for a chat template. Consecutive messages of one role are one.
///
/// # Errors
/// Fails with status 400 if a block is neither text, thought, nor about a tool.
pub(super) fn messages(system: Option<Content>, turns: Vec<Turn>) -> Result<Vec<Value>> {
    let system = system.map(|content| Turn { role: "system".to_owned(), content });
    let mut merged: Vec<(String, Vec<Value>)> = Vec::new();
    for Turn { role, content } in system.into_iter().chain(turns) {
        match merged.last_mut() {
            Some((last, blocks)) if *last == role => blocks.extend(content.into_blocks()),
            _ => merged.push((role, content.into_blocks())),
        }
    }
    let mut messages = Vec::new();
    for (role, blocks) in merged {
        split(&role, blocks, &mut messages)?;
    }
    Ok(messages)
}

/// Adds a turn: its texts, thoughts and calls are one message, and each result of a tool is another.
fn split(role: &str, blocks: Vec<Value>, messages: &mut Vec<Value>) -> Result<()> {
    let (mut texts, mut calls, mut thoughts) = (Vec::new(), Vec::new(), String::new());
    for block in blocks {
        match block["type"].as_str() {
            Some("tool_use") => calls.push(json!({
                "id": block["id"],
                "type": "function",
                "function": { "name": block["name"], "arguments": block["input"] },
            })),
            Some("thinking") => thoughts.push_str(block["thinking"].as_str().unwrap_or_default()),
            // Nobody can read it.
            Some("redacted_thinking") => {}
            Some("tool_result") => {
                if !texts.is_empty() {
                    messages.push(json!({ "role": role, "content": std::mem::take(&mut texts) }));
                }
                messages.push(result(&block)?);
            }
            _ => texts.push(block),
        }
    }
    if texts.is_empty() && calls.is_empty() && thoughts.is_empty() {
        return Ok(());
    }
    let mut message = json!({ "role": role, "content": texts });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    if !thoughts.is_empty() {
        message["reasoning_content"] = thoughts.into();
    }
    messages.push(message);
    Ok(())
}

fn result(block: &Value) -> Result<Value> {
    let text = match &block["content"] {
        Value::Array(parts) => text_of(parts)?,
        text => text.as_str().unwrap_or_default().to_owned(),
    };
    Ok(json!({ "role": "tool", "tool_call_id": block["tool_use_id"], "content": text }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::plain_messages;

    fn converted(system: Value, turns: Value) -> Result<Value> {
        let system = serde_json::from_value(system).unwrap();
        let messages = messages(system, serde_json::from_value(turns).unwrap())?;
        Ok(plain_messages(messages)?.into())
    }

    #[test]
    fn blocks_become_messages_in_their_order() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let turns = json!([
            { "role": "user", "content": "Is it warm?" },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "I must look.", "signature": "" },
                { "type": "tool_use", "id": "t1", "name": "weather", "input": { "city": "Bonn" } },
            ]},
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "t1", "content": [text("20"), text("degrees")] },
                text("And now?"),
            ]},
            { "role": "user", "content": "Say it briefly." },
        ]);
        let expected = json!([
            { "role": "system", "content": "Be kind." },
            { "role": "user", "content": "Is it warm?" },
            { "role": "assistant", "content": "", "reasoning_content": "I must look.", "tool_calls": [
                { "id": "t1", "type": "function",
                  "function": { "name": "weather", "arguments": { "city": "Bonn" } } },
            ]},
            { "role": "tool", "tool_call_id": "t1", "content": "20\n\ndegrees" },
            { "role": "user", "content": "And now?\n\nSay it briefly." },
        ]);
        assert_eq!(converted(json!([text("Be kind.")]), turns).unwrap(), expected);
    }

    #[test]
    fn an_image_is_refused_by_name() {
        let turns = json!([{ "role": "user", "content": [{ "type": "image", "source": {} }] }]);
        assert!(
            converted(Value::Null, turns).unwrap_err().message().contains("image input is not supported")
        );
    }
}
