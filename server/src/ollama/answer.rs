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

/// The common part of all answers of one route.
pub(super) struct Answer {
    pub(super) model: Arc<Model>,
    /// The model's name as the client wrote it.
    pub(super) name: String,
    pub(super) start: Instant,
    /// Puts a text where the route's clients look for it.
    pub(super) put: fn(&mut Value, &str),
}

impl Answer {
    /// Runs a request and answers it.
    ///
    /// # Errors
    /// Fails if the request does, before its first token if it streams.
    pub(super) async fn respond(self, prompt: Vec<u32>, request: Request, stream: bool) -> Result<Response> {
        let reply = Reply::start(&self.model, [(prompt, request)]).await?;
        if stream {
            return reply.stream(Framing::Lines, move |piece| self.lines(piece)).await;
        }
        let generation = reply.finish_one().await?;
        Ok(Json(self.last(&generation, &generation.text, &generation.logprobs)).into_response())
    }

    /// Answers a request without a prompt. Ollama then only loads the model, which is loaded here.
    pub(super) fn loaded(&self) -> Response {
        let mut answer = self.part("", &[]);
        answer["done"] = true.into();
        answer["done_reason"] = "load".into();
        Json(answer).into_response()
    }

    fn lines(&self, piece: Piece<'_>) -> Vec<Value> {
        match piece {
            Piece::Start { .. } | Piece::All { .. } => Vec::new(),
            Piece::Step { step, .. } => vec![self.part(&step.text, &step.logprobs)],
            Piece::End { generation, .. } => vec![self.last(generation, "", &[])],
            Piece::Failed { error } => vec![word(error)],
        }
    }

    fn part(&self, text: &str, logprobs: &[TokenLogprobs]) -> Value {
        let mut part = json!({
            "model": self.name,
            "created_at": Timestamp::now().to_string(),
            "done": false,
        });
        (self.put)(&mut part, text);
        if !logprobs.is_empty() {
            part["logprobs"] = logprobs::entries(&self.model, logprobs).into();
        }
        part
    }

    fn last(&self, generation: &Generation, text: &str, logprobs: &[TokenLogprobs]) -> Value {
        let mut last = self.part(text, logprobs);
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
