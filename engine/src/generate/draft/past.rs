//! Drafts from the tokens before.

use super::lookup::{Lookup, Match};
use super::push;

/// The source [`Draft::Lookup`](super::Draft::Lookup) of one text.
#[derive(Debug, Default)]
pub(super) struct Past {
    lookup: Lookup,
    rates: Rates,
    /// The latest match, whose success the next tokens tell.
    guess: Option<(Match, u32)>,
}

impl Past {
    /// Returns the tokens that came after the same tokens before, and the share of them that is expected to be right.
    pub(super) fn find<'h>(&mut self, history: &'h [u32]) -> Option<(f32, &'h [u32])> {
        self.lookup.extend(history);
        let found = self.lookup.find(history);
        self.guess = found.map(|found| (found, history[found.next]));
        found.map(|found| (self.rates.0[class(found)], &history[found.next..]))
    }

    /// Takes note of a pass. Also a match without a draft tells how good matches are.
    pub(super) fn learn(&mut self, drafted: usize, accepted: usize, chosen: &[u32]) {
        let Some((found, next)) = self.guess.take() else { return };
        let rate = &mut self.rates.0[class(found)];
        match drafted {
            0 => push(rate, usize::from(chosen.first() == Some(&next)), 1),
            _ => push(rate, accepted, drafted),
        }
    }
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

fn class(found: Match) -> usize {
    (found.length.ilog2() as usize).clamp(1, 3) - 1
}
