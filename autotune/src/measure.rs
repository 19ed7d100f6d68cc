//! Finds the fastest of several kernels on a machine that has other things to do as well.

use std::time::Duration;

use tercet_codegen::KernelSpec;

/// A stopwatch that can run kernels.
pub trait Timer {
    /// Why a kernel could not be timed.
    type Error;

    /// How long one product takes with the kernel of `spec`, measured once.
    ///
    /// # Errors
    /// Whatever keeps the kernel from running; the search ends with it.
    fn time(&mut self, spec: &KernelSpec) -> Result<Duration, Self::Error>;

    /// Time since the search began.
    fn elapsed(&self) -> Duration;
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The kernel to use.
    pub winner: KernelSpec,
    /// Its best time.
    pub time: Duration,
    /// The fastest of the others that came close.
    pub runner_up: Option<KernelSpec>,
    /// Median, over rounds in which both ran, of the default's time over the winner's: 1 if it is the winner.
    pub gain: f64,
    /// How many kernels were timed.
    pub timed: usize,
}

/// Slower than the fastest by this factor after the first round: out.
const HOPELESS: f64 = 1.25;
/// Slower than the fastest by this factor after the later rounds: not run again.
const BEHIND: f64 = 1.08;
/// Within this factor of the fastest: as good as it.
const EQUAL: f64 = 1.025;
/// Rounds before the leaders meet.
const ROUNDS: usize = 4;
/// The most that meet, beside the default.
const LEADERS: usize = 6;
/// Rounds in which the leaders meet.
const PAIRED_ROUNDS: usize = 15;

/// One kernel in the race.
struct Runner {
    spec: KernelSpec,
    best: Duration,
}

/// Times the first of `candidates`, which is the default, and as many others as `budget` allows.
///
/// Kernels take turns, so that a disturbance hits all alike; the clearly slower drop out; the leaders then meet in
/// rounds whose times are compared with the default's of the same round. Of those within 2.5 % of the fastest the default
/// wins, or else the first in order, so that two searches agree.
///
/// # Errors
/// Those of `timer`.
///
/// # Panics
/// If there are no candidates.
pub fn measure<T: Timer>(
    candidates: &[KernelSpec],
    budget: Duration,
    timer: &mut T,
) -> Result<Measured, T::Error> {
    let default = candidates[0];
    let mut field = Vec::with_capacity(candidates.len());
    for &spec in candidates {
        // Half of the budget is kept for those that look good.
        if !field.is_empty() && timer.elapsed() > budget / 2 {
            break;
        }
        field.push(Runner { spec, best: timer.time(&spec)? });
    }
    let timed = field.len();
    keep_within(&mut field, HOPELESS);
    for _ in 1..ROUNDS {
        for runner in &mut field {
            if timer.elapsed() > budget * 3 / 4 {
                break;
            }
            runner.best = runner.best.min(timer.time(&runner.spec)?);
        }
    }
    keep_within(&mut field, BEHIND);
    let meeting = leaders(field, default);
    let rounds = meet(&meeting, budget, timer)?;
    Ok(decide(&meeting, &rounds, timed))
}

/// Drops the kernels slower than the fastest by more than `factor`; the default, which is the first, stays.
fn keep_within(field: &mut Vec<Runner>, factor: f64) {
    let limit = field.iter().map(|runner| runner.best).min().unwrap_or_default().mul_f64(factor);
    let mut first = true;
    field.retain(|runner| std::mem::take(&mut first) || runner.best <= limit);
}

/// The default and the fastest others, in the order of the field.
fn leaders(mut field: Vec<Runner>, default: KernelSpec) -> Vec<Runner> {
    let mut ranking: Vec<(Duration, usize)> = field.iter().map(|runner| runner.best).zip(0..).collect();
    ranking.retain(|&(_, i)| field[i].spec != default);
    ranking.sort_unstable();
    let last = ranking.get(LEADERS).copied();
    let mut place = 0..;
    field.retain(|runner| {
        let rank = (runner.best, place.next().unwrap_or(usize::MAX));
        runner.spec == default || last.is_none_or(|last| rank < last)
    });
    field
}

/// Rounds of one time per leader, in seconds: at least one round, more while `budget` lasts.
fn meet<T: Timer>(leaders: &[Runner], budget: Duration, timer: &mut T) -> Result<Vec<Vec<f64>>, T::Error> {
    let mut rounds = Vec::with_capacity(PAIRED_ROUNDS);
    while rounds.is_empty() || (rounds.len() < PAIRED_ROUNDS && timer.elapsed() < budget) {
        let mut round = Vec::with_capacity(leaders.len());
        for leader in leaders {
            // A clock too coarse for a kernel must not make it infinitely fast.
            round.push(timer.time(&leader.spec)?.max(Duration::from_nanos(1)).as_secs_f64());
        }
        rounds.push(round);
    }
    Ok(rounds)
}

fn decide(leaders: &[Runner], rounds: &[Vec<f64>], timed: usize) -> Measured {
    let relative = |i: usize| median(rounds.iter().map(|round| round[i] / round[0]).collect());
    let relative: Vec<f64> = (0..leaders.len()).map(relative).collect();
    let fastest = relative.iter().copied().fold(f64::INFINITY, f64::min);
    let winner = relative.iter().position(|&time| time <= fastest * EQUAL).unwrap_or(0);
    let others = (0..leaders.len()).filter(|&i| i != winner);
    let runner_up = others.min_by(|&a, &b| relative[a].total_cmp(&relative[b]));
    let met = rounds.iter().map(|round| Duration::from_secs_f64(round[winner])).min();
    Measured {
        winner: leaders[winner].spec,
        time: met.unwrap_or(leaders[winner].best).min(leaders[winner].best),
        runner_up: runner_up.map(|i| leaders[i].spec),
        gain: 1.0 / relative[winner],
        timed,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
