//! The parts of the pool's protocol, and their alternatives.

/// How workers learn of a job.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Publish {
    /// The caller fills the line of every worker's share.
    EachLine,
    /// The caller fills one line, on which all workers spin.
    OneLine,
}

/// The shares that a thread helps with when its own has no task left.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Help {
    All,
    /// Those at the distances 1, 2, 4, …; the caller helps all.
    Powers,
}

/// How threads report the tasks that they have done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Report {
    One,
    /// One counter for so many shares, and one for all groups.
    Groups(usize),
}

/// A way to build the pool.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Design {
    pub(crate) publish: Publish,
    pub(crate) help: Help,
    pub(crate) report: Report,
    /// Each thread wakes so many others, which do the same. Without, the caller wakes all.
    pub(crate) tree: Option<usize>,
    /// The time of spinning before a thread parks.
    pub(crate) patience: f64,
}

impl Design {
    /// The pool of the first version: a line for every worker, and one counter.
    pub(crate) const BEFORE: Design = Design {
        publish: Publish::EachLine,
        help: Help::All,
        report: Report::One,
        tree: None,
        patience: 30e3,
    };
    /// The pool as it is.
    pub(crate) const CURRENT: Design = Design {
        publish: Publish::OneLine,
        help: Help::Powers,
        report: Report::Groups(8),
        tree: Some(2),
        patience: 30e3,
    };
}
