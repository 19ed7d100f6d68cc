//! Ways to share a product among threads.

use std::fmt;
use std::iter::successors;

/// A way to share a product among threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Number of threads.
    pub threads: usize,
    /// Weights in a task, in KiB. A task has whole row blocks, at least one.
    pub task_kib: usize,
}

impl Sharing {
    const LARGEST_TASK: usize = 1 << 20;

    /// Returns the sharing by rule: every thread takes part, and a task streams for some microseconds. So a late thread
    /// costs little.
    pub fn by_rule(threads: usize) -> Self {
        Sharing { threads, task_kib: 128 }
    }

    /// Returns the rule and the ways that may be faster: larger and smaller tasks, and fewer threads.
    pub fn candidates(threads: usize) -> Vec<Self> {
        let rule = Self::by_rule(threads);
        let sizes = [32, 64, 256, 512].map(|task_kib| Sharing { task_kib, ..rule });
        let fewer =
            successors(Some(threads / 2), |threads| Some(threads / 2)).take_while(|&threads| threads > 0);
        match threads {
            // One thread takes the whole product.
            0..=1 => vec![rule],
            _ => [rule].into_iter().chain(sizes).chain(fewer.map(Self::by_rule)).collect(),
        }
    }

    /// Returns true if `threads` threads can share in this way.
    pub fn is_for(&self, threads: usize) -> bool {
        (1..=threads).contains(&self.threads) && (1..=Self::LARGEST_TASK).contains(&self.task_kib)
    }
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = if self.threads == 1 { "thread" } else { "threads" };
        // As all sizes that people read, in thousands.
        let task = self.task_kib as f64 * 1.024;
        write!(f, "{} {threads}, {task:.0} kB", self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_the_first_candidate_and_all_are_possible() {
        for threads in [1, 2, 3, 8, 96] {
            let candidates = Sharing::candidates(threads);
            assert_eq!(candidates[0], Sharing::by_rule(threads));
            assert!(candidates.iter().all(|sharing| sharing.is_for(threads)));
            assert!(
                (1..candidates.len()).all(|i| !candidates[..i].contains(&candidates[i])),
                "{candidates:?}"
            );
            assert_eq!(candidates.len() == 1, threads == 1);
        }
        assert!(!Sharing::by_rule(3).is_for(2) && !Sharing { threads: 1, task_kib: 0 }.is_for(1));
    }
}
