//! The tests and their timing.

use std::fmt;
use std::time::{Duration, Instant};

use crate::cli::energy::{Metered, Used};
use crate::cli::left_out::LeftOut;
use crate::cli::progress;
use tercet_cpu::energy::Energy;
use tercet_engine::{Candidates, Logits, Model, Result, Rule, Sampler, SamplerOptions, State};

/// The logits of a prompt's last token that greedy decoding needs.
const BEST: Logits<'static> = Logits::Candidates(Candidates::by(Rule::Best));

/// A timed piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// Reads a prompt with this number of tokens, and computes the logits of the last one.
    Prompt(usize),
    /// Generates tokens one by one, each by the logits of the one before.
    Generate {
        /// Tokens of each sequence.
        tokens: usize,
        /// Sequences that share the passes.
        parallel: usize,
    },
}

impl Test {
    /// Returns the tokens of each sequence.
    pub(super) fn tokens(self) -> usize {
        match self {
            Test::Prompt(tokens) | Test::Generate { tokens, .. } => tokens,
        }
    }

    /// Returns the tokens of all sequences.
    fn all_tokens(self) -> usize {
        self.tokens() * self.sequences()
    }

    /// Returns the number of sequences.
    fn sequences(self) -> usize {
        match self {
            Test::Prompt(_) => 1,
            Test::Generate { parallel, .. } => parallel,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Prompt(tokens) => write!(f, "pp{tokens}"),
            Test::Generate { tokens, parallel: 1 } => write!(f, "tg{tokens}"),
            Test::Generate { tokens, parallel } => write!(f, "tg{tokens}x{parallel}"),
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
    /// Of the tokens that were read or generated.
    pub(super) left_out: LeftOut,
    /// Of all runs together; none if it is unknown, or nobody asked for it.
    pub(super) energy: Option<Used>,
}

impl Rates {
    /// Summarizes the `runs` of a test, of which there must be at least one.
    fn new(test: Test, depth: usize, left_out: LeftOut, runs: &[Run], metered: Option<&Metered>) -> Self {
        let rate = |run: &Run| test.all_tokens() as f64 / run.time.as_secs_f64();
        let mut rates: Vec<f64> = runs.iter().map(rate).collect();
        let median = median(&mut rates);
        let energy = runs.iter().map(|run| run.energy).sum::<Option<Energy>>();
        let used =
            |(metered, energy): (&Metered, Energy)| metered.used(energy, runs.len() * test.all_tokens());
        Rates {
            test,
            depth,
            median,
            min: rates[0],
            max: rates[rates.len() - 1],
            left_out,
            energy: metered.zip(energy).map(used),
        }
    }
}

/// One run of a test.
struct Run {
    time: Duration,
    /// With the energy at rest; none if it is unknown, or nobody asked for it.
    energy: Option<Energy>,
}

/// Sorts `values`, and returns their median. There must be at least one.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2] + values[(values.len() - 1) / 2]) / 2.0
}

/// A model and its tests.
pub(super) struct Workload<'a> {
    model: &'a Model,
    tests: &'a [Test],
    depth: usize,
    sampling: &'a SamplerOptions,
    /// The sequences: enough for the test with the most.
    states: Vec<State>,
    /// Input tokens, enough for the longest test.
    tokens: Vec<u32>,
}

impl<'a> Workload<'a> {
    /// Reserves contexts for `depth` tokens and the longest test. Generated tokens are chosen by `sampling`.
    ///
    /// # Errors
    /// Fails if the model's context is too short, or the system has too little memory.
    pub(super) fn new(
        model: &'a Model,
        tests: &'a [Test],
        depth: usize,
        sampling: &'a SamplerOptions,
    ) -> Result<Self> {
        let longest = tests.iter().map(|test| test.tokens()).max().unwrap_or(0);
        let sequences = tests.iter().map(|test| test.sequences()).max().unwrap_or(1);
        let state = || model.new_state(depth.saturating_add(longest));
        let states = (0..sequences).map(|_| state()).collect::<Result<_>>()?;
        let tokens = tokens(model.config().vocab_size).take(depth.max(longest).max(sequences)).collect();
        Ok(Workload { model, tests, depth, sampling, states, tokens })
    }

    /// Measures the first test's prompt without warm-up, up to the logits of the first new token.
    pub(super) fn first_token(&mut self) -> Result<Duration> {
        let tokens = self.tests.iter().find(|test| matches!(test, Test::Prompt(_))).map_or(1, |t| t.tokens());
        Ok(self.time(Test::Prompt(tokens))?.time)
    }

    /// Fills the context, runs every test once to warm up and to count, and then runs all tests in turns, `repeat` times.
    /// Also measures the energy, if there is a meter.
    pub(super) fn rates(&mut self, repeat: usize, metered: Option<&Metered>) -> Result<Vec<Rates>> {
        let bar = progress::bar("measuring", (repeat + 1) * self.tests.len());
        for state in &mut self.states {
            state.truncate(0);
            if self.depth > 0 {
                self.model.forward(state, &self.tokens[..self.depth], BEST)?;
            }
        }
        let mut left_out = Vec::new();
        for &test in self.tests {
            left_out.push(self.count(test)?);
            bar.inc(1);
        }
        let mut runs: Vec<Vec<Run>> = self.tests.iter().map(|_| Vec::new()).collect();
        for _ in 0..repeat {
            for (&test, runs) in self.tests.iter().zip(&mut runs) {
                let start = metered.map(Metered::begin);
                let run = self.time(test)?;
                let energy = metered.zip(start).and_then(|(metered, start)| metered.since(&start));
                runs.push(Run { energy, ..run });
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        let all = self.tests.iter().zip(left_out).zip(runs);
        let rates =
            |((&test, left_out), runs): (_, Vec<Run>)| Rates::new(test, self.depth, left_out, &runs, metered);
        Ok(all.map(rates).collect())
    }

    /// Runs `test`, and counts what it leaves out. A prompt has no tokens that were chosen.
    fn count(&mut self, test: Test) -> Result<LeftOut> {
        let model = self.model;
        let (run, work) = model.counting(|| self.time(test));
        run?;
        let left_out = LeftOut::of(&work, model);
        Ok(match test {
            Test::Prompt(_) => LeftOut {
                head_rows: None,
                head_rows_pct: None,
                screen_bytes: None,
                skipped_bytes: 0.0,
                ..left_out
            },
            Test::Generate { .. } => left_out,
        })
    }

    /// Runs `test` and removes its tokens from the contexts.
    fn time(&mut self, test: Test) -> Result<Run> {
        let positions: Vec<usize> = self.states.iter().map(State::position).collect();
        let start = Instant::now();
        match test {
            Test::Prompt(tokens) => {
                self.model.forward(&mut self.states[0], &self.tokens[..tokens], BEST)?;
            }
            Test::Generate { tokens, parallel } => self.generate(tokens, parallel)?,
        }
        let time = start.elapsed();
        self.states.iter_mut().zip(positions).for_each(|(state, position)| state.truncate(position));
        Ok(Run { time, energy: None })
    }

    /// Generates `count` tokens in each of the first `parallel` sequences, which begin with tokens of their own.
    fn generate(&mut self, count: usize, parallel: usize) -> Result<()> {
        let mut samplers = Vec::new();
        for seed in 0..parallel as u64 {
            samplers.push(Sampler::new(SamplerOptions { seed, ..self.sampling.clone() })?);
        }
        let mut texts: Vec<Vec<u32>> = self.tokens[..parallel].iter().map(|&token| vec![token]).collect();
        let mut states: Vec<&mut State> = self.states[..parallel].iter_mut().collect();
        for position in 0..count {
            let latest: Vec<u32> = texts.iter().map(|text| text[position]).collect();
            let candidates = samplers.iter_mut().zip(&texts).map(|(sampler, text)| sampler.candidates(text));
            let candidates: Vec<Candidates<'_>> = candidates.collect();
            match (&mut states[..], &latest[..]) {
                ([state], [token]) => {
                    self.model.forward(state, &[*token], Logits::Candidates(candidates[0]))?;
                }
                (states, latest) => self.model.forward_each(states, latest, &candidates)?,
            }
            for ((state, sampler), text) in states.iter_mut().zip(&mut samplers).zip(&mut texts) {
                let token = sampler.sample(state.logits_mut(), text);
                text.push(token);
            }
        }
        Ok(())
    }
}

/// Returns tokens from all over the vocabulary.
fn tokens(vocabulary: usize) -> impl Iterator<Item = u32> {
    let spread = |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
    (1..).map(move |i| (spread(i) % vocabulary) as u32)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LeftOut, Rates, Run, Test};

    #[test]
    fn medians_of_odd_and_even_counts() {
        let rates = |seconds: &[u64]| {
            let run = |&seconds| Run { time: Duration::from_secs(seconds), energy: None };
            let runs: Vec<Run> = seconds.iter().map(run).collect();
            Rates::new(Test::Prompt(240), 0, LeftOut::default(), &runs, None)
        };
        let odd = rates(&[3, 1, 2]);
        assert_eq!((odd.median, odd.min, odd.max), (120.0, 80.0, 240.0));
        assert_eq!(rates(&[4, 1, 2, 3]).median, 100.0);
        assert_eq!(rates(&[4]).median, 60.0);
    }
}
