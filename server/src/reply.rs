//! The texts of one request, under way.

use futures_util::stream::{self, SelectAll, StreamExt};
use tercet_engine::{Generation, Request};

use crate::error::{ApiError, Result};
use crate::models::Model;
use crate::record::Record;
use crate::runner::{Job, News};
use crate::telemetry::Telemetry;

/// News of the choice with this index.
type Numbered = stream::Map<stream::Zip<stream::Repeat<usize>, Job>, fn((usize, News)) -> (usize, News)>;

/// The message for a text that will never end.
const CUT_OFF: &str = "the text is cut off: it was read too slowly, or the model's thread has ended";

/// The choices of one request.
pub(crate) struct Reply {
    news: SelectAll<Numbered>,
    finished: Vec<Option<Generation>>,
    telemetry: Telemetry,
}

impl Reply {
    /// Submits a request for each choice, with its prompt. The news of choices are those that `telemetry` wants.
    ///
    /// # Errors
    /// Fails with status 429 if the queue is full.
    pub(crate) async fn start(
        model: &Model,
        choices: impl IntoIterator<Item = (Vec<u32>, Request)>,
        telemetry: Telemetry,
    ) -> Result<Self> {
        let (mut news, mut finished) = (SelectAll::new(), Vec::new());
        for (index, (prompt, request)) in choices.into_iter().enumerate() {
            if let Some(record) = Record::current() {
                record.submit(model, &prompt);
            }
            let job = model.runner.submit(prompt, request, telemetry).await?;
            finished.push(None);
            let same: fn((usize, News)) -> (usize, News) = |numbered| numbered;
            news.push(stream::repeat(index).zip(job).map(same));
        }
        Ok(Reply { news, finished, telemetry })
    }

    /// Returns the number of choices.
    pub(crate) fn choices(&self) -> usize {
        self.finished.len()
    }

    /// Returns what the client wants to know beside the texts.
    pub(crate) fn telemetry(&self) -> Telemetry {
        self.telemetry
    }

    /// Waits for news of any choice; there are none once all have ended.
    pub(crate) async fn next(&mut self) -> Option<(usize, News)> {
        self.news.next().await
    }

    /// Keeps the text of a choice that has ended.
    pub(crate) fn keep(&mut self, index: usize, generation: Generation) {
        self.finished[index] = Some(generation);
    }

    /// Cancels the choices that go on.
    pub(crate) fn cancel(&mut self) {
        self.news = SelectAll::new();
    }

    /// Waits for all choices.
    ///
    /// # Errors
    /// Fails if one of them does.
    pub(crate) async fn finish(mut self) -> Result<Vec<Generation>> {
        while let Some((index, news)) = self.next().await {
            match news {
                News::Progress(_) | News::Step(_) => {}
                News::Finished(generation) => self.keep(index, generation),
                News::Failed(error) => return Err(error),
            }
        }
        self.take_finished()
    }

    /// Waits for the only choice.
    ///
    /// # Errors
    /// Fails if it does.
    pub(crate) async fn finish_one(self) -> Result<Generation> {
        self.finish().await?.pop().ok_or_else(|| ApiError::internal("the request has no choice"))
    }

    /// Returns the texts of all choices.
    ///
    /// # Errors
    /// Fails if one of them has not ended: the thread that would end it is gone, or has given up on a slow reader.
    pub(crate) fn take_finished(&mut self) -> Result<Vec<Generation>> {
        let all: Option<Vec<Generation>> = self.finished.drain(..).collect();
        all.ok_or_else(|| ApiError::internal(CUT_OFF))
    }
}
