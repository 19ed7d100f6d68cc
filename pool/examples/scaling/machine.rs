//! What operations cost on a machine. Times are nanoseconds, rates are bytes per nanosecond, which is GB/s.

use std::collections::BTreeMap;

/// The time of single operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// A read of a line that the core has.
    pub(crate) hit: f64,
    /// A compare-and-exchange of a line that the core owns.
    pub(crate) exchange: f64,
    /// A line from one core to another.
    pub(crate) transfer: f64,
    /// The same from another cluster of cores or another socket.
    pub(crate) far: f64,
    /// Each of several reads of lines that other cores wrote.
    pub(crate) scan: f64,
    /// Each of several writes to lines that other cores have.
    pub(crate) post: f64,
    /// The time between two requests for one line that its home serves. Not measurable with two cores.
    pub(crate) serve: f64,
    /// One turn of spinning.
    pub(crate) spin: f64,
    /// The call that wakes a thread, for its caller.
    pub(crate) unpark: f64,
    /// From this call to the first instruction of the woken thread.
    pub(crate) wake: f64,
    /// A call of a task's closure, beyond its work.
    pub(crate) call: f64,
    /// Until a stream of memory has its full speed.
    pub(crate) ramp: f64,
}

/// The memory of a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) nodes: usize,
    /// The rate of one core.
    pub(crate) one: f64,
    /// The rate of all cores from the memory of one node.
    pub(crate) node: f64,
    /// The rate of the cores of all other nodes from it.
    pub(crate) link: f64,
}

/// A program that always wants the core of a simulated thread.
///
/// The system gives each of both a slice in turn. A thread that sleeps keeps what is left of its slice and gains more, so that it
/// goes on at once when it is woken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    pub(crate) slice: f64,
    /// The rest of the thread's slice at the time `since`.
    pub(crate) credit: f64,
    pub(crate) since: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) threads: usize,
    pub(crate) costs: Costs,
    pub(crate) memory: Memory,
    /// Cores that share a cache. Lines between clusters take [`Costs::far`].
    pub(crate) cluster: usize,
    /// The speed of the later half of the cores, relative to the first ones.
    pub(crate) slow: f64,
    pub(crate) busy: BTreeMap<usize, Busy>,
}

impl Costs {
    /// Those of two cores of an Emerald Rapids, in a virtual machine.
    pub(crate) const MEASURED: Costs = Costs {
        hit: 0.34,
        exchange: 6.4,
        transfer: 76.0,
        far: 76.0,
        scan: 10.4,
        post: 15.7,
        serve: 5.0,
        spin: 15.1,
        unpark: 13_800.0,
        wake: 31_900.0,
        call: 15.0,
        ramp: 0.0,
    };
}

impl Machine {
    /// Returns a machine with equal cores that share a cache.
    pub(crate) fn new(threads: usize, costs: Costs, memory: Memory) -> Self {
        Machine { threads, costs, memory, cluster: usize::MAX, slow: 1.0, busy: BTreeMap::new() }
    }

    pub(crate) fn transfer(&self, from: usize, to: usize) -> f64 {
        if from / self.cluster == to / self.cluster { self.costs.transfer } else { self.costs.far }
    }

    pub(crate) fn speed(&self, thread: usize) -> f64 {
        if 2 * thread >= self.threads.max(2) { self.slow } else { 1.0 }
    }

    /// Returns the node of a thread's core. Consecutive threads are on one node.
    pub(crate) fn node(&self, thread: usize) -> usize {
        thread * self.memory.nodes / self.threads
    }

    /// Returns the rate of a stream from a node that serves some local and some remote streams.
    pub(crate) fn rate(&self, thread: usize, local: bool, (locals, remotes): (usize, usize)) -> f64 {
        let Memory { one, node, link, .. } = self.memory;
        let (one, count) = (one * self.speed(thread), (locals + remotes) as f64);
        let remote = (link / remotes as f64).min(node / count);
        if !local {
            return one.min(remote);
        }
        let used = if remotes > 0 { remotes as f64 * remote.min(one) } else { 0.0 };
        one.min((node - used) / locals as f64)
    }

    /// Returns the rate of one of `count` streams from all nodes at once.
    pub(crate) fn rate_everywhere(&self, thread: usize, count: usize) -> f64 {
        let Memory { nodes, one, node, link } = self.memory;
        let nodes = nodes as f64;
        // A stream takes one part of `nodes` from each node, all but one part by a link.
        let all = (nodes * node).min(link * nodes * nodes / (nodes - 1.0));
        (one * self.speed(thread)).min(all / count as f64)
    }
}

impl Busy {
    /// Returns whether the thread has the core, and the time until the core changes hands.
    fn phase(&self, now: f64) -> (bool, f64) {
        let passed = now - self.since;
        if passed < self.credit {
            return (true, self.credit - passed);
        }
        let at = (passed - self.credit) % (2.0 * self.slice);
        if at < self.slice { (false, self.slice - at) } else { (true, 2.0 * self.slice - at) }
    }

    /// Returns true if the simulated thread has the core.
    pub(crate) fn runs(&self, now: f64) -> bool {
        self.phase(now).0
    }

    /// Returns when the core changes hands next.
    pub(crate) fn next_change(&self, now: f64) -> f64 {
        // A nanosecond later, so that the change is over.
        now + self.phase(now).1 + 1.0
    }

    /// Returns when `time` on the core has passed, from `from` on.
    pub(crate) fn after(&self, from: f64, time: f64) -> f64 {
        let (mut now, mut left) = (from, time);
        loop {
            let change = self.next_change(now);
            if self.runs(now) {
                if now + left <= change {
                    return now + left;
                }
                left -= change - now;
            }
            now = change;
        }
    }

    /// Counts that the thread slept from `start` to `end`.
    pub(crate) fn slept(&mut self, start: f64, end: f64) {
        let left = match self.phase(start) {
            (true, left) => left,
            (false, _) => 0.0,
        };
        (self.credit, self.since) = ((left + end - start).min(self.slice), end);
    }
}
