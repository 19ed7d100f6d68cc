//! Drafts: tokens that may come next, which a single pass checks.
//!
//! Where memory is the limit, a pass over several tokens costs little more than one over a single token. A drafted token
//! is accepted if it is the one that the sampler chooses, so the text is the same bit for bit.

mod costs;
mod lookup;
#[cfg(test)]
mod tests;

use std::time::Duration;

use costs::Costs;
use lookup::{Lookup, Match};

/// The source of drafts. It changes no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Draft {
    /// The tokens that came after the same tokens before, in the prompt or in the text. A draft is made only where it is
    /// expected to save time. (Saxena, "Prompt lookup decoding", 2023.)
    #[default]
    Lookup,
    /// No drafts.
    None,
}

impl Draft {
    /// All sources.
    pub const ALL: [Draft; 2] = [Draft::Lookup, Draft::None];

    /// Returns the name of the source.
    pub const fn name(self) -> &'static str {
        match self {
            Draft::Lookup => "lookup",
            Draft::None => "none",
        }
    }
}

/// Most tokens of a draft. A pass reads one more, and kernels are planned for eight.
const MOST: usize = 7;

/// A draft must be expected to save this factor of time.
const GAIN: f32 = 1.05;

/// Drafts for one text.
#[derive(Debug)]
pub(super) struct Drafter {
    lookup: Lookup,
    costs: Costs,
    rates: Rates,
    /// The latest match, whose success the next tokens tell.
    guess: Option<(Match, u32)>,
    /// Drafted tokens.
    pub(super) drafted: usize,
    /// Drafted tokens that were accepted.
    pub(super) accepted: usize,
}

impl Drafter {
    pub(super) fn new() -> Self {
        Drafter {
            lookup: Lookup::default(),
            costs: Costs::default(),
            rates: Rates::default(),
            guess: None,
            drafted: 0,
            accepted: 0,
        }
    }

    /// Returns a drafter that believes that passes cost little, whatever it learns.
    #[cfg(test)]
    pub(super) fn eager() -> Self {
        Drafter { costs: Costs::fixed(), ..Self::new() }
    }

    /// Returns at most `most` tokens that may follow `history`: none where a draft would not pay.
    pub(super) fn propose(&mut self, history: &[u32], most: usize) -> Vec<u32> {
        self.lookup.extend(history);
        let found = self.lookup.find(history);
        self.guess = found.map(|found| (found, history[found.next]));
        let Some(found) = found else { return Vec::new() };
        let rate = self.rates.of(found);
        let most = most.min(MOST).min(history.len() - found.next);
        let gain = |drafted: usize| expected(rate, drafted) / self.costs.of(drafted + 1);
        let best = (1..=most).max_by(|&a, &b| gain(a).total_cmp(&gain(b)));
        let drafted = best.filter(|&drafted| gain(drafted) > GAIN).unwrap_or(0);
        history[found.next..found.next + drafted].to_vec()
    }

    /// Takes note of a pass: the number of drafted tokens, the tokens that were chosen, and the time that it took.
    pub(super) fn learn(&mut self, drafted: usize, chosen: &[u32], time: Duration) {
        self.costs.learn(drafted + 1, time);
        let accepted = chosen.len().saturating_sub(1).min(drafted);
        self.drafted += drafted;
        self.accepted += accepted;
        // Also a match without a draft tells how good matches are.
        let Some((found, next)) = self.guess.take() else { return };
        match drafted {
            0 => self.rates.learn(found, chosen.first() == Some(&next)),
            _ => {
                (0..accepted).for_each(|_| self.rates.learn(found, true));
                if accepted < drafted {
                    self.rates.learn(found, false);
                }
            }
        }
    }
}

/// Returns the tokens that a pass is expected to yield if each of `drafted` tokens is right at this `rate`.
fn expected(rate: f32, drafted: usize) -> f32 {
    (0..=drafted).map(|i| rate.powi(i as i32)).sum()
}

/// The share of drafted tokens that are right, by the length of the match: 2 or 3 tokens, 4 to 7, or more.
#[derive(Debug)]
struct Rates([f32; 3]);

impl Default for Rates {
    /// Rates of mixed texts. Stories have lower ones, and edits of code have higher ones.
    fn default() -> Self {
        Rates([0.3, 0.6, 0.85])
    }
}

impl Rates {
    fn class(found: Match) -> usize {
        (found.length.ilog2() as usize).clamp(1, 3) - 1
    }

    fn of(&self, found: Match) -> f32 {
        self.0[Self::class(found)]
    }

    fn learn(&mut self, found: Match, is_right: bool) {
        const WEIGHT: f32 = 0.1;
        let rate = &mut self.0[Self::class(found)];
        *rate += WEIGHT * (f32::from(u8::from(is_right)) - *rate);
    }
}
