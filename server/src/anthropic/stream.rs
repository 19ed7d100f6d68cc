//! The blocks of a message, and the events that tell how they grow.

use serde_json::{Value, json};
use tercet_engine::Generation;

use super::answer::{Head, stop_reason, usage};
use super::error::word;
use crate::stream::Piece;
use crate::tools::{Parser, Part};

/// A message under way: thoughts, texts and calls of tools.
pub(super) struct Blocks {
    head: Head,
    parser: Parser,
    /// The blocks so far. The input of a call is the text of its JSON.
    blocks: Vec<Value>,
}

impl Blocks {
    pub(super) fn new(head: Head, parser: Parser) -> Self {
        Blocks { head, parser, blocks: Vec::new() }
    }

    /// Returns the message with the whole text of `generation`.
    pub(super) fn whole(mut self, generation: &Generation) -> Value {
        let parts = [self.parser.push(&generation.text), self.parser.finish()].concat();
        parts.into_iter().for_each(|part| drop(self.add(part)));
        self.begin_if_empty();
        let mut blocks = self.blocks;
        blocks.iter_mut().for_each(finish);
        self.head.message(blocks, generation)
    }

    /// Returns the events for what happens.
    pub(super) fn events(&mut self, piece: Piece<'_>) -> Vec<Value> {
        match piece {
            Piece::Start { .. } => vec![json!({ "type": "message_start", "message": self.head.empty() })],
            Piece::Step { step, .. } => {
                let parts = self.parser.push(&step.text);
                parts.into_iter().flat_map(|part| self.add(part)).collect()
            }
            Piece::End { generation, .. } => {
                let parts = self.parser.finish();
                let mut events: Vec<Value> = parts.into_iter().flat_map(|part| self.add(part)).collect();
                events.extend(self.begin_if_empty());
                events.extend(self.end_block());
                let delta = json!({
                    "stop_reason": stop_reason(generation.stop, &self.blocks),
                    "stop_sequence": generation.stop_string,
                });
                events.push(json!({ "type": "message_delta", "delta": delta, "usage": usage(generation) }));
                events.push(json!({ "type": "message_stop" }));
                events
            }
            Piece::Read { .. } | Piece::All { .. } => Vec::new(),
            Piece::Failed { error } => vec![word(error)],
        }
    }

    /// Adds a part to the last block, or begins a block with it.
    fn add(&mut self, part: Part) -> Vec<Value> {
        let (kind, field, delta, text) = match part {
            Part::Call { index, name } => {
                let id = self.head.call_id(index);
                return self.begin(json!({ "type": "tool_use", "id": id, "name": name, "input": {} }));
            }
            Part::Reasoning(text) => ("thinking", "thinking", "thinking_delta", text),
            Part::Content(text) => ("text", "text", "text_delta", text),
            Part::Arguments { text, .. } => ("tool_use", "partial_json", "input_json_delta", text),
        };
        let mut events = match self.blocks.last() {
            Some(block) if block["type"] == kind => Vec::new(),
            _ if kind == "thinking" => self.begin(json!({ "type": kind, "thinking": "", "signature": "" })),
            _ => self.begin(json!({ "type": kind, "text": "" })),
        };
        if let Some(block) = self.blocks.last_mut() {
            block[field] = (block[field].as_str().unwrap_or_default().to_owned() + &text).into();
        }
        events.push(self.of_block("content_block_delta", json!({ "delta": { "type": delta, field: text } })));
        events
    }

    fn begin(&mut self, block: Value) -> Vec<Value> {
        let mut events: Vec<Value> = self.end_block().into_iter().collect();
        self.blocks.push(block.clone());
        events.push(self.of_block("content_block_start", json!({ "content_block": block })));
        events
    }

    /// Clients expect a block, also in an empty message.
    fn begin_if_empty(&mut self) -> Vec<Value> {
        match self.blocks.is_empty() {
            true => self.begin(json!({ "type": "text", "text": "" })),
            false => Vec::new(),
        }
    }

    fn end_block(&self) -> Option<Value> {
        (!self.blocks.is_empty()).then(|| self.of_block("content_block_stop", json!({})))
    }

    /// Returns an event about the last block, with these fields.
    fn of_block(&self, kind: &str, mut event: Value) -> Value {
        event["type"] = kind.into();
        event["index"] = self.blocks.len().saturating_sub(1).into();
        event
    }
}

/// Reads the input of a call. One that is cut off stays empty, because it is no JSON.
fn finish(block: &mut Value) {
    let json = block.as_object_mut().and_then(|block| block.remove("partial_json"));
    if let Some(input) = json.and_then(|json| serde_json::from_str::<Value>(json.as_str()?).ok()) {
        block["input"] = input;
    }
}
