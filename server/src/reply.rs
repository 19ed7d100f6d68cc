//! The texts of one request: gathered into one answer, or sent on as they grow.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, SelectAll, StreamExt};
use serde_json::Value;
use tercet_engine::{Generation, Request, Step};

use crate::error::{ApiError, Result};
use crate::models::Model;
use crate::runner::{Job, News};

/// Silence after which a stream sends a comment, so that nobody in between closes it.
const PING: Duration = Duration::from_secs(15);

/// News of the choice with this index.
type Numbered = stream::Map<stream::Zip<stream::Repeat<usize>, Job>, fn((usize, News)) -> (usize, News)>;

/// The choices of one request, under way.
pub(crate) struct Reply {
    news: SelectAll<Numbered>,
    finished: Vec<Option<Generation>>,
}

/// What a stream says.
pub(crate) enum Piece<'a> {
    /// Choice `index` begins.
    Start { index: usize },
    /// Choice `index` goes on.
    Step { index: usize, step: &'a Step },
    /// Choice `index` has ended.
    End { index: usize, generation: &'a Generation },
    /// All choices have ended.
    All { generations: &'a [Generation] },
}

impl Reply {
    /// Submits a request for each choice, with its prompt.
    ///
    /// # Errors
    /// Fails with status 429 if the queue is full.
    pub(crate) async fn start(
        model: &Model,
        choices: impl IntoIterator<Item = (Vec<u32>, Request)>,
    ) -> Result<Self> {
        let (mut news, mut finished) = (SelectAll::new(), Vec::new());
        for (index, (prompt, request)) in choices.into_iter().enumerate() {
            let job = model.runner.submit(prompt, request).await?;
            finished.push(None);
            let same: fn((usize, News)) -> (usize, News) = |numbered| numbered;
            news.push(stream::repeat(index).zip(job).map(same));
        }
        Ok(Reply { news, finished })
    }

    /// Waits for all choices.
    ///
    /// # Errors
    /// Fails if one of them does.
    pub(crate) async fn finish(mut self) -> Result<Vec<Generation>> {
        while let Some((index, news)) = self.news.next().await {
            match news {
                News::Step(_) => {}
                News::Finished(generation) => self.finished[index] = Some(generation),
                News::Failed(error) => return Err(error),
            }
        }
        self.generations()
    }

    /// Sends the choices on as they grow, in the words of `chunks`.
    ///
    /// # Errors
    /// Fails, with a status instead of a stream, if the request does before its first token.
    pub(crate) async fn stream<F>(mut self, chunks: F) -> Result<Response>
    where
        F: FnMut(Piece<'_>) -> Vec<Value> + Send + 'static,
    {
        let first = self.news.next().await;
        if let Some((_, News::Failed(error))) = first {
            return Err(error);
        }
        let mut events = Events { reply: self, chunks, waiting: VecDeque::new(), ended: false };
        (0..events.reply.finished.len()).for_each(|index| events.say(Piece::Start { index }));
        events.hear(first);
        let ping = KeepAlive::new().interval(PING);
        Ok(Sse::new(stream::unfold(events, Events::next)).keep_alive(ping).into_response())
    }

    fn generations(self) -> Result<Vec<Generation>> {
        let all: Option<Vec<Generation>> = self.finished.into_iter().collect();
        all.ok_or_else(|| ApiError::internal("the model's thread has ended: start the server again"))
    }
}

/// A stream of events under way. Dropping it cancels the choices that go on.
struct Events<F> {
    reply: Reply,
    chunks: F,
    waiting: VecDeque<Event>,
    ended: bool,
}

impl<F: FnMut(Piece<'_>) -> Vec<Value>> Events<F> {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        while self.waiting.is_empty() && !self.ended {
            let news = self.reply.news.next().await;
            self.hear(news);
        }
        let event = self.waiting.pop_front()?;
        Some((Ok(event), self))
    }

    fn hear(&mut self, news: Option<(usize, News)>) {
        match news {
            Some((index, News::Step(step))) if !(step.text.is_empty() && step.logprobs.is_empty()) => {
                self.say(Piece::Step { index, step: &step });
            }
            Some((_, News::Step(_))) => {}
            Some((index, News::Finished(generation))) => {
                self.say(Piece::End { index, generation: &generation });
                self.reply.finished[index] = Some(generation);
            }
            Some((_, News::Failed(error))) => self.end(&error.body()),
            None => {
                let generations: Vec<Generation> = self.reply.finished.drain(..).flatten().collect();
                self.say(Piece::All { generations: &generations });
                self.waiting.push_back(Event::default().data("[DONE]"));
                self.ended = true;
            }
        }
    }

    fn say(&mut self, piece: Piece<'_>) {
        let chunks = (self.chunks)(piece);
        self.waiting.extend(chunks.iter().map(|chunk| Event::default().data(chunk.to_string())));
    }

    /// Ends the stream with an error. The status has been sent, so that the error is an event.
    fn end(&mut self, error: &Value) {
        self.waiting.push_back(Event::default().data(error.to_string()));
        self.ended = true;
        self.reply.news = SelectAll::new();
    }
}
