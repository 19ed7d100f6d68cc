//! The pool's protocol in simulated time.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use crate::design::{Design, Help, Publish, Report};
use crate::machine::Machine;
use crate::world::{Cpu, Line, World, run};

/// A job of the caller, or work that it does alone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Alone(f64),
    Job(Job),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) tasks: usize,
    /// Bytes of memory that a task reads.
    pub(crate) bytes: f64,
    /// Nanoseconds that a task computes.
    pub(crate) time: f64,
    /// A thread takes half of the rest at once, instead of one task.
    pub(crate) halves: bool,
    /// The address of the first byte.
    pub(crate) start: f64,
}

/// Returns the node of an address, and how far its neighbours are on the same node.
pub(crate) type Placement = fn(address: f64, nodes: usize) -> (usize, f64);

/// Stands for memory that lies on all nodes in equal parts, in small pages.
pub(crate) const EVERYWHERE: usize = usize::MAX;

/// All memory is on the first node.
pub(crate) fn first_node(_: f64, _: usize) -> (usize, f64) {
    (0, f64::INFINITY)
}

struct Share {
    line: Line,
    /// The job that `left` belongs to.
    number: u64,
    left: usize,
    end: usize,
}

struct State {
    shares: Vec<Share>,
    job: Job,
    number: u64,
    /// The line of the job, for [`Publish::OneLine`].
    news: Line,
    /// Tasks that nobody has reported, for each group.
    groups: Vec<(Line, usize)>,
    /// Tasks or groups that nobody has reported.
    unfinished: usize,
    count: Line,
    /// Workers that are parked or about to.
    asleep: Vec<bool>,
    asleep_line: Vec<Line>,
    /// The caller is parked.
    waiting: bool,
}

#[derive(Clone)]
struct Thread {
    cpu: Cpu,
    state: Rc<RefCell<State>>,
    design: Design,
    machine: Rc<Machine>,
    placement: Placement,
    threads: usize,
}

/// Returns the time of `steps`, `repeat` times in a row, on the first `threads` threads. The first time is not counted.
pub(crate) fn simulate(
    machine: &Machine,
    design: Design,
    steps: &[Step],
    repeat: usize,
    placement: Placement,
) -> f64 {
    let threads = machine.threads;
    let world = World::new(machine.clone(), threads);
    let state = {
        let mut world = world.borrow_mut();
        let shares = (0..threads).map(|_| Share { line: world.line(), number: 0, left: 0, end: 0 }).collect();
        let groups = match design.report {
            Report::Groups(size) if threads > size => threads.div_ceil(size),
            _ => 0,
        };
        State {
            shares,
            job: Job { tasks: 0, bytes: 0.0, time: 0.0, halves: true, start: 0.0 },
            number: 0,
            news: world.line(),
            groups: (0..groups).map(|_| (world.line(), 0)).collect(),
            unfinished: 0,
            count: world.line(),
            asleep: vec![false; threads],
            asleep_line: (0..threads.div_ceil(64)).map(|_| world.line()).collect(),
            waiting: false,
        }
    };
    let state = Rc::new(RefCell::new(state));
    let shared = Rc::new(machine.clone());
    let begun = Rc::new(RefCell::new(0.0));
    let thread = |id| Thread {
        cpu: Cpu::new(id, &world),
        state: Rc::clone(&state),
        design,
        machine: Rc::clone(&shared),
        placement,
        threads,
    };
    let mut all: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    let (caller, steps, start) = (thread(0), steps.to_vec(), Rc::clone(&begun));
    all.push(Box::pin(async move {
        for round in 0..=repeat {
            if round == 1 {
                *start.borrow_mut() = caller.cpu.now();
            }
            for step in &steps {
                match step {
                    Step::Alone(time) => caller.cpu.compute(*time).await,
                    Step::Job(job) => caller.share(*job).await,
                }
            }
        }
        caller.cpu.end();
    }));
    for id in 1..threads {
        let worker = thread(id);
        all.push(Box::pin(async move { worker.work().await }));
    }
    let end = run(&world, all);
    let begun = *begun.borrow();
    (end - begun) / repeat as f64
}

impl Thread {
    fn share_of(&self, job: &Job, owner: usize) -> std::ops::Range<usize> {
        job.tasks * owner / self.threads..job.tasks * (owner + 1) / self.threads
    }

    /// Runs a job, as its caller.
    async fn share(&self, job: Job) {
        if self.threads == 1 || job.tasks <= 1 {
            return self.tasks(&job, 0..job.tasks).await;
        }
        self.publish(job).await;
        self.wake_from(0).await;
        self.take_tasks().await;
        let count = self.state.borrow().count;
        let deadline = self.cpu.now() + self.design.patience;
        if !self.cpu.spin(count, deadline, || self.state.borrow().unfinished == 0).await {
            self.state.borrow_mut().waiting = true;
            self.cpu.park(|| self.state.borrow().unfinished == 0).await;
            self.state.borrow_mut().waiting = false;
        }
    }

    async fn publish(&self, job: Job) {
        {
            let mut state = self.state.borrow_mut();
            let groups = state.groups.len();
            state.unfinished = if groups > 0 { groups } else { job.tasks };
            state.job = job;
        }
        let (count, groups) = {
            let state = self.state.borrow();
            (state.count, state.groups.iter().map(|group| group.0).collect::<Vec<_>>())
        };
        self.cpu.post(count).await;
        for (i, line) in groups.iter().enumerate() {
            let Report::Groups(size) = self.design.report else { continue };
            let owners = i * size..self.threads.min((i + 1) * size);
            let tasks: usize = owners.map(|owner| self.share_of(&job, owner).len()).sum();
            self.state.borrow_mut().groups[i].1 = tasks;
            if tasks == 0 {
                self.state.borrow_mut().unfinished -= 1;
            }
            self.cpu.post(*line).await;
        }
        match self.design.publish {
            Publish::EachLine => {
                let number = self.state.borrow().number + 1;
                self.state.borrow_mut().number = number;
                for owner in 0..self.threads {
                    let range = self.share_of(&job, owner);
                    let line = self.state.borrow().shares[owner].line;
                    self.offer(owner, number, range);
                    self.cpu.post(line).await;
                }
            }
            Publish::OneLine => {
                let news = self.state.borrow().news;
                {
                    let mut state = self.state.borrow_mut();
                    state.number += 1;
                }
                self.cpu.post(news).await;
            }
        }
        // The fence waits for the last of the writes.
        self.cpu.compute(self.machine.costs.transfer - self.machine.costs.post).await;
    }

    fn offer(&self, owner: usize, number: u64, range: std::ops::Range<usize>) {
        let share = &mut self.state.borrow_mut().shares[owner];
        (share.number, share.left, share.end) = (number, range.len(), range.end);
    }

    /// Wakes the workers that this thread has to wake.
    async fn wake_from(&self, id: usize) {
        let lines = self.state.borrow().asleep_line.clone();
        let targets = match self.design.tree {
            Some(fan) => fan * id + 1..(fan * id + 1 + fan).min(self.threads),
            None => 1..if id == 0 { self.threads } else { 0 },
        };
        for target in targets {
            self.cpu.scan(lines[target / 64]).await;
            let asleep = std::mem::take(&mut self.state.borrow_mut().asleep[target]);
            if asleep {
                self.cpu.own(lines[target / 64]).await;
                self.cpu.unpark(target).await;
            }
        }
    }

    async fn work(&self) {
        let id = self.cpu.id;
        let (own, news) = {
            let state = self.state.borrow();
            (state.shares[id].line, state.news)
        };
        let mut seen = 0;
        while !self.cpu.is_over() {
            let deadline = self.cpu.now() + self.design.patience;
            let is_new = || match self.design.publish {
                Publish::EachLine => self.state.borrow().shares[id].left > 0,
                Publish::OneLine => self.state.borrow().number != seen,
            };
            let line = if self.design.publish == Publish::EachLine { own } else { news };
            if !self.cpu.spin(line, deadline, is_new).await && !self.cpu.is_over() {
                let asleep = self.state.borrow().asleep_line[id / 64];
                self.cpu.own(asleep).await;
                self.state.borrow_mut().asleep[id] = true;
                if !is_new() {
                    self.cpu.park(|| !self.state.borrow().asleep[id]).await;
                }
                self.state.borrow_mut().asleep[id] = false;
            }
            seen = self.state.borrow().number;
            if self.design.tree.is_some() {
                self.wake_from(id).await;
            }
            self.take_tasks().await;
        }
    }

    async fn take_tasks(&self) {
        let own = self.cpu.id;
        let help_all = self.design.help == Help::All || own == 0 || self.threads <= 8;
        let distances: Vec<usize> = match help_all {
            true => (1..self.threads).collect(),
            false => {
                std::iter::successors(Some(1), |d| Some(d * 2)).take_while(|d| *d < self.threads).collect()
            }
        };
        let mut done = self.take_share(own).await;
        for distance in distances {
            let victim = (own + distance) % self.threads;
            if self.group(victim) != self.group(own) {
                let helped = self.take_share(victim).await;
                self.report(self.group(victim), helped).await;
            } else {
                done += self.take_share(victim).await;
            }
        }
        self.report(self.group(own), done).await;
    }

    fn group(&self, owner: usize) -> Option<usize> {
        match self.design.report {
            Report::Groups(size) if self.threads > size => Some(owner / size),
            _ => None,
        }
    }

    async fn report(&self, group: Option<usize>, done: usize) {
        if done == 0 {
            return;
        }
        let mut done = done;
        if let Some(group) = group {
            let line = self.state.borrow().groups[group].0;
            self.cpu.own(line).await;
            let mut state = self.state.borrow_mut();
            state.groups[group].1 -= done;
            if state.groups[group].1 > 0 {
                return;
            }
            done = 1;
        }
        let count = self.state.borrow().count;
        self.cpu.own(count).await;
        let last = {
            let mut state = self.state.borrow_mut();
            state.unfinished -= done;
            state.unfinished == 0 && std::mem::take(&mut state.waiting)
        };
        self.cpu.wrote(count);
        if last {
            self.cpu.unpark(0).await;
        }
    }

    /// Runs the tasks left in a share, and returns their number.
    async fn take_share(&self, owner: usize) -> usize {
        let (line, number) = {
            let state = self.state.borrow();
            (state.shares[owner].line, state.number)
        };
        let mut done = 0;
        loop {
            match owner == self.cpu.id || done > 0 {
                true => self.cpu.read(line).await,
                false => self.cpu.scan(line).await,
            }
            let (job, before) = self.look(owner);
            let left = before.1;
            if left == 0 || self.state.borrow().number != number {
                return done;
            }
            self.cpu.own(line).await;
            if self.look(owner).1 != before {
                continue;
            }
            let taken = if job.halves { left.div_ceil(2) } else { 1 };
            let end = self.share_of(&job, owner).end;
            self.offer(owner, number, end - (left - taken)..end);
            self.tasks(&job, end - left..end - left + taken).await;
            done += taken;
        }
    }

    /// Returns the job, and the number and the tasks left of a share.
    fn look(&self, owner: usize) -> (Job, (u64, usize)) {
        let state = self.state.borrow();
        let share = &state.shares[owner];
        let untouched = self.design.publish == Publish::OneLine && share.number != state.number;
        let left = if untouched { self.share_of(&state.job, owner).len() } else { share.left };
        (state.job, (share.number, left))
    }

    async fn tasks(&self, job: &Job, span: std::ops::Range<usize>) {
        let count = span.len() as f64;
        self.cpu.compute(self.machine.costs.call + job.time * count).await;
        if job.bytes == 0.0 {
            return;
        }
        self.cpu.compute(self.machine.costs.ramp).await;
        let mut at = job.start + span.start as f64 * job.bytes;
        let end = job.start + span.end as f64 * job.bytes;
        while at < end {
            let (node, run) = (self.placement)(at, self.machine.memory.nodes);
            let part = run.min(end - at);
            self.cpu.stream(part, node).await;
            at += part;
        }
    }
}
