//! Choosing the next token from logits, the same on every platform.
//!
//! Probabilities are whole numbers in units of 2⁻⁴⁰ of the best candidate's, so that their sums are exact in any
//! order; the exponential is `libm`'s and the generator ChaCha8.

mod adjustments;
mod options;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::error::Result;
use crate::generate::{Logprob, TokenLogprobs};
use crate::model::{Candidates, Rule};
use adjustments::Adjustments;
pub use options::{SamplerOptions, SamplingChoices};

/// Draws tokens. Buffers grow to the vocabulary once; after that nothing is allocated.
///
/// ```
/// use tercet_engine::{Sampler, SamplerOptions};
///
/// let mut greedy = Sampler::new(SamplerOptions::default())?;
/// assert_eq!(greedy.sample(&mut [0.1, 2.5, -1.0], &[]), 1);
///
/// let options = SamplerOptions { temperature: 1.0, top_k: 2, seed: 7, ..SamplerOptions::default() };
/// let mut sampler = Sampler::new(options)?;
/// let token = sampler.sample(&mut [0.1, 2.5, -1.0], &[]);
/// assert!([0, 1].contains(&token));
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sampler {
    options: SamplerOptions,
    rng: ChaCha8Rng,
    candidates: Vec<Candidate>,
    adjustments: Adjustments,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    logit: f32,
    token: u32,
    /// Probability in units of [`UNIT`].
    weight: u64,
}

/// Tokens less than e⁻¹⁴ times (a millionth) as probable as the best are never drawn, so that nobody needs their logits.
const LEAST_LIKELY: f32 = 14.0;

/// Weight of the best candidate. 2²¹ tokens (more than any vocabulary) cannot overflow the sum.
const UNIT: f32 = (1_u64 << 40) as f32;

impl Sampler {
    /// A sampler at the start of its sequence.
    ///
    /// # Errors
    /// Those of [`SamplerOptions::validate`].
    pub fn new(options: SamplerOptions) -> Result<Self> {
        options.validate()?;
        let rng = ChaCha8Rng::seed_from_u64(options.seed);
        Ok(Sampler { options, rng, candidates: Vec::new(), adjustments: Adjustments::default() })
    }

    /// The tokens whose logits [`Sampler::sample`] will look at, `history` being what precedes the token.
    ///
    /// Adjustments change only the logits of some tokens, which therefore are wanted in any case.
    pub fn candidates<'a>(&'a mut self, history: &'a [u32]) -> Candidates<'a> {
        let SamplerOptions { temperature, top_k, .. } = self.options;
        let rule = match (temperature, top_k) {
            (0.0, _) => Rule::Best,
            // A little more, for what rounding does to the distances.
            (_, 0) => Rule::Within(temperature * (LEAST_LIKELY + 0.01) + 1e-3),
            (_, k) => Rule::Top(k),
        };
        Candidates { rule, always: self.adjustments.tokens(&self.options, history), allowed: None }
    }

    /// The token that follows `history`, by `logits` over the vocabulary, which are adjusted in place. The history at the
    /// first call is the prompt. Of equals the lowest token is the better; NaN is never chosen.
    ///
    /// Order as in transformers: repetition penalty, other penalties and biases, temperature, top-k, top-p, min-p.
    pub fn sample(&mut self, logits: &mut [f32], history: &[u32]) -> u32 {
        self.adjust(logits, history);
        self.pick(logits)
    }

    /// Applies penalties and biases to the logits of the token that follows `history`.
    pub(crate) fn adjust(&mut self, logits: &mut [f32], history: &[u32]) {
        self.adjustments.apply(&self.options, logits, history);
    }

    /// Chooses a token by adjusted logits.
    pub(crate) fn pick(&mut self, logits: &[f32]) -> u32 {
        self.candidates.clear();
        let (best, best_logit) = argmax(logits);
        if self.options.temperature == 0.0 {
            return best;
        }
        let chance = self.rng.next_u64();
        if best_logit.is_infinite() {
            return best;
        }
        self.gather(logits);
        self.keep_top_k();
        self.weigh(best_logit);
        self.keep_top_p();
        self.keep_min_p();
        self.draw(chance).unwrap_or(best)
    }

    /// Takes note of a token after `history` that was chosen without logits, because it was the only one. The random
    /// choices that follow are those after [`Sampler::sample`].
    pub(crate) fn pass(&mut self, history: &[u32]) {
        self.candidates.clear();
        self.adjustments.begin(history);
        if self.options.temperature != 0.0 {
            self.rng.next_u64();
        }
    }

    /// Returns the probabilities that the latest token was drawn by: its own, and those of the `count` likeliest tokens. One
    /// that was chosen without chance has all the probability.
    pub(crate) fn logprobs(&self, chosen: u32, count: usize) -> TokenLogprobs {
        let total = libm::log(self.mass() as f64);
        let logprob = |candidate: &Candidate| Logprob {
            token: candidate.token,
            logprob: libm::log(candidate.weight as f64) - total,
        };
        let possible = self.candidates.iter().filter(|candidate| candidate.weight > 0);
        let mut best: Vec<Logprob> = possible.map(logprob).collect();
        let Some(&drawn) = best.iter().find(|candidate| candidate.token == chosen) else {
            let certain = Logprob { token: chosen, logprob: 0.0 };
            return TokenLogprobs { chosen: certain, best: vec![certain; count.min(1)] };
        };
        best.sort_by(|a, b| b.logprob.total_cmp(&a.logprob).then(a.token.cmp(&b.token)));
        best.truncate(count);
        TokenLogprobs { chosen: drawn, best }
    }

    fn gather(&mut self, logits: &[f32]) {
        self.candidates.clear();
        self.candidates.reserve(logits.len());
        let possible = possible(logits).map(|(token, logit)| Candidate { logit, token, weight: 0 });
        self.candidates.extend(possible);
    }

    fn keep_top_k(&mut self) {
        let k = self.options.top_k;
        if k > 0 && k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(k - 1, better_first);
            self.candidates.truncate(k);
        }
    }

    /// The softmax numerators, without the tokens that are too unlikely to be drawn.
    fn weigh(&mut self, best_logit: f32) {
        let temperature = self.options.temperature;
        self.candidates.retain_mut(|candidate| {
            let distance = (candidate.logit - best_logit) / temperature;
            candidate.weight = (libm::expf(distance) * UNIT) as u64;
            distance >= -LEAST_LIKELY
        });
    }

    /// Sorts only as far down as the nucleus reaches: vocabularies are large and nuclei small.
    /// Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020.
    fn keep_top_p(&mut self) {
        if self.options.top_p >= 1.0 {
            return;
        }
        let goal = f64::from(self.options.top_p) * self.mass() as f64;
        let (mut held, mut sorted, mut step) = (0_u64, 0, 64);
        while sorted < self.candidates.len() {
            let rest = &mut self.candidates[sorted..];
            let next = step.min(rest.len());
            if next < rest.len() {
                rest.select_nth_unstable_by(next - 1, better_first);
            }
            rest[..next].sort_unstable_by(better_first);
            for (i, candidate) in rest[..next].iter().enumerate() {
                held += candidate.weight;
                if held as f64 >= goal {
                    self.candidates.truncate(sorted + i + 1);
                    return;
                }
            }
            sorted += next;
            step *= 4;
        }
    }

    fn keep_min_p(&mut self) {
        let least = (self.options.min_p * UNIT) as u64;
        self.candidates.retain(|candidate| candidate.weight >= least);
    }

    /// Walks the candidates, in token order, up to the point that `chance`, uniform over all u64, falls on.
    fn draw(&mut self, chance: u64) -> Option<u32> {
        self.candidates.sort_unstable_by_key(|candidate| candidate.token);
        let mut left = ((u128::from(chance) * u128::from(self.mass())) >> 64) as u64;
        for candidate in &self.candidates {
            if left < candidate.weight {
                return Some(candidate.token);
            }
            left -= candidate.weight;
        }
        None
    }

    fn mass(&self) -> u64 {
        self.candidates.iter().map(|candidate| candidate.weight).sum()
    }
}

fn better_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.partial_cmp(&a.logit).unwrap_or(Ordering::Equal).then(a.token.cmp(&b.token))
}

/// The lowest token of the largest logit, and that logit; token 0 and −∞ if none is larger.
pub(crate) fn argmax(logits: &[f32]) -> (u32, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, logit) in possible(logits) {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best
}

/// Returns the tokens with a logit above -∞, in order. A head leaves most logits at -∞, and these tokens are never drawn.
fn possible(logits: &[f32]) -> impl Iterator<Item = (u32, f32)> {
    // A look at a whole block takes one or two vector instructions.
    const BLOCK: usize = 16;
    let is_possible = |logit: &f32| *logit > f32::NEG_INFINITY;
    let (blocks, rest) = logits.as_chunks::<BLOCK>();
    let blocks = blocks.iter().map(|block| &block[..]).chain([rest]).zip((0..).step_by(BLOCK));
    let blocks =
        blocks.filter(move |(block, _)| block.iter().fold(false, |any, logit| any | is_possible(logit)));
    let tokens = blocks.flat_map(|(block, first)| (first..).zip(block.iter().copied()));
    tokens.filter(move |(_, logit)| is_possible(logit))
}
