//! The blocks of a message, and the events that tell how they grow.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tercet_engine::Generation;

use super::answer::{Block, Head, Message, Usage, stop_reason};
use super::error::ErrorAnswer;
use crate::stream::{self, Chunk, Framing, Piece};
use crate::tools::{Parser, Part};

/// An event, with the fields that Anthropic gives its type.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MessagesEvent")]
pub(crate) struct Event {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Chunk for Event {
    const FRAMING: Framing = Framing::NamedEvents;
}

/// A message of the stream.
pub(super) type Said = stream::Message<Event, ErrorAnswer>;

fn event(kind: &'static str, fields: Value) -> Said {
    stream::Message::Chunk(Event { kind, fields: fields.as_object().cloned().unwrap_or_default() })
}

/// A message under way: thoughts, texts and calls of tools.
pub(super) struct Blocks {
    head: Head,
    parser: Parser,
    /// The blocks so far. Calls are without their input.
    blocks: Vec<Block>,
    /// The input of the last block, which is a call, as the text of its JSON.
    input: String,
}

impl Blocks {
    pub(super) fn new(head: Head, parser: Parser) -> Self {
        Blocks { head, parser, blocks: Vec::new(), input: String::new() }
    }

    /// Returns the message with the whole text of `generation`.
    pub(super) fn whole(mut self, generation: &Generation) -> Message {
        let parts = [self.parser.push(&generation.text), self.parser.finish()].concat();
        parts.into_iter().for_each(|part| drop(self.add(part)));
        self.begin_if_empty();
        self.end_block();
        self.head.message(self.blocks, generation)
    }

    /// Returns the events for what happens.
    pub(super) fn events(&mut self, piece: Piece<'_>) -> Vec<Said> {
        match piece {
            Piece::Start { .. } => vec![event("message_start", json!({ "message": self.head.empty() }))],
            Piece::Step { step, .. } => {
                let parts = self.parser.push(&step.text);
                parts.into_iter().flat_map(|part| self.add(part)).collect()
            }
            Piece::End { generation, .. } => {
                let parts = self.parser.finish();
                let mut events: Vec<Said> = parts.into_iter().flat_map(|part| self.add(part)).collect();
                events.extend(self.begin_if_empty());
                events.extend(self.end_block());
                let delta = json!({
                    "stop_reason": stop_reason(generation.stop, &self.blocks),
                    "stop_sequence": generation.stop_string,
                });
                let usage = Usage::from(generation);
                events.push(event("message_delta", json!({ "delta": delta, "usage": usage })));
                events.push(event("message_stop", json!({})));
                events
            }
            Piece::Read { .. } | Piece::All { .. } => Vec::new(),
            Piece::Failed { error } => vec![error.into()],
        }
    }

    /// Adds a part to the last block, or begins a block with it.
    fn add(&mut self, part: Part) -> Vec<Said> {
        let mut events = Vec::new();
        let delta = match part {
            Part::Call { index, name } => {
                let id = self.head.call_id(index);
                return self.begin(Block::ToolUse { id, name, input: Map::new() });
            }
            Part::Arguments { text, .. } => {
                self.input += &text;
                json!({ "type": "input_json_delta", "partial_json": text })
            }
            Part::Reasoning(more) => {
                if !matches!(self.blocks.last(), Some(Block::Thinking { .. })) {
                    events =
                        self.begin(Block::Thinking { thinking: String::new(), signature: String::new() });
                }
                if let Some(Block::Thinking { thinking, .. }) = self.blocks.last_mut() {
                    *thinking += &more;
                }
                json!({ "type": "thinking_delta", "thinking": more })
            }
            Part::Content(more) => {
                if !matches!(self.blocks.last(), Some(Block::Text { .. })) {
                    events = self.begin(Block::Text { text: String::new() });
                }
                if let Some(Block::Text { text }) = self.blocks.last_mut() {
                    *text += &more;
                }
                json!({ "type": "text_delta", "text": more })
            }
        };
        events.push(self.of_block("content_block_delta", json!({ "delta": delta })));
        events
    }

    fn begin(&mut self, block: Block) -> Vec<Said> {
        let mut events: Vec<Said> = self.end_block().into_iter().collect();
        let begun = json!({ "content_block": block });
        self.blocks.push(block);
        events.push(self.of_block("content_block_start", begun));
        events
    }

    /// Clients expect a block, also in an empty message.
    fn begin_if_empty(&mut self) -> Vec<Said> {
        match self.blocks.is_empty() {
            true => self.begin(Block::Text { text: String::new() }),
            false => Vec::new(),
        }
    }

    /// Ends the last block. The input of a call that is cut off stays empty, because it is no JSON.
    fn end_block(&mut self) -> Option<Said> {
        let given = std::mem::take(&mut self.input);
        if let Block::ToolUse { input, .. } = self.blocks.last_mut()? {
            *input = serde_json::from_str(&given).unwrap_or_default();
        }
        Some(self.of_block("content_block_stop", json!({})))
    }

    /// Returns an event about the last block, with these fields.
    fn of_block(&self, kind: &'static str, mut fields: Value) -> Said {
        fields["index"] = self.blocks.len().saturating_sub(1).into();
        event(kind, fields)
    }
}
