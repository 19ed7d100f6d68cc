//! The client of a request, as the model's thread sees it, and the account of its request.

use std::sync::Arc;
use std::time::Instant;

use tercet_engine::{Generation, SequenceStatus, Stop};
use tokio::sync::mpsc;

use crate::metrics::ModelMetrics;
use crate::record::Record;
use crate::runner::News;
use crate::telemetry::Reader;

/// Hears the news of a request. The metrics learn of them here, whether the client reads them or not.
pub(crate) struct Listener {
    news: mpsc::Sender<News>,
    metrics: ModelMetrics,
    record: Option<Arc<Record>>,
    /// Follows the prompt, if the client wants to know.
    reader: Option<Reader>,
    arrival: Instant,
    /// When the first and the latest token came.
    tokens: Option<(Instant, Instant)>,
    ended: bool,
}

impl Listener {
    pub(crate) fn new(news: mpsc::Sender<News>, metrics: ModelMetrics, reader: Option<Reader>) -> Self {
        let record = Record::current();
        Listener { news, metrics, record, reader, arrival: Instant::now(), tokens: None, ended: false }
    }

    /// Returns true if the client wants to know how far its prompt is read.
    pub(crate) fn watches(&self) -> bool {
        self.reader.is_some()
    }

    /// Tells how far the prompt is read after a round that began at `start`.
    pub(crate) fn follow(&mut self, sequence: &SequenceStatus, start: Instant) {
        let news = self.reader.as_mut().map(|reader| reader.follow(sequence, start)).unwrap_or_default();
        for progress in news {
            // The next token notices if the client is gone.
            let _ = self.news.try_send(News::Progress(progress));
        }
    }

    /// Counts news and passes them on. Returns false if the client is gone or too far behind.
    pub(crate) fn tell(&mut self, news: News) -> bool {
        match &news {
            News::Step(step) if step.ids.is_empty() => {}
            News::Step(step) => self.note_tokens(step.ids.len(), Instant::now()),
            News::Progress(_) => {}
            News::Finished(generation) => self.finish(generation),
            News::Failed(_) => self.end("failed"),
        }
        self.news.try_send(news).is_ok()
    }

    /// Notes that the queue is full.
    pub(crate) fn refuse(&mut self) {
        self.end("refused");
    }

    fn end(&mut self, outcome: &'static str) {
        self.ended = true;
        self.metrics.end(outcome);
        self.record.iter().for_each(|record| record.end(outcome));
    }

    fn note_tokens(&mut self, tokens: usize, now: Instant) {
        self.record.iter().for_each(|record| record.step(tokens, now));
        let first = match self.tokens {
            Some((first, latest)) => {
                self.metrics.between_tokens(now - latest);
                first
            }
            None => {
                self.metrics.first_token(now - self.arrival);
                now
            }
        };
        self.tokens = Some((first, now));
    }

    fn finish(&mut self, generation: &Generation) {
        self.record.iter().for_each(|record| record.finish(generation));
        if let Some((first, _)) = self.tokens {
            self.metrics.queue((first - self.arrival).saturating_sub(generation.prefill));
        }
        self.metrics.finish(generation, self.arrival.elapsed());
        self.end(match generation.stop {
            Stop::Length => "length",
            Stop::Cancelled => "cancelled",
            Stop::Eos | Stop::StopString | Stop::StopId => "stop",
        });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !self.ended {
            self.end("cancelled");
        }
    }
}
