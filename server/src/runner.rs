//! The thread that owns a model: requests in, news out.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};
use std::thread;

use futures_util::Stream;
use tercet_engine::{Event, Generation, JobId, Request, Scheduler, SchedulerOptions, Session, Step};
use tokio::sync::{mpsc, oneshot};

use crate::error::{ApiError, Result};
use crate::listener::Listener;
use crate::metrics::Metrics;

/// News that wait for a client. One that falls further behind is dropped.
const WAITING_NEWS: usize = 4096;

/// What happens to one request.
#[derive(Debug)]
pub(crate) enum News {
    /// New tokens, or text that became certain.
    Step(Step),
    /// The text has ended.
    Finished(Generation),
    /// The request failed.
    Failed(ApiError),
}

enum Command {
    Submit(Box<Submission>),
    Cancel(JobId),
}

struct Submission {
    prompt: Vec<u32>,
    request: Request,
    news: Listener,
    reply: oneshot::Sender<Submitted>,
}

type Submitted = tercet_engine::Result<JobId>;

/// The scheduler's thread. It ends once nobody can submit any more and the last request is done.
#[derive(Debug)]
pub(crate) struct Runner {
    commands: Sender<Command>,
    metrics: Arc<Metrics>,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// Fails if the system refuses it.
    pub(crate) fn start(
        session: Arc<Session>,
        options: SchedulerOptions,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (sender, commands) = channel();
        let name = format!("model {}", session.model().name());
        thread::Builder::new().name(name).spawn({
            let metrics = Arc::clone(&metrics);
            move || run(&session, options, &metrics, &commands)
        })?;
        Ok(Runner { commands: sender, metrics })
    }

    /// Submits a request.
    ///
    /// # Errors
    /// Fails with status 429 if the queue is full.
    pub(crate) async fn submit(&self, prompt: Vec<u32>, request: Request) -> Result<Job> {
        let (news, receiver) = mpsc::channel(WAITING_NEWS);
        let (reply, submitted) = oneshot::channel();
        let gone = || ApiError::internal("the model's thread has ended: start the server again");
        let news = Listener::new(news, Arc::clone(&self.metrics));
        let submission = Box::new(Submission { prompt, request, news, reply });
        self.commands.send(Command::Submit(submission)).map_err(|_| gone())?;
        let id = submitted.await.map_err(|_| gone())??;
        Ok(Job { id, news: receiver, commands: self.commands.clone() })
    }
}

/// A request under way: a stream of its news. Dropping it cancels the request.
#[derive(Debug)]
pub(crate) struct Job {
    id: JobId,
    news: mpsc::Receiver<News>,
    commands: Sender<Command>,
}

impl Stream for Job {
    type Item = News;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<News>> {
        self.news.poll_recv(context)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // A thread that has ended has cancelled everything.
        let _ = self.commands.send(Command::Cancel(self.id));
    }
}

fn run(session: &Arc<Session>, options: SchedulerOptions, metrics: &Metrics, commands: &Receiver<Command>) {
    let mut jobs = HashMap::new();
    let mut load = (0, 0);
    let mut scheduler = Scheduler::new(Arc::clone(session), options);
    loop {
        if scheduler.is_idle() {
            let Ok(command) = commands.recv() else { return };
            obey(command, &mut scheduler, &mut jobs);
        }
        for command in commands.try_iter() {
            obey(command, &mut scheduler, &mut jobs);
        }
        // A panic is a bug, and it may leave a sequence half changed: all of them end, and the next ones start anew.
        match catch_unwind(AssertUnwindSafe(|| scheduler.round())) {
            Ok(events) => {
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
        metrics.follow(&mut load, scheduler.load());
    }
}

type Jobs = HashMap<JobId, Listener>;

fn obey(command: Command, scheduler: &mut Scheduler<Arc<Session>>, jobs: &mut Jobs) {
    match command {
        Command::Submit(submission) => {
            let Submission { prompt, request, mut news, reply } = *submission;
            let submitted = scheduler.submit(prompt, request);
            let id = submitted.as_ref().ok().copied();
            if id.is_none() {
                news.refuse();
            }
            // A client that is gone already hears nothing, and its request is not run.
            match (id, reply.send(submitted)) {
                (Some(id), Ok(())) => drop(jobs.insert(id, news)),
                (Some(id), Err(_)) => scheduler.cancel(id),
                (None, _) => {}
            }
        }
        Command::Cancel(id) => {
            jobs.remove(&id);
            scheduler.cancel(id);
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
