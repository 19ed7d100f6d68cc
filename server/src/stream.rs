//! Answers that are sent as they grow.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::ready;
use std::marker::PhantomData;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tercet_engine::{Generation, Step};

use crate::error::{ApiError, Result};
use crate::openapi::{self, Fault, Schemas};
use crate::reply::Reply;
use crate::runner::News;
use crate::telemetry::{Account, Report};
use crate::timings::Timings;

/// Silence after which a stream of events sends a comment, so that nobody in between closes it.
const PING: Duration = Duration::from_secs(15);

/// The content types of events, and of lines of JSON.
const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

/// How the messages of a stream are framed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    /// Server-sent events, which end with `[DONE]`.
    Events,
    /// Server-sent events, each named as its `type`.
    NamedEvents,
    /// A line of JSON for each.
    Lines,
}

/// What happens in a stream.
pub(crate) enum Piece<'a> {
    /// Choice `index` begins.
    Start { index: usize },
    /// A part of the prompt of choice `index` was read.
    Read { index: usize },
    /// Choice `index` goes on.
    Step { index: usize, step: &'a Step },
    /// Choice `index` has ended.
    End { index: usize, generation: &'a Generation },
    /// All choices have ended.
    All { generations: &'a [Generation] },
    /// The answer ends here by a fault. The status has been sent, so that a message tells it.
    Failed { error: &'a ApiError },
}

/// The messages of a stream.
pub(crate) trait Chunk: Serialize + JsonSchema + Send + 'static {
    const FRAMING: Framing;
}

/// A message of a stream: a part of the text, or the error that ends it.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Message<C, E> {
    Chunk(C),
    Failed(E),
}

impl<C: Chunk, E: Fault + Send> Chunk for Message<C, E> {
    const FRAMING: Framing = C::FRAMING;
}

impl<C, E: Fault> From<&ApiError> for Message<C, E> {
    fn from(error: &ApiError) -> Self {
        Message::Failed(error.into())
    }
}

/// An answer of type `W` as a whole, or in messages of type `C`.
pub(crate) enum Sent<W, C> {
    Whole(W),
    Streamed(Response, PhantomData<fn(C)>),
}

impl<W: Serialize, C> IntoResponse for Sent<W, C> {
    fn into_response(self) -> Response {
        match self {
            Sent::Whole(whole) => Json(whole).into_response(),
            Sent::Streamed(response, _) => response,
        }
    }
}

impl<W: Serialize + JsonSchema, C: Chunk> openapi::Answer for Sent<W, C> {
    fn content(schemas: &mut Schemas) -> Map<String, Value> {
        let mut content = Json::<W>::content(schemas);
        let message = schemas.of_answer::<C>();
        let data =
            json!({ "type": "string", "contentMediaType": "application/json", "contentSchema": message });
        let (kind, schema) = match C::FRAMING {
            Framing::Events => (
                EVENTS,
                json!({
                    "type": "object",
                    "description": "An event. The last one has the data `[DONE]`.",
                    "required": ["data"],
                    "properties": { "data": data },
                }),
            ),
            Framing::NamedEvents => (
                EVENTS,
                json!({
                    "type": "object",
                    "description": "An event, whose name is the type of its data.",
                    "required": ["event", "data"],
                    "properties": { "event": { "type": "string" }, "data": data },
                }),
            ),
            Framing::Lines => (LINES, data),
        };
        content.insert(kind.to_owned(), json!({ "schema": schema }));
        content
    }
}

impl Reply {
    /// Sends the choices as they grow, in the messages that `say` makes of what happens.
    ///
    /// # Errors
    /// Fails, with a status instead of a stream, if the request does before its first token.
    pub(crate) async fn stream<W, C, F>(mut self, say: F) -> Result<Sent<W, C>>
    where
        C: Chunk,
        F: FnMut(Piece<'_>, &Report) -> Vec<C> + Send + 'static,
    {
        let first = self.next().await;
        if let Some((_, News::Failed(error))) = first {
            return Err(error);
        }
        let choices = self.choices();
        let (silent, accounts) = (vec![Vec::new(); choices], vec![Account::default(); choices]);
        let mut speaker =
            Speaker { reply: self, say, waiting: VecDeque::new(), silent, accounts, ended: false };
        (0..choices).for_each(|index| speaker.say(Piece::Start { index }));
        speaker.hear(first);
        Ok(Sent::Streamed(C::FRAMING.respond(stream::unfold(speaker, Speaker::next)), PhantomData))
    }
}

impl Framing {
    fn respond<C: Chunk>(self, messages: impl Stream<Item = C> + Send + 'static) -> Response {
        let messages = messages.map(|message| json!(message));
        match self {
            Framing::Events => {
                let data = |message: Value| Event::default().data(message.to_string());
                let done = stream::once(ready(Event::default().data("[DONE]")));
                events(messages.map(data).chain(done))
            }
            Framing::NamedEvents => events(messages.map(|message| {
                let name = message["type"].as_str().unwrap_or_default();
                Event::default().event(name).data(message.to_string())
            })),
            Framing::Lines => {
                let lines = messages.map(|message| Ok::<_, Infallible>(format!("{message}\n")));
                ([(CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response()
            }
        }
    }
}

fn events(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::new().interval(PING)).into_response()
}

/// Turns news into messages. Dropping it cancels the choices that go on.
struct Speaker<C, F> {
    reply: Reply,
    say: F,
    waiting: VecDeque<C>,
    /// Tokens of each choice whose text is not certain.
    silent: Vec<Vec<u32>>,
    accounts: Vec<Account>,
    ended: bool,
}

impl<C, F: FnMut(Piece<'_>, &Report) -> Vec<C>> Speaker<C, F> {
    async fn next(mut self) -> Option<(C, Self)> {
        while self.waiting.is_empty() && !self.ended {
            let news = self.reply.next().await;
            self.hear(news);
        }
        let message = self.waiting.pop_front()?;
        Some((message, self))
    }

    fn hear(&mut self, news: Option<(usize, News)>) {
        match news {
            Some((index, News::Progress(progress))) => {
                self.accounts[index].read(progress);
                if self.reply.telemetry().return_progress {
                    let timings = self.timings(self.accounts[index].timings());
                    let report = Report { prompt_progress: Some(progress.into()), timings };
                    self.say_with(Piece::Read { index }, &report);
                }
            }
            Some((index, News::Step(mut step))) => {
                // Tokens that have no text yet go with the next text.
                step.ids.splice(0..0, self.silent[index].drain(..));
                if step.text.is_empty() && step.logprobs.is_empty() {
                    self.silent[index] = step.ids;
                } else {
                    self.accounts[index].count(&step);
                    let timings = self.timings(self.accounts[index].timings());
                    let report = Report { prompt_progress: None, timings };
                    self.say_with(Piece::Step { index, step: &step }, &report);
                }
            }
            Some((index, News::Finished(generation))) => {
                let timings = self.timings((&generation).into());
                let report = Report { prompt_progress: None, timings };
                self.say_with(Piece::End { index, generation: &generation }, &report);
                self.reply.keep(index, generation);
            }
            Some((_, News::Failed(error))) => self.fail(&error),
            None => match self.reply.take_finished() {
                Ok(generations) => {
                    self.say(Piece::All { generations: &generations });
                    self.ended = true;
                }
                Err(error) => self.fail(&error),
            },
        }
    }

    fn say(&mut self, piece: Piece<'_>) {
        self.say_with(piece, &Report::default());
    }

    fn say_with(&mut self, piece: Piece<'_>, report: &Report) {
        self.waiting.extend((self.say)(piece, report));
    }

    /// Returns the times so far if the client wants them with every token.
    fn timings(&self, timings: Timings) -> Option<Timings> {
        self.reply.telemetry().timings_per_token.then_some(timings)
    }

    fn fail(&mut self, error: &ApiError) {
        self.say(Piece::Failed { error });
        self.ended = true;
        self.reply.cancel();
    }
}
