//! The assistant's message: thoughts, text and calls, whole or in pieces.

use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::Stop;

use super::answer::{Head, finish_reason};
use crate::tools::{Parser, Part};

/// A whole message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "AssistantMessage")]
pub(super) struct Whole {
    role: &'static str,
    /// Null if there are calls alone.
    content: Option<String>,
    /// Always null.
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call>,
}

/// A call of a function.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolCall")]
struct Call {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "CalledFunction")]
struct Function {
    name: String,
    /// JSON.
    arguments: String,
}

/// A change of a message.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(super) struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallDelta>,
}

/// A change of a call. Its first one has id, type and name.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
struct CallDelta {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: FunctionDelta,
}

#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
struct FunctionDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    arguments: String,
}

impl Delta {
    /// Returns the beginning of a message.
    pub(super) fn role() -> Self {
        Delta { role: Some("assistant"), content: Some(None), ..Delta::default() }
    }

    pub(super) fn content(text: String) -> Self {
        Delta { content: Some(Some(text)), ..Delta::default() }
    }

    fn call(call: CallDelta) -> Self {
        Delta { tool_calls: vec![call], ..Delta::default() }
    }
}

/// The message of one choice, under way.
#[derive(Clone, Debug)]
pub(super) struct Message {
    parser: Parser,
    choice: usize,
    calls: usize,
}

impl Message {
    pub(super) fn new(parser: Parser, choice: usize) -> Self {
        Message { parser, choice, calls: 0 }
    }

    /// Takes the next piece of text, and returns the changes of the message.
    pub(super) fn push(&mut self, head: &Head, text: &str) -> Vec<Delta> {
        let parts = self.parser.push(text);
        parts.into_iter().map(|part| self.delta(head, part)).collect()
    }

    /// Returns the last changes.
    pub(super) fn finish(&mut self, head: &Head) -> Vec<Delta> {
        let parts = self.parser.finish();
        parts.into_iter().map(|part| self.delta(head, part)).collect()
    }

    fn delta(&mut self, head: &Head, part: Part) -> Delta {
        match part {
            Part::Reasoning(text) => Delta { reasoning_content: Some(text), ..Delta::default() },
            Part::Content(text) => Delta::content(text),
            Part::Call { index, name } => {
                self.calls += 1;
                Delta::call(CallDelta {
                    index,
                    id: Some(head.call_id(self.choice, index)),
                    kind: Some("function"),
                    function: FunctionDelta { name: Some(name), arguments: String::new() },
                })
            }
            Part::Arguments { index, text } => {
                let function = FunctionDelta { name: None, arguments: text };
                Delta::call(CallDelta { index, function, ..CallDelta::default() })
            }
        }
    }

    /// Returns OpenAI's word for the end of the text.
    pub(super) fn finish_reason(&self, stop: Stop) -> &'static str {
        match finish_reason(stop) {
            "stop" if self.calls > 0 => "tool_calls",
            reason => reason,
        }
    }

    /// Returns the whole message of `text`.
    pub(super) fn whole(&mut self, head: &Head, text: &str) -> Whole {
        let (mut reasoning, mut content, mut tool_calls) = (String::new(), String::new(), Vec::new());
        for part in [self.parser.push(text), self.parser.finish()].concat() {
            match part {
                Part::Reasoning(text) => reasoning += &text,
                Part::Content(text) => content += &text,
                Part::Call { index, name } => tool_calls.push(Call {
                    id: head.call_id(self.choice, index),
                    kind: "function",
                    function: Function { name, arguments: String::new() },
                }),
                Part::Arguments { index, text } => tool_calls[index].function.arguments += &text,
            }
        }
        self.calls = tool_calls.len();
        Whole {
            role: "assistant",
            content: Some(content).filter(|content| tool_calls.is_empty() || !content.is_empty()),
            refusal: None,
            reasoning_content: Some(reasoning).filter(|reasoning| !reasoning.is_empty()),
            tool_calls,
        }
    }
}
