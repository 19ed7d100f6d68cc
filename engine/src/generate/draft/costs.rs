//! The time of a pass by its number of tokens, and the length of a draft that follows from it.

use std::time::Duration;

use super::{FORGOTTEN, GAIN, MOST};

/// Mean times, in seconds; 0 where none is measured. Other costs lie between those of their neighbours.
#[derive(Debug)]
pub(super) struct Costs {
    seconds: [f32; MOST + 1],
    /// The weight of a new time in the mean.
    weight: f32,
    /// The estimated time of drafting a token, in passes over a single one.
    draft: f32,
    /// Passes since the last one over a single token.
    since_single: u32,
}

impl Costs {
    /// Returns the estimates for a source that takes `draft` to draft a token, in passes over a single one.
    pub(super) fn new(draft: f32) -> Self {
        Costs { seconds: [0.0; MOST + 1], weight: 0.2, draft, since_single: 0 }
    }

    /// Returns estimates that no time changes.
    #[cfg(test)]
    pub(super) fn fixed() -> Self {
        Costs { weight: 0.0, ..Costs::new(0.0) }
    }

    /// Returns the number of drafted tokens, up to `most`, that saves most time if each is right at this `rate`. It is 0 if
    /// none pays, and now and then to measure a pass without a draft.
    pub(super) fn best_length(&self, rate: f32, most: usize) -> usize {
        const NOW_AND_THEN: u32 = 64;
        let gain = |drafted: usize| expected(rate, drafted) / self.of(drafted + 1);
        let best = (1..=most.min(MOST)).max_by(|&a, &b| gain(a).total_cmp(&gain(b)));
        best.filter(|&drafted| gain(drafted) > GAIN && self.since_single < NOW_AND_THEN).unwrap_or(0)
    }

    /// Returns the time of a pass over `tokens` tokens, in passes over a single one. It has no limit until one of these is
    /// measured.
    fn of(&self, tokens: usize) -> f32 {
        if self.weight == 0.0 {
            return self.estimate(tokens);
        }
        if self.seconds[0] == 0.0 {
            return f32::INFINITY;
        }
        let measured = |count: &usize| self.seconds[count - 1] > 0.0;
        let cost = |count: usize| self.seconds[count - 1] / self.seconds[0];
        let below = (1..=tokens).rev().find(measured).unwrap_or(1);
        match (tokens..=self.seconds.len()).find(measured) {
            Some(above) if above == below => cost(tokens),
            Some(above) => {
                let part = (tokens - below) as f32 / (above - below) as f32;
                cost(below) + part * (cost(above) - cost(below))
            }
            None => cost(below) * self.estimate(tokens) / self.estimate(below),
        }
    }

    /// Takes note of the time of a pass.
    pub(super) fn learn(&mut self, tokens: usize, time: Duration) {
        let known = self.seconds[tokens - 1];
        if self.weight == 0.0 {
            return;
        }
        // A pass that the system interrupts tells nothing.
        let time = if known > 0.0 { time.as_secs_f32().min(2.0 * known) } else { time.as_secs_f32() };
        let weight = if known > 0.0 { self.weight } else { 1.0 };
        self.seconds[tokens - 1] += weight * (time - known);
        self.since_single += 1;
        if tokens == 1 {
            self.since_single = 0;
            let single = self.seconds[0];
            for tokens in 2..=self.seconds.len() {
                let estimate = single * self.estimate(tokens);
                let seconds = &mut self.seconds[tokens - 1];
                if *seconds > 0.0 {
                    *seconds += FORGOTTEN * (estimate - *seconds);
                }
            }
        }
    }

    /// Returns the cost of a pass that is bound by memory, as measured on models of two billion weights, and of its draft.
    fn estimate(&self, tokens: usize) -> f32 {
        let drafted = (tokens - 1) as f32;
        if tokens == 1 { 1.0 } else { 1.2 + (0.12 + self.draft) * drafted }
    }
}

/// Returns the tokens that a pass is expected to yield if each of `drafted` tokens is right at this `rate`.
fn expected(rate: f32, drafted: usize) -> f32 {
    (0..=drafted).map(|i| rate.powi(i as i32)).sum()
}
