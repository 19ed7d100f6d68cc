//! The tests and their timing.

use std::fmt;
use std::time::{Duration, Instant};

use crate::cli::progress;
use tercet_engine::Result;
use tercet_engine::{Candidates, Logits, Model, Rule, State};

/// The logits that greedy decoding needs.
const BEST: Logits<'static> = Logits::Candidates(Candidates::by(Rule::Best));

/// A timed piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Reads a prompt with this number of tokens, and computes the logits of the last one.
    Prompt(usize),
    /// Generates this number of tokens one by one, and computes the logits of each.
    Generate(usize),
}

impl Test {
    pub(super) fn tokens(self) -> usize {
        match self {
            Test::Prompt(tokens) | Test::Generate(tokens) => tokens,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Prompt(tokens) => write!(f, "pp{tokens}"),
            Test::Generate(tokens) => write!(f, "tg{tokens}"),
        }
    }
}

/// The rates of a test, in tokens per second.
#[derive(Clone, Debug)]
pub(super) struct Rates {
    pub(super) test: Test,
    /// Tokens in the context at the start.
    pub(super) depth: usize,
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Rates {
    fn new(test: Test, depth: usize, mut rates: Vec<f64>) -> Self {
        rates.sort_by(f64::total_cmp);
        let middle = rates.len() / 2;
        let median = (rates[middle] + rates[(rates.len() - 1) / 2]) / 2.0;
        Rates { test, depth, median, min: rates[0], max: rates[rates.len() - 1] }
    }
}

/// A model and its tests.
pub(super) struct Workload<'a> {
    model: &'a Model,
    tests: &'a [Test],
    depth: usize,
    state: State,
    /// Input tokens, enough for the longest test.
    tokens: Vec<u32>,
}

impl<'a> Workload<'a> {
    /// Reserves a context for `depth` tokens and the longest test.
    ///
    /// # Errors
    /// Fails if the model's context is too short.
    pub(super) fn new(model: &'a Model, tests: &'a [Test], depth: usize) -> Result<Self> {
        let longest = tests.iter().map(|test| test.tokens()).max().unwrap_or(0);
        let state = model.new_state(depth.saturating_add(longest))?;
        let tokens = tokens(model.config().vocab_size).take(depth.max(longest)).collect();
        Ok(Workload { model, tests, depth, state, tokens })
    }

    /// Measures the first test's prompt without warm-up, up to the logits of the first new token.
    pub(super) fn first_token(&mut self) -> Result<Duration> {
        let tokens = self.tests.iter().find(|test| matches!(test, Test::Prompt(_))).map_or(1, |t| t.tokens());
        self.time(Test::Prompt(tokens))
    }

    /// Fills the context, runs every test once to warm up, and then runs all tests in turns, `repeat` times.
    pub(super) fn rates(&mut self, repeat: usize) -> Result<Vec<Rates>> {
        let bar = progress::bar("measuring", (repeat + 1) * self.tests.len());
        self.state.truncate(0);
        if self.depth > 0 {
            self.model.forward(&mut self.state, &self.tokens[..self.depth], BEST)?;
        }
        let mut rates = vec![Vec::new(); self.tests.len()];
        for round in 0..=repeat {
            for (&test, rates) in self.tests.iter().zip(&mut rates) {
                let time = self.time(test)?;
                if round > 0 {
                    rates.push(test.tokens() as f64 / time.as_secs_f64());
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let all = self.tests.iter().zip(rates);
        Ok(all.map(|(&test, rates)| Rates::new(test, self.depth, rates)).collect())
    }

    /// Runs `test` and removes its tokens from the context.
    fn time(&mut self, test: Test) -> Result<Duration> {
        let Workload { model, state, tokens, .. } = self;
        let (position, tokens) = (state.position(), &tokens[..test.tokens()]);
        let start = Instant::now();
        match test {
            Test::Prompt(_) => {
                model.forward(state, tokens, BEST)?;
            }
            Test::Generate(_) => {
                for token in tokens {
                    model.forward(state, &[*token], BEST)?;
                }
            }
        }
        let time = start.elapsed();
        state.truncate(position);
        Ok(time)
    }
}

/// Returns tokens from all over the vocabulary.
fn tokens(vocabulary: usize) -> impl Iterator<Item = u32> {
    let spread = |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
    (1..).map(move |i| (spread(i) % vocabulary) as u32)
}

#[cfg(test)]
mod tests {
    use super::{Rates, Test};

    #[test]
    fn medians_of_odd_and_even_counts() {
        let rates = |rates: &[f64]| Rates::new(Test::Prompt(1), 0, rates.to_vec());
        let odd = rates(&[5.0, 1.0, 3.0]);
        assert_eq!((odd.median, odd.min, odd.max), (3.0, 1.0, 5.0));
        assert_eq!(rates(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
        assert_eq!(rates(&[7.0]).median, 7.0);
    }
}
