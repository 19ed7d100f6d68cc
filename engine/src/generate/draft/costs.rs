//! The time of a pass by its number of tokens.

use std::time::Duration;

use super::MOST;

/// Mean times, in seconds; 0 where none is measured. Other costs lie between those of their neighbours.
#[derive(Debug)]
pub(super) struct Costs {
    seconds: [f32; MOST + 1],
    /// The weight of a new time in the mean.
    weight: f32,
}

impl Default for Costs {
    fn default() -> Self {
        Costs { seconds: [0.0; MOST + 1], weight: 0.2 }
    }
}

impl Costs {
    /// Returns estimates that no time changes.
    #[cfg(test)]
    pub(super) fn fixed() -> Self {
        Costs { weight: 0.0, ..Costs::default() }
    }

    /// Returns the time of a pass over `tokens` tokens, in passes over a single one. It has no limit until one of these is
    /// measured.
    pub(super) fn of(&self, tokens: usize) -> f32 {
        if self.weight == 0.0 {
            return estimate(tokens);
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
            None => cost(below) * estimate(tokens) / estimate(below),
        }
    }

    /// Takes note of the time of a pass.
    pub(super) fn learn(&mut self, tokens: usize, time: Duration) {
        /// The share of an old time that turns into the estimate with each pass over one token, so that a number of
        /// tokens that was slow once gets another chance.
        const FORGOTTEN: f32 = 1.0 / 1024.0;
        let known = self.seconds[tokens - 1];
        if self.weight == 0.0 {
            return;
        }
        // A pass that the system interrupts tells nothing.
        let time = if known > 0.0 { time.as_secs_f32().min(2.0 * known) } else { time.as_secs_f32() };
        let weight = if known > 0.0 { self.weight } else { 1.0 };
        self.seconds[tokens - 1] += weight * (time - known);
        if tokens == 1 {
            let single = self.seconds[0];
            for (at, seconds) in self.seconds.iter_mut().enumerate().skip(1).filter(|(_, s)| **s > 0.0) {
                *seconds += FORGOTTEN * (single * estimate(at + 1) - *seconds);
            }
        }
    }
}

/// Returns the cost of a pass that is bound by memory, as measured on models of two billion weights.
fn estimate(tokens: usize) -> f32 {
    if tokens == 1 { 1.0 } else { 1.2 + 0.12 * (tokens - 1) as f32 }
}
