//! Finds the fastest of several candidates on a machine that also does other work.

use std::time::Duration;

/// A stopwatch for candidates: kernels, or ways to share their work.
pub trait Timer<C> {
    /// The error of a candidate that cannot be timed.
    type Error;

    /// Measures one product with `candidate`, once.
    ///
    /// # Errors
    /// Fails if the candidate cannot run. The search ends with this error.
    fn time(&mut self, candidate: &C) -> Result<Duration, Self::Error>;

    /// Returns the time since the search began.
    fn elapsed(&self) -> Duration;
}

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured<C> {
    /// The candidate to use.
    pub winner: C,
    /// Its best time.
    pub time: Duration,
    /// The fastest of the other leaders.
    pub runner_up: Option<C>,
    /// The default's time over the winner's, by the median of rounds in which both ran or by the best times: the lower of
    /// both. It is 1 if the default wins.
    pub gain: f64,
    /// Number of timed candidates.
    pub timed: usize,
}

/// After the first round, a candidate that is slower than the fastest by this factor drops out.
const HOPELESS: f64 = 1.25;
/// After the later rounds, a candidate that is slower than the fastest by this factor drops out.
const BEHIND: f64 = 1.08;
/// Candidates within this factor of the fastest are equally good.
const EQUAL: f64 = 1.025;
/// Rounds before the leaders meet.
const ROUNDS: usize = 4;
/// The most leaders that meet, besides the default.
const LEADERS: usize = 6;
/// Rounds in which the leaders meet.
const PAIRED_ROUNDS: usize = 15;

/// One candidate with its best time.
struct Runner<C> {
    candidate: C,
    best: Duration,
}

/// Times `candidates` while `budget` lasts. The first is the default, and is always timed.
///
/// - Candidates take turns, so that a disturbance hits all alike, and the clearly slower ones drop out.
/// - The leaders then meet in rounds. Times are compared with the default's of the same round, and best times with the best.
/// - Among those within 2.5 % of the fastest, the default wins, otherwise the first in order. So two searches agree.
///
/// # Errors
/// Fails with the first error of `timer`.
///
/// # Panics
/// If there are no candidates.
pub fn measure<C: Copy + PartialEq, T: Timer<C>>(
    candidates: &[C],
    budget: Duration,
    timer: &mut T,
) -> Result<Measured<C>, T::Error> {
    let default = candidates[0];
    let mut field = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        // The other half of the budget is for those that look good.
        if !field.is_empty() && timer.elapsed() > budget / 2 {
            break;
        }
        field.push(Runner { candidate: *candidate, best: timer.time(candidate)? });
    }
    let timed = field.len();
    keep_within(&mut field, HOPELESS);
    for _ in 1..ROUNDS {
        for runner in &mut field {
            if timer.elapsed() > budget * 3 / 4 {
                break;
            }
            runner.best = runner.best.min(timer.time(&runner.candidate)?);
        }
    }
    keep_within(&mut field, BEHIND);
    let meeting = leaders(field, default);
    let rounds = meet(&meeting, budget, timer)?;
    Ok(decide(&meeting, &rounds, timed))
}

/// Drops candidates that are slower than the fastest by more than `factor`. The first, the default, stays.
fn keep_within<C>(field: &mut Vec<Runner<C>>, factor: f64) {
    let limit = field.iter().map(|runner| runner.best).min().unwrap_or_default().mul_f64(factor);
    let mut first = true;
    field.retain(|runner| std::mem::take(&mut first) || runner.best <= limit);
}

/// Returns the default and the fastest others, in the order of the field.
fn leaders<C: PartialEq>(mut field: Vec<Runner<C>>, default: C) -> Vec<Runner<C>> {
    let mut ranking: Vec<(Duration, usize)> = field.iter().map(|runner| runner.best).zip(0..).collect();
    ranking.retain(|&(_, i)| field[i].candidate != default);
    ranking.sort_unstable();
    let last = ranking.get(LEADERS).copied();
    let mut place = 0..;
    field.retain(|runner| {
        let rank = (runner.best, place.next().unwrap_or(usize::MAX));
        runner.candidate == default || last.is_none_or(|last| rank < last)
    });
    field
}

/// Returns rounds of one time per leader, in seconds: at least one round, more while `budget` lasts.
fn meet<C, T: Timer<C>>(
    leaders: &[Runner<C>],
    budget: Duration,
    timer: &mut T,
) -> Result<Vec<Vec<f64>>, T::Error> {
    let mut rounds = Vec::with_capacity(PAIRED_ROUNDS);
    while rounds.is_empty() || (rounds.len() < PAIRED_ROUNDS && timer.elapsed() < budget) {
        let mut round = Vec::with_capacity(leaders.len());
        for leader in leaders {
            // A clock too coarse for a candidate must not make it infinitely fast.
            round.push(timer.time(&leader.candidate)?.max(Duration::from_nanos(1)).as_secs_f64());
        }
        rounds.push(round);
    }
    Ok(rounds)
}

fn decide<C: Copy>(leaders: &[Runner<C>], rounds: &[Vec<f64>], timed: usize) -> Measured<C> {
    let least = |i: usize| {
        rounds.iter().map(|round| round[i]).fold(leaders[i].best.as_secs_f64().max(1e-9), f64::min)
    };
    // A disturbance of the default alone must not make another look fast: its best time has to be better too.
    let relative = |i: usize| {
        let met = median(rounds.iter().map(|round| round[i] / round[0]).collect());
        met.max(least(i) / least(0))
    };
    let relative: Vec<f64> = (0..leaders.len()).map(relative).collect();
    let fastest = relative.iter().copied().fold(f64::INFINITY, f64::min);
    let winner = relative.iter().position(|&time| time <= fastest * EQUAL).unwrap_or(0);
    let others = (0..leaders.len()).filter(|&i| i != winner);
    let runner_up = others.min_by(|&a, &b| relative[a].total_cmp(&relative[b]));
    let met = rounds.iter().map(|round| Duration::from_secs_f64(round[winner])).min();
    Measured {
        winner: leaders[winner].candidate,
        time: met.unwrap_or(leaders[winner].best).min(leaders[winner].best),
        runner_up: runner_up.map(|i| leaders[i].candidate),
        gain: 1.0 / relative[winner],
        timed,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
