//! Texts for asynchronous programs: a thread of the model's own, and streams of its texts.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, ready};
use std::thread;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_core::Stream;

use super::Session;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::generate::{Generation, Request};
use crate::scheduler::{Event, JobId, Scheduler, SchedulerOptions};

/// A session for asynchronous programs, on any executor. Concurrent callers share every read of the weights.
///
/// It has a thread of its own, which ends once the session and its streams are dropped.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use futures_util::StreamExt;
/// use tercet_engine::{AsyncSession, SchedulerOptions, Session};
///
/// let session = Arc::new(Session::open("fairy-tales")?);
/// let texts = AsyncSession::new(session.clone(), SchedulerOptions::default())?;
/// futures_executor::block_on(async {
///     let mut stream = texts.stream("Once upon a time", session.request())?;
///     while let Some(text) = stream.next().await {
///         print!("{}", text?);
///     }
///     Ok::<_, tercet_engine::Error>(())
/// })?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct AsyncSession {
    session: Arc<Session>,
    submissions: Sender<Submission>,
}

/// A request on its way to the thread.
#[derive(Debug)]
struct Submission {
    prompt: Vec<u32>,
    request: Request,
    news: UnboundedSender<News>,
}

/// News of one text.
#[derive(Debug)]
enum News {
    Text(String),
    Finished(Box<Generation>),
    Failed(Error),
}

impl AsyncSession {
    /// Starts the thread.
    ///
    /// # Errors
    /// Fails if the system refuses it.
    pub fn new(session: Arc<Session>, options: SchedulerOptions) -> std::io::Result<Self> {
        let (submissions, received) = channel();
        let name = format!("model {}", session.model().name());
        let of_thread = Arc::clone(&session);
        thread::Builder::new().name(name).spawn(move || run(of_thread, options, &received))?;
        Ok(AsyncSession { session, submissions })
    }

    /// Continues `prompt`: a stream of the pieces of text as they become certain. Dropping it ends the text.
    ///
    /// # Errors
    /// Fails if the tokenizer does. The stream tells all other faults.
    pub fn stream(&self, prompt: &str, request: Request) -> Result<AsyncStream> {
        let (news, received) = unbounded();
        let (dropped, asked) = (Cancel::new(), request.cancel.clone());
        let either = dropped.clone();
        let cancel = Cancel::when(move || either.is_cancelled() || asked.is_cancelled());
        let request = Request { cancel, ..request };
        let submission = Submission { prompt: self.session.encode(prompt)?, request, news };
        // A thread that is gone has dropped the sender of news, so that the stream ends with an error.
        let _ = self.submissions.send(submission);
        Ok(AsyncStream { news: received, dropped, generation: None, ended: false })
    }

    /// Continues `prompt`, and returns the whole text.
    ///
    /// # Errors
    /// Those of [`Session::generate`], and [`Error::Busy`] if [`SchedulerOptions::queue`] requests wait already.
    pub async fn generate(&self, prompt: &str, request: Request) -> Result<Generation> {
        let mut stream = self.stream(prompt, request)?;
        while let Some(text) = std::future::poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await
        {
            text?;
        }
        stream.generation.take().ok_or(Error::Cancelled)
    }
}

/// The pieces of a text that continues a prompt, as they become certain. Dropping it ends the text.
///
/// It reads as an [`Iterator`] does, by `StreamExt::next` of the futures crates.
#[derive(Debug)]
pub struct AsyncStream {
    news: UnboundedReceiver<News>,
    dropped: Cancel,
    generation: Option<Generation>,
    ended: bool,
}

impl AsyncStream {
    /// Returns the whole text with its tokens and times, once it has ended without an error.
    pub fn generation(&self) -> Option<&Generation> {
        self.generation.as_ref()
    }
}

impl Stream for AsyncStream {
    type Item = Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<String>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let news = ready!(Pin::new(&mut self.news).poll_next(context));
        self.ended = !matches!(news, Some(News::Text(_)));
        Poll::Ready(match news {
            Some(News::Text(text)) => Some(Ok(text)),
            Some(News::Failed(error)) => Some(Err(error)),
            Some(News::Finished(generation)) => {
                self.generation = Some(*generation);
                None
            }
            // The thread has ended before the text.
            None => Some(Err(Error::Cancelled)),
        })
    }
}

impl Drop for AsyncStream {
    fn drop(&mut self) {
        self.dropped.cancel();
    }
}

/// Runs what is submitted, until nobody can submit any more and the last text has ended.
fn run(session: Arc<Session>, options: SchedulerOptions, submissions: &Receiver<Submission>) {
    let mut scheduler = Scheduler::new(session, options);
    let mut listeners = HashMap::new();
    loop {
        if scheduler.is_idle() {
            let Ok(submission) = submissions.recv() else { return };
            submit(&mut scheduler, &mut listeners, submission);
        }
        submissions.try_iter().for_each(|submission| submit(&mut scheduler, &mut listeners, submission));
        scheduler.round().into_iter().for_each(|event| tell(&mut listeners, event));
    }
}

fn submit(
    scheduler: &mut Scheduler<Arc<Session>>,
    listeners: &mut HashMap<JobId, UnboundedSender<News>>,
    Submission { prompt, request, news }: Submission,
) {
    match scheduler.submit(prompt, request) {
        Ok(job) => drop(listeners.insert(job, news)),
        // A listener that is gone needs no news, here and below.
        Err(error) => drop(news.unbounded_send(News::Failed(error))),
    }
}

fn tell(listeners: &mut HashMap<JobId, UnboundedSender<News>>, event: Event) {
    let (listener, news) = match event {
        Event::Step(_, step) if step.text.is_empty() => return,
        Event::Step(job, step) => (listeners.get(&job).cloned(), News::Text(step.text)),
        Event::Finished(job, generation) => (listeners.remove(&job), News::Finished(Box::new(generation))),
        Event::Failed(job, error) => (listeners.remove(&job), News::Failed(error)),
    };
    if let Some(listener) = listener {
        drop(listener.unbounded_send(news));
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use std::ops::ControlFlow;

    use futures_executor::block_on;
    use futures_util::StreamExt;
    use futures_util::future::join_all;

    use super::*;
    use crate::generate::Stop;
    use crate::runtime::{Runtime, RuntimeOptions};

    fn sessions() -> (Arc<Session>, AsyncSession) {
        let options = RuntimeOptions { threads: Some(1), ..RuntimeOptions::default() };
        let session = Session::new(crate::fairy_tales(), Runtime::new(&options), None, &mut |_| {});
        let session = Arc::new(session.unwrap());
        (Arc::clone(&session), AsyncSession::new(session, SchedulerOptions::default()).unwrap())
    }

    #[test]
    fn concurrent_texts_are_those_of_their_prompts_alone() {
        let (session, texts) = sessions();
        let request = Request { max_tokens: 12, ..session.request() };
        let prompts = ["The dragon", "Once upon a time", "A king"];
        let whole = |prompt| texts.generate(prompt, request.clone());
        let together = block_on(join_all(prompts.map(whole)));
        for (prompt, made) in prompts.into_iter().zip(together) {
            let alone = session.generate(prompt, &request, |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(made.unwrap().ids, alone.ids, "{prompt}");
            let mut stream = texts.stream(prompt, request.clone()).unwrap();
            let pieces: Vec<_> = block_on(stream.by_ref().map(Result::unwrap).collect());
            assert!(pieces.len() > 3 && pieces.concat() == alone.text, "{pieces:?}");
            assert_eq!(stream.generation().unwrap().stop, Stop::Length);
            assert!(block_on(stream.next()).is_none());
        }
    }

    #[test]
    fn faults_and_wishes_end_a_stream() {
        let (session, texts) = sessions();
        let endless = || Request { max_tokens: 400, eos: Vec::new(), ..session.request() };
        let mut bad = endless();
        bad.sampler.top_p = 7.0;
        let error = block_on(texts.generate("The dragon", bad)).unwrap_err();
        assert!(error.to_string().contains("top_p"), "{error}");

        let request = endless();
        let cancel = request.cancel.clone();
        let mut stream = texts.stream("The dragon", request).unwrap();
        block_on(stream.next()).unwrap().unwrap();
        cancel.cancel();
        block_on(stream.by_ref().for_each(|_| std::future::ready(())));
        assert_eq!(stream.generation().unwrap().stop, Stop::Cancelled);

        // The thread goes on after a stream that was left, and ends the last text when the session is gone.
        drop(texts.stream("The dragon", endless()));
        let last = texts.stream("A king", Request { max_tokens: 5, ..session.request() }).unwrap();
        drop(texts);
        assert!(block_on(last.collect::<Vec<_>>()).iter().all(Result::is_ok));
    }
}
