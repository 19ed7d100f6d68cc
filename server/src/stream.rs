//! Answers that are sent as they grow.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::Value;
use tercet_engine::{Generation, Step};

use crate::error::{ApiError, Result};
use crate::reply::Reply;
use crate::runner::News;
use crate::telemetry::Account;
use crate::timings::timings;

/// Silence after which a stream of events sends a comment, so that nobody in between closes it.
const PING: Duration = Duration::from_secs(15);

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

impl Reply {
    /// Sends the choices as they grow, in the messages that `say` makes of what happens.
    ///
    /// # Errors
    /// Fails, with a status instead of a stream, if the request does before its first token.
    pub(crate) async fn stream<F>(mut self, framing: Framing, say: F) -> Result<Response>
    where
        F: FnMut(Piece<'_>) -> Vec<Value> + Send + 'static,
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
        Ok(framing.respond(stream::unfold(speaker, Speaker::next)))
    }
}

impl Framing {
    fn respond(self, messages: impl Stream<Item = Value> + Send + 'static) -> Response {
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
                ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
            }
        }
    }
}

fn events(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::new().interval(PING)).into_response()
}

/// Turns news into messages. Dropping it cancels the choices that go on.
struct Speaker<F> {
    reply: Reply,
    say: F,
    waiting: VecDeque<Value>,
    /// Tokens of each choice whose text is not certain.
    silent: Vec<Vec<u32>>,
    accounts: Vec<Account>,
    ended: bool,
}

impl<F: FnMut(Piece<'_>) -> Vec<Value>> Speaker<F> {
    async fn next(mut self) -> Option<(Value, Self)> {
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
                    let progress = ("prompt_progress", progress.json());
                    let times = self.times(self.accounts[index].timings());
                    self.say_with(Piece::Read { index }, Some(progress).into_iter().chain(times));
                }
            }
            Some((index, News::Step(mut step))) => {
                // Tokens that have no text yet go with the next text.
                step.ids.splice(0..0, self.silent[index].drain(..));
                if step.text.is_empty() && step.logprobs.is_empty() {
                    self.silent[index] = step.ids;
                } else {
                    self.accounts[index].count(&step);
                    let times = self.times(self.accounts[index].timings());
                    self.say_with(Piece::Step { index, step: &step }, times);
                }
            }
            Some((index, News::Finished(generation))) => {
                let times = self.times(timings(&generation));
                self.say_with(Piece::End { index, generation: &generation }, times);
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
        self.say_with(piece, None);
    }

    /// Says a piece with more fields in each of its messages.
    fn say_with(&mut self, piece: Piece<'_>, fields: impl IntoIterator<Item = (&'static str, Value)>) {
        let mut messages = (self.say)(piece);
        for (name, value) in fields {
            messages.iter_mut().for_each(|message| message[name] = value.clone());
        }
        self.waiting.extend(messages);
    }

    /// Returns the field with the times so far, if the client wants them with every token.
    fn times(&self, timings: Value) -> Option<(&'static str, Value)> {
        self.reply.telemetry().timings_per_token.then_some(("timings", timings))
    }

    fn fail(&mut self, error: &ApiError) {
        self.say(Piece::Failed { error });
        self.ended = true;
        self.reply.cancel();
    }
}
