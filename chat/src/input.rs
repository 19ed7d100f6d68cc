//! What a chat template is given: messages and all that may come with them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Names of a message's reasoning. Templates read the first; transformers accepts all.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];
/// What stands at the end of the message that is continued, until the prompt is cut there.
const TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The speaker: `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

impl Message {
    /// Returns a turn of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into() }
    }
}

/// The arguments of transformers' `apply_chat_template`, as JSON. It can be read from an object with these fields.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ChatInput {
    /// The messages: objects with `role`, `content`, and whatever else the template reads, such as `tool_calls`.
    pub messages: Vec<Value>,
    /// The tools that the model may call, as JSON schemas.
    pub tools: Option<Vec<Value>>,
    /// Documents that the model may read, with `title` and `text`.
    pub documents: Option<Vec<Value>>,
    /// The prompt ends where the assistant's answer starts.
    pub add_generation_prompt: bool,
    /// The prompt ends within the last message, which the model continues.
    pub continue_final_message: bool,
    /// Further variables of the template, such as `enable_thinking`.
    pub chat_template_kwargs: Map<String, Value>,
}

impl ChatInput {
    /// Returns the input that asks for an answer to `messages`.
    pub fn question(messages: &[Message]) -> Self {
        let messages = messages.iter().map(|m| json!({"role": m.role, "content": m.content})).collect();
        ChatInput { messages, add_generation_prompt: true, ..ChatInput::default() }
    }

    /// Adds the template's variables, and returns the message that is continued.
    pub(super) fn variables(
        &self,
        template: &str,
        variables: &mut Map<String, Value>,
    ) -> Result<Option<Continued>> {
        variables.extend(self.chat_template_kwargs.clone());
        let mut messages = self.messages.iter().map(normalized).collect::<Result<Vec<_>>>()?;
        if messages.is_empty() {
            return Err(wrong("messages", "there are none", "give at least one message"));
        }
        if self.documents.iter().flatten().any(|document| !document.is_object()) {
            return Err(wrong("documents", "one is not an object", "give each a \"title\" and a \"text\""));
        }
        let continued = match (self.continue_final_message, self.add_generation_prompt) {
            (false, _) => None,
            (true, false) => Some(Continued::mark(messages.last_mut(), template)?),
            (true, true) => {
                let problem = "it contradicts add_generation_prompt";
                return Err(wrong("continue_final_message", problem, "give one of both"));
            }
        };
        variables.insert("messages".to_owned(), messages.into_iter().map(Value::Object).collect());
        for (name, values) in [("tools", &self.tools), ("documents", &self.documents)] {
            variables.insert(name.to_owned(), values.clone().map_or(Value::Null, Value::Array));
        }
        variables.insert("add_generation_prompt".to_owned(), self.add_generation_prompt.into());
        Ok(continued)
    }
}

/// Returns a message as transformers passes it: without fields that are null, and with its reasoning by all names.
fn normalized(message: &Value) -> Result<Map<String, Value>> {
    let Value::Object(fields) = message else {
        return Err(wrong("messages", "one is not an object", "give each a \"role\" and a \"content\""));
    };
    let given = || fields.iter().filter(|(_, value)| !value.is_null());
    let reasoning = REASONING.iter().find_map(|name| given().find(|(given, _)| given == name));
    let reasoning = reasoning.map(|(_, value)| value);
    let mut message = Map::new();
    // A template that prints the message sees the order.
    message.extend(reasoning.map(|reasoning| ("thinking".to_owned(), reasoning.clone())));
    message.extend(given().map(|(name, value)| (name.clone(), value.clone())));
    message.extend(reasoning.map(|reasoning| (REASONING[0].to_owned(), reasoning.clone())));
    Ok(message)
}

/// The text of the last message, which the model continues.
pub(super) struct Continued {
    text: String,
}

impl Continued {
    /// Marks the end of the last message's text.
    fn mark(message: Option<&mut Map<String, Value>>, template: &str) -> Result<Self> {
        let none =
            |problem: &str| wrong("continue_final_message", problem, "end with a message that has text");
        if !template.contains("content") {
            return Err(none("the template reads no content"));
        }
        let content = message.and_then(|message| message.get_mut("content"));
        let text = match content {
            Some(Value::String(text)) => Some(text),
            Some(Value::Array(parts)) => {
                parts.iter_mut().rev().find_map(|part| match part.get_mut("text")? {
                    Value::String(text) => Some(text),
                    _ => None,
                })
            }
            _ => None,
        };
        let text = text.ok_or_else(|| none("the last message has no text"))?;
        let continued = Continued { text: text.clone() };
        text.push_str(TAG);
        Ok(continued)
    }

    /// Cuts a prompt where the model continues.
    pub(super) fn cut(&self, mut prompt: String) -> Result<String> {
        let at = prompt.rfind(TAG.trim_end()).filter(|_| prompt.contains(self.text.trim()));
        let at = at.ok_or_else(|| {
            let problem = "the template does not write the last message's text";
            wrong("continue_final_message", problem, "answer without it")
        })?;
        let spaced = prompt[at..].starts_with(TAG);
        prompt.truncate(at);
        if !spaced {
            prompt.truncate(prompt.trim_end().len());
        }
        Ok(prompt)
    }
}

fn wrong(argument: &str, problem: &str, remedy: &str) -> Error {
    Error::bad_argument(argument, problem, remedy)
}
