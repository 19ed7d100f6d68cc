//! The assistant's message: thoughts, text and calls, whole or in pieces.

use serde_json::{Value, json};
use tercet_engine::Stop;

use super::answer::{Head, finish_reason};
use crate::tools::{Parser, Part};

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
    pub(super) fn push(&mut self, head: &Head, text: &str) -> Vec<Value> {
        let parts = self.parser.push(text);
        parts.into_iter().map(|part| self.delta(head, part)).collect()
    }

    /// Returns the last changes.
    pub(super) fn finish(&mut self, head: &Head) -> Vec<Value> {
        let parts = self.parser.finish();
        parts.into_iter().map(|part| self.delta(head, part)).collect()
    }

    fn delta(&mut self, head: &Head, part: Part) -> Value {
        match part {
            Part::Reasoning(text) => json!({ "reasoning_content": text }),
            Part::Content(text) => json!({ "content": text }),
            Part::Call { index, name } => {
                self.calls += 1;
                let function = json!({ "name": name, "arguments": "" });
                let id = head.call_id(self.choice, index);
                json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] })
            }
            Part::Arguments { index, text } => {
                json!({ "tool_calls": [{ "index": index, "function": { "arguments": text } }] })
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
    pub(super) fn whole(&mut self, head: &Head, text: &str) -> Value {
        let (mut reasoning, mut content, mut calls) = (String::new(), String::new(), Vec::new());
        for part in [self.parser.push(text), self.parser.finish()].concat() {
            match part {
                Part::Reasoning(text) => reasoning += &text,
                Part::Content(text) => content += &text,
                Part::Call { index, name } => {
                    calls.push((head.call_id(self.choice, index), name, String::new()))
                }
                Part::Arguments { index, text } => calls[index].2 += &text,
            }
        }
        self.calls = calls.len();
        let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
        if !reasoning.is_empty() {
            message["reasoning_content"] = json!(reasoning);
        }
        if !calls.is_empty() {
            if content.is_empty() {
                message["content"] = Value::Null;
            }
            let call = |(id, name, arguments)| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
            message["tool_calls"] = calls.into_iter().map(call).collect();
        }
        message
    }
}
