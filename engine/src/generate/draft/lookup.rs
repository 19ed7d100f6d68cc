//! Finds the place where the latest tokens occurred before.

use std::collections::HashMap;

/// A place in the history after tokens that equal its last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The index of the token after them.
    pub(super) next: usize,
    /// Their number: 2 or more.
    pub(super) length: usize,
}

/// Longest match that is told from a longer one.
const LONGEST: usize = 16;
/// Most places that are compared for a match.
const PLACES: usize = 16;
/// The end of a chain of places.
const NONE: u32 = u32::MAX;

/// Every pair of tokens in a history, by the places where it ends.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    latest: HashMap<[u32; 2], u32>,
    /// For each token, the end of the place before where it ends the same pair.
    earlier: Vec<u32>,
}

impl Lookup {
    /// Takes note of the tokens that `history` has beyond those of the last call. The last pair waits for its next token.
    pub(super) fn extend(&mut self, history: &[u32]) {
        for end in self.earlier.len()..history.len().saturating_sub(1) {
            let earlier = match end.checked_sub(1) {
                Some(start) => self.latest.insert([history[start], history[end]], end as u32),
                None => None,
            };
            self.earlier.push(earlier.unwrap_or(NONE));
        }
    }

    /// Returns the longest match, and the latest of equal ones.
    pub(super) fn find(&self, history: &[u32]) -> Option<Match> {
        let [.., a, b] = *history else { return None };
        let mut place = *self.latest.get(&[a, b])?;
        let mut best = None;
        for _ in 0..PLACES {
            let next = place as usize + 1;
            let before = history[..next].iter().rev().zip(history.iter().rev());
            let length = before.take(LONGEST).take_while(|(a, b)| a == b).count();
            if best.is_none_or(|best: Match| length > best.length) {
                best = Some(Match { next, length });
            }
            match self.earlier[place as usize] {
                NONE => break,
                earlier => place = earlier,
            }
        }
        best
    }
}
