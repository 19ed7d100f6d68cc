//! The tokens that a sampler can choose, by the bounds of their logits.

use std::cmp::Ordering;

use tercet_grammar::Mask;
use tercet_pool::Pool;

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

/// Rows of a block.
const BLOCK: usize = u64::BITS as usize;
/// Blocks of a task.
const BLOCKS: usize = 32;

/// Chooses the tokens that can matter, into `selection`, with the logits that `compute` writes beside them.
///
/// The tokens that look best come first. Once their logits are known, a token matters only if its upper bound reaches the
/// least of these, also after `refine` narrowed the estimates. Tokens with NaN bounds are chosen too.
pub(super) fn choose(
    pool: &Pool,
    candidates: Candidates<'_>,
    selection: &mut Selection,
    refine: impl FnOnce(&mut [Estimate], f32),
    compute: impl Fn(&mut [(u32, f32)]),
) {
    let Selection { estimates, ranking, maxima, marks, chosen, .. } = selection;
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
    let count = match candidates.rule {
        Rule::Best | Rule::Within(_) => 1,
        Rule::Top(count) => count,
    };
    chosen.clear();
    if (1..=estimates.len()).contains(&count) {
        find_maxima(pool, estimates, maxima);
        let looks_best = nth_largest_bound(estimates, maxima, ranking, count);
        if looks_best > f32::NEG_INFINITY {
            take_best(estimates, maxima, looks_best, chosen);
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
    mark(pool, estimates, least, marks);
    chosen.extend(marked(marks).map(|token| (token, 0.0)));
    let always = candidates.always.iter().copied();
    let always = always.filter(|token| (*token as usize) < estimates.len() && is_allowed(*token));
    chosen.extend(always.map(|token| (token, 0.0)));
    compute(&mut chosen[first..]);
}

/// Writes the largest lower bound of each block, or -∞ if it has no number.
fn find_maxima(pool: &Pool, estimates: &[Estimate], maxima: &mut Vec<f32>) {
    maxima.resize(estimates.len().div_ceil(BLOCK), 0.0);
    pool.chunks(maxima, BLOCKS, |task, maxima| {
        let blocks = estimates[task * BLOCKS * BLOCK..].chunks(BLOCK);
        for (largest, block) in maxima.iter_mut().zip(blocks) {
            *largest = block.iter().map(|estimate| estimate.lower).fold(f32::NEG_INFINITY, f32::max);
        }
    });
}

/// Returns the `count`-th largest lower bound, or -∞ if there are fewer numbers.
///
/// The `count`-th largest of the blocks' maxima is a threshold that `count` bounds reach, and few others do. So most blocks
/// need no look.
fn nth_largest_bound(estimates: &[Estimate], maxima: &[f32], ranking: &mut Vec<f32>, count: usize) -> f32 {
    ranking.clear();
    ranking.extend_from_slice(maxima);
    let threshold = nth_largest(ranking, count);
    ranking.clear();
    for (largest, block) in maxima.iter().zip(estimates.chunks(BLOCK)) {
        if *largest >= threshold {
            let bounds = block.iter().map(|estimate| estimate.lower);
            ranking.extend(bounds.filter(|bound| *bound >= threshold));
        }
    }
    nth_largest(ranking, count)
}

/// Chooses the tokens with a lower bound of at least `least`, which are settled then.
fn take_best(estimates: &mut [Estimate], maxima: &[f32], least: f32, chosen: &mut Vec<(u32, f32)>) {
    let blocks = (0..).step_by(BLOCK).zip(estimates.chunks_mut(BLOCK)).zip(maxima);
    for ((first, block), _) in blocks.filter(|(_, largest)| **largest >= least) {
        for (token, estimate) in (first..).zip(block).filter(|(_, estimate)| estimate.lower >= least) {
            chosen.push((token, 0.0));
            *estimate = Estimate::SETTLED;
        }
    }
}

/// Writes a word for each block, with a bit for each token that can matter beside a logit of `least`.
fn mark(pool: &Pool, estimates: &[Estimate], least: f32, marks: &mut Vec<u64>) {
    marks.resize(estimates.len().div_ceil(BLOCK), 0);
    pool.chunks(marks, BLOCKS, |task, marks| {
        let blocks = estimates[task * BLOCKS * BLOCK..].chunks(BLOCK);
        for (mark, block) in marks.iter_mut().zip(blocks) {
            let bits = (0..).zip(block).map(|(i, estimate)| u64::from(matters(estimate.upper, least)) << i);
            *mark = bits.fold(0, |mark, bit| mark | bit);
        }
    });
}

/// Returns the marked tokens.
fn marked(marks: &[u64]) -> impl Iterator<Item = u32> {
    (0..).step_by(BLOCK).zip(marks).flat_map(|(first, mark)| {
        let mut rest = *mark;
        std::iter::from_fn(move || {
            let token = (rest != 0).then(|| first + rest.trailing_zeros());
            rest &= rest.wrapping_sub(1);
            token
        })
    })
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
    use crate::pool;

    fn with(lower: f32, upper: f32) -> Estimate {
        let mut estimate = Estimate::default();
        (estimate.lower, estimate.upper) = (lower, upper);
        estimate
    }

    fn bounds(lower: impl Iterator<Item = f32>) -> Vec<Estimate> {
        lower.map(|lower| with(lower, lower)).collect()
    }

    #[test]
    fn the_largest_bounds_are_found_in_any_order() {
        let pool = pool::start(2).unwrap();
        let nth = |estimates: &[Estimate], count| {
            let mut maxima = Vec::new();
            find_maxima(&pool, estimates, &mut maxima);
            nth_largest_bound(estimates, &maxima, &mut Vec::new(), count)
        };
        for (len, count) in [(1, 1), (7, 7), (100, 3), (1000, 50), (5000, 1)] {
            let value = |i: usize| ((i * 7919 % len) as f32 / 3.0).sin();
            let mut sorted: Vec<f32> = (0..len).map(value).collect();
            let mut estimates = bounds(sorted.iter().copied());
            sorted.sort_by(|a, b| b.total_cmp(a));
            assert_eq!(nth(&estimates, count), sorted[count - 1]);
            let (mut maxima, mut chosen) = (Vec::new(), Vec::new());
            find_maxima(&pool, &estimates, &mut maxima);
            take_best(&mut estimates, &maxima, sorted[count - 1], &mut chosen);
            let expected = (0..len).filter(|i| value(*i) >= sorted[count - 1]);
            assert!(chosen.iter().map(|(token, _)| *token as usize).eq(expected));
        }
        assert_eq!(nth(&bounds([f32::NAN, 1.0, f32::NAN, 2.0].into_iter()), 2), 1.0);
        assert_eq!(nth(&bounds([f32::NAN, 1.0].into_iter()), 2), f32::NEG_INFINITY);
    }

    #[test]
    fn tokens_that_can_matter_are_marked() {
        let pool = pool::start(2).unwrap();
        let upper = |i: usize| if i.is_multiple_of(1000) { f32::NAN } else { (i * i % 4099) as f32 };
        for len in [0, 1, 64, 65, 5000] {
            let estimates: Vec<Estimate> = (0..len).map(|i| with(0.0, upper(i))).collect();
            let mut marks = vec![u64::MAX; 3];
            mark(&pool, &estimates, 3000.0, &mut marks);
            let expected = (0..len).filter(|i| upper(*i).is_nan() || upper(*i) >= 3000.0);
            assert!(marked(&marks).map(|token| token as usize).eq(expected));
        }
    }
}
