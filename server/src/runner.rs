//! The thread that owns a model: requests in, news out.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

use futures_util::Stream;
use tercet_engine::{
    Cancel, Event, Generation, JobId, Request, Scheduler, SchedulerOptions, SchedulerStatus, Session, Step,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::{ApiError, Result};
use crate::listener::Listener;
use crate::metrics::ModelMetrics;
use crate::telemetry::{Progress, Reader, Telemetry};

/// News that wait for a client. One that falls further behind is dropped.
const WAITING_NEWS: usize = 4096;

/// What happens to one request.
#[derive(Debug)]
pub(crate) enum News {
    /// A part of the prompt was read.
    Progress(Progress),
    /// New tokens, or text that became certain.
    Step(Step),
    /// The text has ended.
    Finished(Generation),
    /// The request failed.
    Failed(ApiError),
}

/// A call of the thread.
enum Call {
    Submit(Box<Submission>),
    Status(oneshot::Sender<SchedulerStatus>),
}

struct Submission {
    prompt: Vec<u32>,
    request: Request,
    news: Listener,
    reply: oneshot::Sender<tercet_engine::Result<()>>,
}

/// The scheduler's thread. It ends once nobody can submit any more and the last request is done.
#[derive(Debug)]
pub(crate) struct Runner {
    calls: Sender<Call>,
    /// The number of jobs.
    jobs: Arc<watch::Sender<usize>>,
    metrics: ModelMetrics,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// Fails if the system refuses it.
    pub(crate) fn start(
        session: Arc<Session>,
        options: SchedulerOptions,
        metrics: ModelMetrics,
    ) -> std::io::Result<Self> {
        let (sender, calls) = channel();
        let name = format!("model {}", session.model().name());
        thread::Builder::new().name(name).spawn({
            let metrics = metrics.clone();
            move || run(&session, options, &metrics, &calls)
        })?;
        Ok(Runner { calls: sender, jobs: Arc::new(watch::Sender::new(0)), metrics })
    }

    /// Submits a request. The job's news have the progress of the prompt if `telemetry` watches it.
    ///
    /// # Errors
    /// Fails with status 429 if the queue is full.
    pub(crate) async fn submit(
        &self,
        prompt: Vec<u32>,
        request: Request,
        telemetry: Telemetry,
    ) -> Result<Job> {
        let (news, receiver) = mpsc::channel(WAITING_NEWS);
        let (reply, submitted) = oneshot::channel();
        // Requests that share a wish would end together.
        let cancel = Cancel::new();
        let request = Request { cancel: cancel.clone(), ..request };
        let job = Job::new(receiver, cancel, Arc::clone(&self.jobs));
        let reader = telemetry.watches().then(Reader::default);
        let news = Listener::new(news, self.metrics.clone(), reader);
        self.calls
            .send(Call::Submit(Box::new(Submission { prompt, request, news, reply })))
            .map_err(|_| gone())?;
        submitted.await.map_err(|_| gone())??;
        Ok(job)
    }

    /// Returns the state of the scheduler after the current round.
    ///
    /// # Errors
    /// Fails if the thread has ended.
    pub(crate) async fn status(&self) -> Result<SchedulerStatus> {
        let (reply, status) = oneshot::channel();
        self.calls.send(Call::Status(reply)).map_err(|_| gone())?;
        status.await.map_err(|_| gone())
    }

    /// Waits until no job is under way.
    pub(crate) async fn idle(&self) {
        // The number is at hand as long as this runner is.
        let _ = self.jobs.subscribe().wait_for(|jobs| *jobs == 0).await;
    }
}

fn gone() -> ApiError {
    ApiError::internal("the model's thread has ended: start the server again")
}

/// A request under way: a stream of its news. Dropping it cancels the request, also in the midst of a pass.
#[derive(Debug)]
pub(crate) struct Job {
    news: mpsc::Receiver<News>,
    cancel: Cancel,
    jobs: Arc<watch::Sender<usize>>,
}

impl Job {
    fn new(news: mpsc::Receiver<News>, cancel: Cancel, jobs: Arc<watch::Sender<usize>>) -> Self {
        jobs.send_modify(|jobs| *jobs += 1);
        Job { news, cancel, jobs }
    }
}

impl Stream for Job {
    type Item = News;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<News>> {
        self.news.poll_recv(context)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.jobs.send_modify(|jobs| *jobs -= 1);
    }
}

fn run(session: &Arc<Session>, options: SchedulerOptions, metrics: &ModelMetrics, calls: &Receiver<Call>) {
    let mut jobs = HashMap::new();
    let mut load = (0, 0);
    let mut scheduler = Scheduler::new(Arc::clone(session), options);
    loop {
        metrics.follow(&mut load, &scheduler.status());
        if scheduler.is_idle() {
            let Ok(call) = calls.recv() else { return };
            answer(call, &mut scheduler, &mut jobs);
        }
        for call in calls.try_iter() {
            answer(call, &mut scheduler, &mut jobs);
        }
        let start = Instant::now();
        // A panic is a bug, and it may leave a sequence half changed: all of them end, and the next ones start anew.
        match catch_unwind(AssertUnwindSafe(|| scheduler.round())) {
            Ok(events) => {
                tell_progress(&scheduler, &mut jobs, start);
                for event in events {
                    tell(event, &mut scheduler, &mut jobs);
                }
            }
            Err(_) => {
                scheduler.clear();
                for (_, mut news) in jobs.drain() {
                    let _ = news.tell(News::Failed(ApiError::internal("the model's thread has failed")));
                }
            }
        }
    }
}

type Jobs = HashMap<JobId, Listener>;

fn answer(call: Call, scheduler: &mut Scheduler<Arc<Session>>, jobs: &mut Jobs) {
    match call {
        Call::Submit(submission) => submit(*submission, scheduler, jobs),
        // A client that is gone needs no answer.
        Call::Status(reply) => drop(reply.send(scheduler.status())),
    }
}

fn submit(submission: Submission, scheduler: &mut Scheduler<Arc<Session>>, jobs: &mut Jobs) {
    let Submission { prompt, request, mut news, reply } = submission;
    let submitted = match scheduler.submit(prompt, request) {
        Ok(id) => {
            jobs.insert(id, news);
            Ok(())
        }
        Err(error) => {
            news.refuse();
            Err(error)
        }
    };
    // A client that is gone has cancelled its request.
    let _ = reply.send(submitted);
}

/// Tells how far prompts are read, to the clients who want to know.
fn tell_progress(scheduler: &Scheduler<Arc<Session>>, jobs: &mut Jobs, start: Instant) {
    if !jobs.values().any(Listener::watches) {
        return;
    }
    for sequence in &scheduler.status().running {
        if let Some(job) = jobs.get_mut(&sequence.job) {
            job.follow(sequence, start);
        }
    }
}

fn tell(event: Event, scheduler: &mut Scheduler<Arc<Session>>, jobs: &mut Jobs) {
    let (id, news, last) = match event {
        Event::Step(id, step) => (id, News::Step(step), false),
        Event::Finished(id, generation) => (id, News::Finished(generation), true),
        Event::Failed(id, error) => (id, News::Failed(error.into()), true),
    };
    let heard = jobs.get_mut(&id).is_some_and(|job| job.tell(news));
    if last {
        jobs.remove(&id);
    } else if !heard {
        jobs.remove(&id);
        scheduler.cancel(id);
    }
}
