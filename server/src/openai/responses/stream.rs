//! The events of a response that is sent as it grows.

use serde_json::{Value, json};
use tercet_engine::Generation;

use super::answer::{Head, part, status};
use crate::stream::Piece;

/// The events of one response, with their numbers.
pub(super) struct Events {
    head: Head,
    next: usize,
}

impl Events {
    pub(super) fn new(head: Head) -> Self {
        Events { head, next: 0 }
    }

    /// Returns the events for what happens. There is one item with one part, the text.
    pub(super) fn say(&mut self, piece: Piece<'_>) -> Vec<Value> {
        let mut events = match piece {
            Piece::Start { .. } => self.begin(),
            Piece::Step { step, .. } => {
                let logprobs = self.head.logprobs(&step.logprobs);
                let delta = json!({ "delta": step.text, "logprobs": logprobs });
                vec![self.of_text("response.output_text.delta", delta)]
            }
            Piece::End { generation, .. } => self.end(generation),
            Piece::All { .. } => Vec::new(),
            Piece::Failed { error } => {
                let mut event = error.body()["error"].take();
                event["type"] = "error".into();
                vec![event]
            }
        };
        for event in &mut events {
            event["sequence_number"] = self.next.into();
            self.next += 1;
        }
        events
    }

    fn begin(&self) -> Vec<Value> {
        let response = self.head.begun();
        vec![
            json!({ "type": "response.created", "response": response }),
            json!({ "type": "response.in_progress", "response": response }),
            self.of_item("response.output_item.added", self.head.message("in_progress", Vec::new())),
            self.of_text("response.content_part.added", json!({ "part": part("", Vec::new()) })),
        ]
    }

    fn end(&self, generation: &Generation) -> Vec<Value> {
        let (status, part) = (status(generation), self.head.part(generation));
        let text = json!({ "text": generation.text, "logprobs": part["logprobs"] });
        vec![
            self.of_text("response.output_text.done", text),
            self.of_text("response.content_part.done", json!({ "part": part })),
            self.of_item("response.output_item.done", self.head.message(status, vec![part])),
            json!({ "type": format!("response.{status}"), "response": self.head.finished(generation) }),
        ]
    }

    fn of_item(&self, kind: &str, item: Value) -> Value {
        json!({ "type": kind, "output_index": 0, "item": item })
    }

    /// Returns an event about the text, with these fields.
    fn of_text(&self, kind: &str, mut event: Value) -> Value {
        event["type"] = kind.into();
        event["item_id"] = self.head.item.as_str().into();
        (event["output_index"], event["content_index"]) = (0.into(), 0.into());
        event
    }
}
