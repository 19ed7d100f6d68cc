//! The size of the parts in which prompts are read while texts grow.

use std::fmt;
use std::time::{Duration, Instant};

use crate::model::BATCH;

/// Fewest tokens of a part: each part reads all weights once, so that tiny parts would slow the prompt down.
const LEAST: usize = 32;

/// Sizes parts by the measured rate, so that a round ends in time.
#[derive(Debug)]
pub(super) struct Pace {
    clock: Clock,
    /// Time per token of the latest parts.
    per_token: Option<Duration>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Pace { clock: Clock(Box::new(Instant::now)), per_token: None }
    }

    pub(super) fn set_clock(&mut self, clock: impl Fn() -> Instant + Send + 'static) {
        self.clock = Clock(Box::new(clock));
    }

    pub(super) fn now(&self) -> Instant {
        (self.clock.0)()
    }

    /// Returns the number of tokens that are read in `left`, within [`LEAST`] and [`BATCH`].
    pub(super) fn part(&self, left: Duration) -> usize {
        let tokens = |per_token: Duration| (left.as_secs_f64() / per_token.as_secs_f64()) as usize;
        self.per_token.map_or(LEAST, tokens).clamp(LEAST, BATCH)
    }

    /// Learns from a part of `tokens` tokens that took `elapsed`.
    ///
    /// The time of a part is not proportional to its size, because every part reads all weights. The rate is therefore
    /// that of the latest parts, which are about as large as the next one.
    pub(super) fn learn(&mut self, tokens: usize, elapsed: Duration) {
        // The last part of a prompt may be too short to tell.
        if tokens >= LEAST {
            let latest = elapsed / tokens as u32;
            self.per_token = Some(self.per_token.map_or(latest, |earlier| (earlier + latest) / 2));
        }
    }
}

struct Clock(Box<dyn Fn() -> Instant + Send>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(100);

    /// The time that a machine takes for a part: it reads the weights, and works on every token.
    fn took(tokens: usize, per_token: Duration) -> Duration {
        Duration::from_millis(25) + per_token * tokens as u32
    }

    #[test]
    fn parts_come_to_take_the_time_that_is_left() {
        let per_token = Duration::from_micros(700);
        let mut pace = Pace::new();
        assert_eq!(pace.part(TARGET), LEAST);
        pace.learn(BATCH, took(BATCH, per_token));
        for _ in 0..12 {
            let part = pace.part(TARGET);
            assert!(took(part, per_token) < TARGET * 3 / 2, "{part} tokens");
            pace.learn(part, took(part, per_token));
        }
        let settled = took(pace.part(TARGET), per_token);
        assert!(settled > TARGET * 9 / 10 && settled < TARGET * 11 / 10, "{settled:?}");
    }

    #[test]
    fn parts_are_neither_tiny_nor_larger_than_a_batch() {
        let mut pace = Pace::new();
        pace.learn(BATCH, Duration::from_secs(60));
        assert_eq!(pace.part(TARGET), LEAST);
        assert_eq!(pace.part(Duration::ZERO), LEAST);
        (0..40).for_each(|_| pace.learn(BATCH, Duration::ZERO));
        assert_eq!(pace.part(TARGET), BATCH);
        assert_eq!(pace.part(Duration::ZERO), LEAST);
    }

    #[test]
    fn the_short_end_of_a_prompt_teaches_nothing() {
        let mut pace = Pace::new();
        pace.learn(2 * LEAST, TARGET);
        let part = pace.part(TARGET);
        pace.learn(1, TARGET);
        assert_eq!(pace.part(TARGET), part);
    }
}
