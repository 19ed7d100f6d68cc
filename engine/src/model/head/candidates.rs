//! The tokens that a sampler can choose, by the bounds of their logits.

use std::cmp::Ordering;

use tercet_grammar::Mask;

use super::Selection;
use crate::vectors::estimate::Estimate;

/// A rule that selects tokens by their logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// The token with the largest logit.
    Best,
    /// This number of tokens with the largest logits.
    Top(usize),
    /// Tokens with logits at most this much below the largest.
    Within(f32),
}

/// The tokens with logits that matter to a caller. The logits of all others may be -∞.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidates<'a> {
    /// Selects tokens by their logits. It does not count those in `always`.
    pub rule: Rule,
    /// Tokens that always matter. Tokens outside the vocabulary are ignored.
    pub always: &'a [u32],
    /// The only tokens that can matter at all; none means all tokens.
    pub allowed: Option<&'a Mask>,
}

impl Candidates<'_> {
    /// Returns the candidates that `rule` selects among all tokens.
    pub const fn by(rule: Rule) -> Self {
        Candidates { rule, always: &[], allowed: None }
    }

    /// Returns the allowed tokens if it takes less to read their rows of a head with `n` rows than to screen all of them.
    /// A stored row has four times the bytes of a row in the screen's high plane, and a screen does not spare all rows.
    pub(in crate::model) fn few(&self, n: usize) -> Option<&Mask> {
        self.allowed.filter(|allowed| allowed.len() * 4 <= n)
    }
}

/// Returns true if a token can matter whose logit is at most `upper`, beside a logit of `least`. A NaN bound says nothing, so
/// the token can.
pub(super) fn matters(upper: f32, least: f32) -> bool {
    upper != Estimate::SETTLED.upper && upper.partial_cmp(&least) != Some(Ordering::Less)
}

/// Chooses the tokens that can matter, into `selection`, with the logits that `compute` writes beside them.
///
/// The tokens that look best come first. Once their logits are known, a token matters only if its upper bound reaches the
/// least of these, also after `refine` narrowed the estimates. Tokens with NaN bounds are chosen too.
pub(super) fn choose(
    candidates: Candidates<'_>,
    selection: &mut Selection,
    refine: impl FnOnce(&mut [Estimate], f32),
    compute: impl Fn(&mut [(u32, f32)]),
) {
    let Selection { estimates, ranking, maxima, chosen, .. } = selection;
    for &token in candidates.always {
        if let Some(estimate) = estimates.get_mut(token as usize) {
            *estimate = Estimate::SETTLED;
        }
    }
    let is_allowed = |token: u32| candidates.allowed.is_none_or(|allowed| allowed.contains(token));
    if candidates.allowed.is_some() {
        let others = (0..).zip(&mut *estimates).filter(|(token, _)| !is_allowed(*token));
        others.for_each(|(_, estimate)| *estimate = Estimate::SETTLED);
    }
    ranking.clear();
    ranking.extend(estimates.iter().map(|estimate| estimate.lower));
    let count = match candidates.rule {
        Rule::Best | Rule::Within(_) => 1,
        Rule::Top(count) => count,
    };
    let looks_best = match count {
        1 => ranking.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        count if (1..ranking.len()).contains(&count) => keep_largest(ranking, maxima, count),
        _ => f32::NEG_INFINITY,
    };
    chosen.clear();
    if looks_best > f32::NEG_INFINITY {
        let first = (0..).zip(&mut *estimates).filter(|(_, estimate)| estimate.lower >= looks_best);
        for (token, estimate) in first {
            chosen.push((token, 0.0));
            *estimate = Estimate::SETTLED;
        }
    }
    compute(chosen);
    ranking.clear();
    ranking.extend(chosen.iter().map(|&(_, logit)| logit));
    let least = match candidates.rule {
        Rule::Within(distance) => nth_largest(ranking, 1) - distance,
        Rule::Best | Rule::Top(_) => nth_largest(ranking, count.max(1)),
    };
    refine(estimates, least);
    let first = chosen.len();
    let others = (0..).zip(&*estimates).filter(|(_, estimate)| matters(estimate.upper, least));
    let others = others.map(|(token, _)| token);
    let always = candidates.always.iter().copied();
    let always = always.filter(|token| (*token as usize) < estimates.len() && is_allowed(*token));
    chosen.extend(others.chain(always).map(|token| (token, 0.0)));
    compute(&mut chosen[first..]);
}

/// Removes all but the largest values, and returns the `count`-th largest, or -∞ if there are fewer numbers.
///
/// The `count`-th largest of the chunks' maxima is a threshold that `count` values reach, and few others do. It takes one
/// quick pass, where a selection among all values takes several slow ones.
fn keep_largest(values: &mut Vec<f32>, maxima: &mut Vec<f32>, count: usize) -> f32 {
    const CHUNKS_PER_VALUE: usize = 4;
    let size = (values.len() / (CHUNKS_PER_VALUE * count)).max(1);
    let largest = |chunk: &[f32]| chunk.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    maxima.clear();
    maxima.extend(values.chunks(size).map(largest));
    let threshold = nth_largest(maxima, count);
    values.retain(|value| *value >= threshold);
    nth_largest(values, count)
}

fn nth_largest(values: &mut [f32], count: usize) -> f32 {
    match count <= values.len() {
        true => *values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1,
        false => f32::NEG_INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_values_are_found_in_any_order() {
        for (len, count) in [(1, 1), (7, 7), (100, 3), (1000, 50), (5000, 1)] {
            let value = |i: usize| ((i * 7919 % len) as f32 / 3.0).sin();
            let mut sorted: Vec<f32> = (0..len).map(value).collect();
            let mut values = sorted.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            assert_eq!(keep_largest(&mut values, &mut Vec::new(), count), sorted[count - 1]);
            values.sort_by(|a, b| b.total_cmp(a));
            assert_eq!(values[..count], sorted[..count]);
        }
        assert_eq!(keep_largest(&mut vec![f32::NAN, 1.0, f32::NAN, 2.0], &mut Vec::new(), 2), 1.0);
        assert_eq!(keep_largest(&mut vec![f32::NAN, 1.0], &mut Vec::new(), 2), f32::NEG_INFINITY);
    }
}
