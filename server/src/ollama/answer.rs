//! The answers of `/api/chat` and `/api/generate`, whole or line by line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tercet_engine::{Generation, Request, Stop, TokenLogprobs};

use super::error::ErrorAnswer;
use crate::error::Result;
use crate::logprobs::{self, TokenEntry};
use crate::models::Model;
use crate::reply::Reply;
use crate::stream::{Chunk, Framing, Message, Piece, Sent};
use crate::telemetry::{Report, Telemetry};
use crate::tools::{Parser, Part};

/// A piece of a text, or all of it.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) thoughts: String,
    pub(super) content: String,
    /// A call is told as a whole.
    pub(super) calls: Vec<Function>,
}

/// A function that is called.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "OllamaFunction")]
pub(super) struct Function {
    name: String,
    arguments: Map<String, Value>,
}

/// The text of an answer, where a route's clients look for it.
pub(super) trait Content: Serialize + JsonSchema + Send + From<Parts> + 'static {}

impl<T: Serialize + JsonSchema + Send + From<Parts> + 'static> Content for T {}

/// An answer, or a line of one.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Answer<T> {
    model: String,
    created_at: String,
    #[serde(flatten)]
    content: T,
    done: bool,
    /// Why it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<TokenEntry>>,
    #[serde(flatten)]
    totals: Option<Totals>,
}

impl<T: Content> Chunk for Answer<T> {
    const FRAMING: Framing = Framing::Lines;
}

/// Tokens and nanoseconds of a whole answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OllamaTotals")]
struct Totals {
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: usize,
    prompt_eval_duration: u64,
    eval_count: usize,
    eval_duration: u64,
}

/// The answer of a route of Ollama.
pub(super) type Reaction<T> = Sent<Answer<T>, Message<Answer<T>, ErrorAnswer>>;

/// An answer under way.
pub(super) struct Draft {
    model: Arc<Model>,
    /// The model's name as the client wrote it.
    name: String,
    start: Instant,
    /// Takes the answer of a chat apart.
    parser: Option<Parser>,
    /// The call that grows: its name, and the text of its arguments.
    call: Option<(String, String)>,
}

impl Draft {
    pub(super) fn new(model: &Arc<Model>, name: &str, start: Instant) -> Self {
        Draft { model: Arc::clone(model), name: name.to_owned(), start, parser: None, call: None }
    }

    /// Returns the answer of a chat, which may have thoughts and calls.
    pub(super) fn of_chat(self, parser: Parser) -> Self {
        Draft { parser: Some(parser), ..self }
    }

    /// Runs a request and answers it.
    ///
    /// # Errors
    /// Fails if the request does, before its first token if it streams.
    pub(super) async fn respond<T: Content>(
        mut self,
        prompt: Vec<u32>,
        request: Request,
        stream: bool,
    ) -> Result<Reaction<T>> {
        let reply = Reply::start(&self.model, [(prompt, request)], Telemetry::default()).await?;
        if stream {
            return reply.stream(move |piece: Piece<'_>, _: &Report| self.lines(piece)).await;
        }
        let generation = reply.finish_one().await?;
        let mut parts = Parts::default();
        self.take(&generation.text, &mut parts);
        self.take_rest(&mut parts);
        Ok(Sent::Whole(self.last(&generation, parts, &generation.logprobs)))
    }

    /// Answers a request without a prompt. Ollama then only loads the model, which is loaded here.
    pub(super) fn loaded<T: Content>(&self) -> Reaction<T> {
        let answer = self.part(Parts::default(), &[]);
        Sent::Whole(Answer { done: true, done_reason: Some("load"), ..answer })
    }

    fn lines<T: Content>(&mut self, piece: Piece<'_>) -> Vec<Message<Answer<T>, ErrorAnswer>> {
        match piece {
            Piece::Start { .. } | Piece::Read { .. } | Piece::All { .. } => Vec::new(),
            Piece::Step { step, .. } => {
                let mut parts = Parts::default();
                self.take(&step.text, &mut parts);
                vec![Message::Chunk(self.part(parts, &step.logprobs))]
            }
            Piece::End { generation, .. } => {
                let mut parts = Parts::default();
                self.take_rest(&mut parts);
                vec![Message::Chunk(self.last(generation, parts, &[]))]
            }
            Piece::Failed { error } => vec![error.into()],
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
        let call = self.call.take().map(|(name, arguments)| Function {
            name,
            arguments: serde_json::from_str(&arguments).unwrap_or_default(),
        });
        into.calls.extend(call);
    }

    fn part<T: Content>(&self, parts: Parts, logprobs: &[TokenLogprobs]) -> Answer<T> {
        Answer {
            model: self.name.clone(),
            created_at: Timestamp::now().to_string(),
            content: parts.into(),
            done: false,
            done_reason: None,
            logprobs: (!logprobs.is_empty()).then(|| logprobs::entries(&self.model, logprobs)),
            totals: None,
        }
    }

    fn last<T: Content>(
        &self,
        generation: &Generation,
        parts: Parts,
        logprobs: &[TokenLogprobs],
    ) -> Answer<T> {
        let totals = Totals {
            total_duration: nanoseconds(self.start.elapsed()),
            load_duration: 0,
            prompt_eval_count: generation.prompt_tokens + generation.cached_tokens,
            prompt_eval_duration: nanoseconds(generation.prefill),
            eval_count: generation.ids.len(),
            eval_duration: nanoseconds(generation.decode),
        };
        let reason = if generation.stop == Stop::Length { "length" } else { "stop" };
        let part = self.part(parts, logprobs);
        Answer { done: true, done_reason: Some(reason), totals: Some(totals), ..part }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
