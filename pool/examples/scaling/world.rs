//! A discrete-event simulation of threads that share cache lines and memory. Times are nanoseconds, sizes bytes.
//!
//! A simulated thread is an async function. Each operation that takes time is a future, and the clock moves on when all
//! threads wait. So a protocol is written as the pool writes it.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::machine::Machine;
use crate::protocol::EVERYWHERE;

/// A line of the caches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Line(usize);

#[derive(Clone, Default)]
struct LineState {
    /// Threads with a copy, as bits.
    sharers: u128,
    /// The thread that may write without a transfer.
    owner: Option<usize>,
    /// The thread that wrote last.
    source: usize,
    /// When the next request can be served.
    free: f64,
    /// Counts the writes, for threads that spin.
    writes: u64,
    spinning: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Stream {
    left: f64,
    node: usize,
    rate: f64,
}

/// The state of all threads, lines and streams.
pub(crate) struct World {
    pub(crate) machine: Machine,
    now: f64,
    lines: Vec<LineState>,
    streams: Vec<Option<Stream>>,
    /// Times at which threads go on. The number breaks ties in the order of insertion.
    wakes: BinaryHeap<Reverse<(u64, u64, usize)>>,
    inserted: u64,
    over: bool,
}

/// One simulated thread's view of the world.
#[derive(Clone)]
pub(crate) struct Cpu {
    pub(crate) id: usize,
    world: Rc<RefCell<World>>,
}

impl World {
    pub(crate) fn new(machine: Machine, threads: usize) -> Rc<RefCell<World>> {
        Rc::new(RefCell::new(World {
            machine,
            now: 0.0,
            lines: Vec::new(),
            streams: vec![None; threads],
            wakes: BinaryHeap::new(),
            inserted: 0,
            over: false,
        }))
    }

    /// Returns a line that no thread has a copy of.
    pub(crate) fn line(&mut self) -> Line {
        self.lines.push(LineState::default());
        Line(self.lines.len() - 1)
    }

    fn wake(&mut self, thread: usize, at: f64) {
        self.inserted += 1;
        // Picoseconds are whole numbers, which have a total order.
        self.wakes.push(Reverse(((at * 1e3) as u64, self.inserted, thread)));
    }

    /// Returns when a thread that starts at `from` has used `time` of its core.
    fn after(&self, thread: usize, from: f64, time: f64) -> f64 {
        match self.machine.busy.get(&thread) {
            Some(busy) => busy.after(from, time / self.machine.speed(thread)),
            None => from + time / self.machine.speed(thread),
        }
    }

    /// Returns when a read by `thread` is served.
    fn read(&mut self, thread: usize, line: Line, ahead: bool) -> f64 {
        let (now, machine) = (self.now, &self.machine);
        let state = &mut self.lines[line.0];
        if state.sharers >> thread & 1 == 1 {
            return self.after(thread, now, machine.costs.hit);
        }
        let latency = machine.transfer(thread, state.source);
        let latency = if ahead { latency.min(machine.costs.scan) } else { latency };
        let start = now.max(state.free);
        state.free = start + machine.costs.serve;
        state.sharers |= 1 << thread;
        state.owner = None;
        self.after(thread, start, latency)
    }

    /// Returns when `thread` has the line for itself.
    fn own(&mut self, thread: usize, line: Line) -> f64 {
        let (now, machine) = (self.now, &self.machine);
        let state = &mut self.lines[line.0];
        if state.owner == Some(thread) {
            return self.after(thread, now, machine.costs.exchange);
        }
        let start = now.max(state.free);
        let ready = start + machine.transfer(thread, state.source);
        state.free = ready;
        state.sharers = 1 << thread;
        (state.owner, state.source) = (Some(thread), thread);
        let exchange = machine.costs.exchange;
        self.after(thread, ready, exchange)
    }

    /// Lets the threads that spin on the line see a write.
    fn written(&mut self, line: Line) {
        self.lines[line.0].writes += 1;
        let seen = self.now + self.machine.costs.spin / 2.0;
        for thread in std::mem::take(&mut self.lines[line.0].spinning) {
            self.wake(thread, seen);
        }
    }

    /// Shares out the memory among the streams.
    fn set_rates(&mut self) {
        let mut everywhere = 0;
        let mut counts = vec![(0usize, 0usize); self.machine.memory.nodes];
        let runs =
            |world: &Self, thread: usize| world.machine.busy.get(&thread).is_none_or(|b| b.runs(world.now));
        for thread in 0..self.streams.len() {
            if let Some(stream) = self.streams[thread].filter(|_| runs(self, thread)) {
                if stream.node == EVERYWHERE {
                    everywhere += 1;
                    continue;
                }
                let local = self.machine.node(thread) == stream.node;
                let count = &mut counts[stream.node];
                *(if local { &mut count.0 } else { &mut count.1 }) += 1;
            }
        }
        for thread in 0..self.streams.len() {
            let running = runs(self, thread);
            let local = self.streams[thread].is_some_and(|s| self.machine.node(thread) == s.node);
            if let Some(stream) = &mut self.streams[thread] {
                stream.rate = match stream.node {
                    _ if !running => 0.0,
                    EVERYWHERE => self.machine.rate_everywhere(thread, everywhere),
                    node => self.machine.rate(thread, local, counts[node]),
                };
            }
        }
    }

    /// Moves to the next event. Returns the threads that go on.
    fn step(&mut self) -> Vec<usize> {
        self.set_rates();
        let mut next = self.wakes.peek().map_or(f64::INFINITY, |Reverse((at, ..))| *at as f64 / 1e3);
        for (thread, stream) in self.streams.iter().enumerate() {
            let Some(stream) = stream else { continue };
            if stream.rate > 0.0 {
                next = next.min(self.now + (stream.left / stream.rate).max(0.001));
            }
            if let Some(busy) = self.machine.busy.get(&thread) {
                next = next.min(busy.next_change(self.now));
            }
        }
        assert!(next.is_finite(), "every simulated thread waits for another one");
        let passed = (next - self.now).max(0.0);
        self.now = self.now.max(next);
        let mut ready = Vec::new();
        for (thread, slot) in self.streams.iter_mut().enumerate() {
            if let Some(stream) = slot {
                stream.left -= stream.rate * passed;
                if stream.left <= 1e-6 {
                    *slot = None;
                    ready.push(thread);
                }
            }
        }
        while let Some(Reverse((at, _, thread))) = self.wakes.peek().copied() {
            if at as f64 / 1e3 > self.now {
                break;
            }
            self.wakes.pop();
            ready.push(thread);
        }
        ready
    }
}

/// A wait that ends once `done` returns true. Something else must wake the thread then.
struct Until<F>(F);

impl<F: FnMut() -> bool + Unpin> Future for Until<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if (self.0)() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Cpu {
    pub(crate) fn new(id: usize, world: &Rc<RefCell<World>>) -> Self {
        Cpu { id, world: Rc::clone(world) }
    }

    pub(crate) fn now(&self) -> f64 {
        self.world.borrow().now
    }

    async fn sleep_until(&self, at: f64) {
        self.world.borrow_mut().wake(self.id, at);
        // The clock has picoseconds.
        Until(|| self.world.borrow().now >= at - 0.002).await;
    }

    /// Computes for `time`.
    pub(crate) async fn compute(&self, time: f64) {
        let at = {
            let world = self.world.borrow();
            world.after(self.id, world.now, time)
        };
        self.sleep_until(at).await;
    }

    /// Reads a line.
    pub(crate) async fn read(&self, line: Line) {
        let at = self.world.borrow_mut().read(self.id, line, false);
        self.sleep_until(at).await;
    }

    /// Reads a line of several whose reads overlap.
    pub(crate) async fn scan(&self, line: Line) {
        let at = self.world.borrow_mut().read(self.id, line, true);
        self.sleep_until(at).await;
    }

    /// Fetches a line to write to it.
    pub(crate) async fn own(&self, line: Line) {
        let at = self.world.borrow_mut().own(self.id, line);
        self.sleep_until(at).await;
    }

    /// Shows a write to the threads that spin on `line`.
    pub(crate) fn wrote(&self, line: Line) {
        self.world.borrow_mut().written(line);
    }

    /// Writes to a line without waiting for the transfer, among other such writes.
    pub(crate) async fn post(&self, line: Line) {
        let at = {
            let mut world = self.world.borrow_mut();
            let cost = world.machine.costs.post;
            let state = &mut world.lines[line.0];
            let owned = state.owner == Some(self.id);
            state.sharers = 1 << self.id;
            (state.owner, state.source) = (Some(self.id), self.id);
            let now = world.now;
            if owned { now } else { world.after(self.id, now, cost) }
        };
        self.sleep_until(at).await;
        self.wrote(line);
    }

    /// Spins on a line until `news` returns true, at most until `deadline`. Returns true if it did.
    pub(crate) async fn spin(&self, line: Line, deadline: f64, mut news: impl FnMut() -> bool) -> bool {
        loop {
            self.read(line).await;
            if news() {
                return true;
            }
            let before = {
                let mut world = self.world.borrow_mut();
                if world.over || world.now >= deadline {
                    return false;
                }
                world.lines[line.0].spinning.push(self.id);
                if deadline.is_finite() {
                    world.wake(self.id, deadline);
                }
                world.lines[line.0].writes
            };
            let world = &self.world;
            Until(|| {
                let world = world.borrow();
                world.over || world.lines[line.0].writes != before || world.now >= deadline
            })
            .await;
        }
    }

    /// Reads `bytes` of memory on `node`.
    pub(crate) async fn stream(&self, bytes: f64, node: usize) {
        self.world.borrow_mut().streams[self.id] = Some(Stream { left: bytes, node, rate: 0.0 });
        Until(|| self.world.borrow().streams[self.id].is_none()).await;
    }

    /// Sleeps until `woken` returns true. The caller of [`Cpu::unpark`] makes it true.
    pub(crate) async fn park(&self, woken: impl Fn() -> bool) {
        let start = self.now();
        Until(|| woken() || self.world.borrow().over).await;
        let mut world = self.world.borrow_mut();
        let end = world.now;
        if let Some(busy) = world.machine.busy.get_mut(&self.id) {
            busy.slept(start, end);
        }
    }

    /// Wakes another thread, which goes on after the system's delay.
    pub(crate) async fn unpark(&self, thread: usize) {
        let (cost, delay) = {
            let world = self.world.borrow();
            (world.machine.costs.unpark, world.machine.costs.wake)
        };
        let now = self.now();
        self.world.borrow_mut().wake(thread, now + delay);
        self.compute(cost).await;
    }

    /// Returns true once the caller has ended the simulation.
    pub(crate) fn is_over(&self) -> bool {
        self.world.borrow().over
    }

    /// Ends the simulation.
    pub(crate) fn end(&self) {
        self.world.borrow_mut().over = true;
    }
}

/// Runs the threads until one of them calls [`Cpu::end`]. Returns the time that passed.
pub(crate) fn run(world: &Rc<RefCell<World>>, threads: Vec<Pin<Box<dyn Future<Output = ()>>>>) -> f64 {
    let mut threads: Vec<_> = threads.into_iter().map(Some).collect();
    let mut ready: Vec<usize> = (0..threads.len()).collect();
    let mut context = Context::from_waker(Waker::noop());
    loop {
        for thread in ready {
            if let Some(future) = &mut threads[thread]
                && future.as_mut().poll(&mut context).is_ready()
            {
                threads[thread] = None;
            }
            if world.borrow().over {
                return world.borrow().now;
            }
        }
        ready = world.borrow_mut().step();
    }
}
