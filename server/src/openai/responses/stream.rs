//! The items of a response's output, and the events that tell how they grow.

use serde_json::{Value, json};
use tercet_engine::{Generation, Step, TokenLogprobs};

use super::answer::{Head, status};
use crate::stream::Piece;
use crate::tools::{Parser, Part};

/// The events of one response, with their numbers.
pub(super) struct Events {
    head: Head,
    parser: Parser,
    next: usize,
    /// The items so far. All but the last are complete.
    items: Vec<Item>,
}

/// An item of the output.
struct Item {
    kind: Kind,
    id: String,
    /// The text, or the arguments.
    text: String,
    logprobs: Vec<Value>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Message,
    Reasoning,
    Call { id: String, name: String },
}

impl Kind {
    /// Returns how ids of such items begin.
    fn prefix(&self) -> &'static str {
        match self {
            Kind::Message => "msg_",
            Kind::Reasoning => "rs_",
            Kind::Call { .. } => "fc_",
        }
    }

    /// Returns how the names of events about the text begin.
    fn event(&self) -> &'static str {
        match self {
            Kind::Message => "response.output_text",
            Kind::Reasoning => "response.reasoning_text",
            Kind::Call { .. } => "response.function_call_arguments",
        }
    }
}

impl Item {
    /// Returns the item with this status.
    fn json(&self, status: &str) -> Value {
        let content = if status == "in_progress" { Vec::new() } else { self.part().into_iter().collect() };
        match &self.kind {
            Kind::Message => json!({
                "id": self.id, "type": "message", "status": status, "role": "assistant", "content": content,
            }),
            Kind::Reasoning => json!({
                "id": self.id, "type": "reasoning", "status": status, "summary": [], "content": content,
            }),
            Kind::Call { id, name } => json!({
                "id": self.id, "type": "function_call", "status": status, "call_id": id, "name": name,
                "arguments": self.text,
            }),
        }
    }

    /// Returns the text as a part of the item. Calls have none.
    fn part(&self) -> Option<Value> {
        match &self.kind {
            Kind::Message => Some(json!({
                "type": "output_text", "text": self.text, "annotations": [], "logprobs": self.logprobs,
            })),
            Kind::Reasoning => Some(json!({ "type": "reasoning_text", "text": self.text })),
            Kind::Call { .. } => None,
        }
    }
}

impl Events {
    pub(super) fn new(head: Head, parser: Parser) -> Self {
        Events { head, parser, next: 0, items: Vec::new() }
    }

    /// Returns the response with the whole text of `generation`.
    pub(super) fn whole(mut self, generation: &Generation) -> Value {
        let (ids, text) = (generation.ids.clone(), generation.text.clone());
        let step = Step { ids, text, logprobs: generation.logprobs.clone() };
        self.grow(&step);
        let mut last = self.end(generation);
        last.pop().map(|mut last| last["response"].take()).unwrap_or_default()
    }

    /// Returns the events for what happens.
    pub(super) fn say(&mut self, piece: Piece<'_>) -> Vec<Value> {
        let of_response = |kind: &str| json!({ "type": kind, "response": self.head.begun() });
        let mut events = match piece {
            Piece::Start { .. } => ["response.created", "response.in_progress"].map(of_response).into(),
            Piece::Read { .. } => vec![of_response("response.in_progress")],
            Piece::Step { step, .. } => self.grow(step),
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

    fn grow(&mut self, step: &Step) -> Vec<Value> {
        let mut parts = self.parser.push(&step.text);
        let is_text = self.items.last().is_none_or(|item| item.kind == Kind::Message);
        // Probabilities do not wait for the text.
        if parts.is_empty() && is_text && !step.logprobs.is_empty() {
            parts.push(Part::Content(String::new()));
        }
        let mut logprobs = &step.logprobs[..];
        parts.into_iter().flat_map(|part| self.add(part, std::mem::take(&mut logprobs))).collect()
    }

    /// Adds a part to the last item, or begins an item with it.
    fn add(&mut self, part: Part, logprobs: &[TokenLogprobs]) -> Vec<Value> {
        let (kind, text) = match part {
            Part::Reasoning(text) => (Kind::Reasoning, text),
            Part::Content(text) => (Kind::Message, text),
            Part::Call { index, name } => {
                return self.begin(Kind::Call { id: self.head.item_id("call_", index), name });
            }
            Part::Arguments { text, .. } => return self.extend(&text, Vec::new()),
        };
        let mut events = match self.items.last() {
            Some(item) if item.kind == kind => Vec::new(),
            _ => self.begin(kind),
        };
        events.extend(self.extend(&text, self.head.logprobs(logprobs)));
        events
    }

    fn begin(&mut self, kind: Kind) -> Vec<Value> {
        let mut events = self.end_item("completed");
        let id = self.head.item_id(kind.prefix(), self.items.len());
        let item = Item { kind, id, text: String::new(), logprobs: Vec::new() };
        let (begun, part) = (item.json("in_progress"), item.part());
        self.items.push(item);
        events.push(self.of_output("response.output_item.added", json!({ "item": begun })));
        events.extend(part.map(|part| self.of_item("response.content_part.added", json!({ "part": part }))));
        events
    }

    /// Adds text to the last item.
    fn extend(&mut self, text: &str, logprobs: Vec<Value>) -> Vec<Value> {
        let Some(item) = self.items.last_mut() else { return Vec::new() };
        item.text += text;
        let mut delta = json!({ "delta": text });
        if item.kind == Kind::Message {
            delta["logprobs"] = logprobs.clone().into();
            item.logprobs.extend(logprobs);
        }
        let event = format!("{}.delta", item.kind.event());
        vec![self.of_item(&event, delta)]
    }

    /// Ends the last item.
    fn end_item(&self, status: &str) -> Vec<Value> {
        let Some(item) = self.items.last() else { return Vec::new() };
        let done = format!("{}.done", item.kind.event());
        let whole = match &item.kind {
            Kind::Message => json!({ "text": item.text, "logprobs": item.logprobs }),
            Kind::Reasoning => json!({ "text": item.text }),
            Kind::Call { name, .. } => json!({ "name": name, "arguments": item.text }),
        };
        let mut events = vec![self.of_item(&done, whole)];
        let part = item.part();
        events.extend(part.map(|part| self.of_item("response.content_part.done", json!({ "part": part }))));
        events.push(self.of_output("response.output_item.done", json!({ "item": item.json(status) })));
        events
    }

    fn end(&mut self, generation: &Generation) -> Vec<Value> {
        let rest = self.parser.finish();
        let mut events: Vec<Value> = rest.into_iter().flat_map(|part| self.add(part, &[])).collect();
        if self.items.is_empty() {
            events.extend(self.begin(Kind::Message));
        }
        let status = status(generation);
        events.extend(self.end_item(status));
        let last = self.items.len().saturating_sub(1);
        let status_of = |at: usize| if at < last { "completed" } else { status };
        let output: Vec<Value> =
            self.items.iter().enumerate().map(|(at, item)| item.json(status_of(at))).collect();
        let response = self.head.finished(&output, generation);
        events.push(json!({ "type": format!("response.{status}"), "response": response }));
        events
    }

    /// Returns an event about the last item, with these fields.
    fn of_output(&self, kind: &str, mut event: Value) -> Value {
        event["type"] = kind.into();
        event["output_index"] = self.items.len().saturating_sub(1).into();
        event
    }

    /// Returns an event about the text of the last item, with these fields.
    fn of_item(&self, kind: &str, event: Value) -> Value {
        let mut event = self.of_output(kind, event);
        if let Some(item) = self.items.last() {
            event["item_id"] = item.id.as_str().into();
            if item.part().is_some() {
                event["content_index"] = 0.into();
            }
        }
        event
    }
}
