//! The items of a response's output, and the events that tell how they grow.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tercet_engine::{Generation, Step, TokenLogprobs};

use super::answer::{Head, OutputItem, OutputPart, Response, status};
use crate::error::ErrorAnswer;
use crate::logprobs::TokenEntry;
use crate::stream::{Chunk, Framing, Piece};
use crate::telemetry::Report;
use crate::tools::{Parser, Part};

/// The status of what grows.
const IN_PROGRESS: &str = "in_progress";

/// An event, with the fields that OpenAI gives its type.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ResponseEvent")]
pub(crate) struct Event {
    #[serde(rename = "type")]
    kind: String,
    sequence_number: usize,
    #[serde(flatten)]
    fields: Map<String, Value>,
    #[serde(flatten)]
    report: Report,
}

impl Chunk for Event {
    const FRAMING: Framing = Framing::NamedEvents;
}

/// An event without its number: its type and its fields.
type Said = (String, Value);

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
    logprobs: Vec<TokenEntry>,
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
    fn with_status(&self, status: &'static str) -> OutputItem {
        let id = self.id.clone();
        let content = if status == IN_PROGRESS { Vec::new() } else { self.part().into_iter().collect() };
        match &self.kind {
            Kind::Message => OutputItem::Message { id, status, role: "assistant", content },
            Kind::Reasoning => OutputItem::Reasoning { id, status, summary: Vec::new(), content },
            Kind::Call { id: call, name } => OutputItem::FunctionCall {
                id,
                status,
                call_id: call.clone(),
                name: name.clone(),
                arguments: self.text.clone(),
            },
        }
    }

    /// Returns the text as a part of the item. Calls have none.
    fn part(&self) -> Option<OutputPart> {
        let text = self.text.clone();
        match &self.kind {
            Kind::Message => Some(OutputPart::OutputText {
                text,
                annotations: Vec::new(),
                logprobs: self.logprobs.clone(),
            }),
            Kind::Reasoning => Some(OutputPart::ReasoningText { text }),
            Kind::Call { .. } => None,
        }
    }
}

impl Events {
    pub(super) fn new(head: Head, parser: Parser) -> Self {
        Events { head, parser, next: 0, items: Vec::new() }
    }

    /// Returns the response with the whole text of `generation`.
    pub(super) fn whole(mut self, generation: &Generation) -> Response {
        let (ids, text) = (generation.ids.clone(), generation.text.clone());
        let step = Step { ids, text, logprobs: generation.logprobs.clone() };
        self.grow(&step);
        self.end(generation).1
    }

    /// Returns the events for what happens.
    pub(super) fn say(&mut self, piece: Piece<'_>, report: &Report) -> Vec<Event> {
        let of_response = |kind: &str| (kind.to_owned(), json!({ "response": self.head.begun() }));
        let events = match piece {
            Piece::Start { .. } => ["response.created", "response.in_progress"].map(of_response).into(),
            Piece::Read { .. } => vec![of_response("response.in_progress")],
            Piece::Step { step, .. } => self.grow(step),
            Piece::End { generation, .. } => {
                let (mut events, response) = self.end(generation);
                let kind = format!("response.{}", status(generation));
                events.push((kind, json!({ "response": response })));
                events
            }
            Piece::All { .. } => Vec::new(),
            // The kind of the error has no place beside that of the event.
            Piece::Failed { error } => vec![("error".to_owned(), json!(ErrorAnswer::from(error).error))],
        };
        events.into_iter().map(|(kind, fields)| self.number(kind, fields, report)).collect()
    }

    /// Gives an event its number.
    fn number(&mut self, kind: String, fields: Value, report: &Report) -> Event {
        let sequence_number = self.next;
        self.next += 1;
        let mut fields = fields.as_object().cloned().unwrap_or_default();
        fields.remove("type");
        Event { kind, sequence_number, fields, report: report.clone() }
    }

    fn grow(&mut self, step: &Step) -> Vec<Said> {
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
    fn add(&mut self, part: Part, logprobs: &[TokenLogprobs]) -> Vec<Said> {
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

    fn begin(&mut self, kind: Kind) -> Vec<Said> {
        let mut events = self.end_item("completed");
        let id = self.head.item_id(kind.prefix(), self.items.len());
        let item = Item { kind, id, text: String::new(), logprobs: Vec::new() };
        let (begun, part) = (item.with_status(IN_PROGRESS), item.part());
        self.items.push(item);
        events.push(self.of_output("response.output_item.added", json!({ "item": begun })));
        events.extend(part.map(|part| self.of_item("response.content_part.added", json!({ "part": part }))));
        events
    }

    /// Adds text to the last item.
    fn extend(&mut self, text: &str, logprobs: Vec<TokenEntry>) -> Vec<Said> {
        let Some(item) = self.items.last_mut() else { return Vec::new() };
        item.text += text;
        let mut delta = json!({ "delta": text });
        if item.kind == Kind::Message {
            delta["logprobs"] = json!(logprobs);
            item.logprobs.extend(logprobs);
        }
        let event = format!("{}.delta", item.kind.event());
        vec![self.of_item(&event, delta)]
    }

    /// Ends the last item.
    fn end_item(&self, status: &'static str) -> Vec<Said> {
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
        let item = item.with_status(status);
        events.push(self.of_output("response.output_item.done", json!({ "item": item })));
        events
    }

    /// Ends all items. Returns the whole response, too.
    fn end(&mut self, generation: &Generation) -> (Vec<Said>, Response) {
        let rest = self.parser.finish();
        let mut events: Vec<Said> = rest.into_iter().flat_map(|part| self.add(part, &[])).collect();
        if self.items.is_empty() {
            events.extend(self.begin(Kind::Message));
        }
        let status = status(generation);
        events.extend(self.end_item(status));
        let last = self.items.len().saturating_sub(1);
        let status_of = |at: usize| if at < last { "completed" } else { status };
        let output = self.items.iter().enumerate().map(|(at, item)| item.with_status(status_of(at)));
        (events, self.head.finished(output.collect(), generation))
    }

    /// Returns an event about the last item, with these fields.
    fn of_output(&self, kind: &str, mut fields: Value) -> Said {
        fields["output_index"] = self.items.len().saturating_sub(1).into();
        (kind.to_owned(), fields)
    }

    /// Returns an event about the text of the last item, with these fields.
    fn of_item(&self, kind: &str, fields: Value) -> Said {
        let (kind, mut fields) = self.of_output(kind, fields);
        if let Some(item) = self.items.last() {
            fields["item_id"] = item.id.as_str().into();
            if item.part().is_some() {
                fields["content_index"] = 0.into();
            }
        }
        (kind, fields)
    }
}
