//! The answers of `/api/chat` and `/api/generate`, whole or line by line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use tercet_engine::{Generation, Request, Stop, TokenLogprobs};

use super::error::word;
use crate::error::Result;
use crate::logprobs;
use crate::models::Model;
use crate::reply::Reply;
use crate::stream::{Framing, Piece};
use crate::telemetry::Telemetry;
use crate::tools::{Parser, Part};

/// A piece of a text, or all of it.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) thoughts: String,
    pub(super) content: String,
    /// Functions with a name and arguments. A call is told as a whole.
    pub(super) calls: Vec<Value>,
}

/// The answer of one route.
pub(super) struct Answer {
    model: Arc<Model>,
    /// The model's name as the client wrote it.
    name: String,
    start: Instant,
    /// Puts a text where the route's clients look for it.
    put: fn(&mut Value, &Parts),
    /// Takes the answer of a chat apart.
    parser: Option<Parser>,
    /// The call that grows: its name, and the text of its arguments.
    call: Option<(String, String)>,
}

impl Answer {
    pub(super) fn new(model: &Arc<Model>, name: &str, start: Instant, put: fn(&mut Value, &Parts)) -> Self {
        let (model, name) = (Arc::clone(model), name.to_owned());
        Answer { model, name, start, put, parser: None, call: None }
    }

    /// Returns the answer of a chat, which may have thoughts and calls.
    pub(super) fn of_chat(self, parser: Parser) -> Self {
        Answer { parser: Some(parser), ..self }
    }

    /// Runs a request and answers it.
    ///
    /// # Errors
    /// Fails if the request does, before its first token if it streams.
    pub(super) async fn respond(
        mut self,
        prompt: Vec<u32>,
        request: Request,
        stream: bool,
    ) -> Result<Response> {
        let reply = Reply::start(&self.model, [(prompt, request)], Telemetry::default()).await?;
        if stream {
            return reply.stream(Framing::Lines, move |piece| self.lines(piece)).await;
        }
        let generation = reply.finish_one().await?;
        let mut parts = Parts::default();
        self.take(&generation.text, &mut parts);
        self.take_rest(&mut parts);
        Ok(Json(self.last(&generation, &parts, &generation.logprobs)).into_response())
    }

    /// Answers a request without a prompt. Ollama then only loads the model, which is loaded here.
    pub(super) fn loaded(&self) -> Response {
        let mut answer = self.part(&Parts::default(), &[]);
        answer["done"] = true.into();
        answer["done_reason"] = "load".into();
        Json(answer).into_response()
    }

    fn lines(&mut self, piece: Piece<'_>) -> Vec<Value> {
        match piece {
            Piece::Start { .. } | Piece::Read { .. } | Piece::All { .. } => Vec::new(),
            Piece::Step { step, .. } => {
                let mut parts = Parts::default();
                self.take(&step.text, &mut parts);
                vec![self.part(&parts, &step.logprobs)]
            }
            Piece::End { generation, .. } => {
                let mut parts = Parts::default();
                self.take_rest(&mut parts);
                vec![self.last(generation, &parts, &[])]
            }
            Piece::Failed { error } => vec![word(error)],
        }
    }

    /// Takes the next text apart.
    fn take(&mut self, text: &str, into: &mut Parts) {
        let Some(parser) = &mut self.parser else {
            into.content += text;
            return;
        };
        for part in parser.push(text) {
            self.add(part, into);
        }
    }

    /// Takes the rest at the end.
    fn take_rest(&mut self, into: &mut Parts) {
        for part in self.parser.as_mut().map(Parser::finish).unwrap_or_default() {
            self.add(part, into);
        }
        self.end_call(into);
    }

    fn add(&mut self, part: Part, into: &mut Parts) {
        match part {
            Part::Reasoning(text) => into.thoughts += &text,
            Part::Content(text) => into.content += &text,
            Part::Call { name, .. } => {
                self.end_call(into);
                self.call = Some((name, String::new()));
            }
            Part::Arguments { text, .. } => self.call.iter_mut().for_each(|call| call.1 += &text),
        }
    }

    /// Tells the call that has grown. One that is cut off has no arguments, because they are no JSON.
    fn end_call(&mut self, into: &mut Parts) {
        let call = self.call.take().map(|(name, arguments)| {
            let arguments: Value = serde_json::from_str(&arguments).unwrap_or(json!({}));
            json!({ "name": name, "arguments": arguments })
        });
        into.calls.extend(call);
    }

    fn part(&self, parts: &Parts, logprobs: &[TokenLogprobs]) -> Value {
        let mut part = json!({
            "model": self.name,
            "created_at": Timestamp::now().to_string(),
            "done": false,
        });
        (self.put)(&mut part, parts);
        if !logprobs.is_empty() {
            part["logprobs"] = logprobs::entries(&self.model, logprobs).into();
        }
        part
    }

    fn last(&self, generation: &Generation, parts: &Parts, logprobs: &[TokenLogprobs]) -> Value {
        let mut last = self.part(parts, logprobs);
        let fields = json!({
            "done": true,
            "done_reason": if generation.stop == Stop::Length { "length" } else { "stop" },
            "total_duration": nanoseconds(self.start.elapsed()),
            "load_duration": 0,
            "prompt_eval_count": generation.prompt_tokens + generation.cached_tokens,
            "prompt_eval_duration": nanoseconds(generation.prefill),
            "eval_count": generation.ids.len(),
            "eval_duration": nanoseconds(generation.decode),
        });
        if let (Value::Object(last), Value::Object(fields)) = (&mut last, fields) {
            last.extend(fields);
        }
        last
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
