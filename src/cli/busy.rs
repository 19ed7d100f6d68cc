//! Detects other programs that use the machine.

use std::fs;
use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use super::report;

const SAMPLE: Duration = Duration::from_millis(250);
/// Cores in use by the background of a quiet machine, at most.
const QUIET: f64 = 0.2;

/// Measures the cores in use while this process sleeps. Returns none on systems without `/proc/stat`.
pub(super) fn cores_in_use() -> Option<f64> {
    let before = read()?;
    thread::sleep(SAMPLE);
    let after = read()?;
    let ticks = |field: fn(&Ticks) -> u64| field(&after).saturating_sub(field(&before)) as f64;
    let all = ticks(|ticks| ticks.all);
    (all > 0.0).then(|| ticks(|ticks| ticks.used) / all * after.cores as f64)
}

/// Returns true if this number of cores in use disturbs a measurement.
pub(super) fn is_busy(cores: f64) -> bool {
    cores > QUIET
}

/// Prints a warning if the machine is busy.
pub(super) fn warn(cores: Option<f64>) {
    if let Some(cores) = cores.filter(|&cores| is_busy(cores)) {
        report::note(format_args!(
            "warning: other programs use {cores:.1} cores of this machine: expect lower and unsteady figures"
        ));
    }
}

/// Watches the machine while this process works.
pub(super) struct Watch(Option<Ticks>);

impl Watch {
    /// Ticks of all cores that make a figure.
    const LEAST: u64 = 20;
    /// The share of the machine from which others disturb noticeably.
    const NOTICEABLE: f64 = 0.1;

    /// Watches if there is somebody to tell at the terminal.
    pub(super) fn start() -> Self {
        Watch(io::stderr().is_terminal().then(read).flatten())
    }

    /// Returns a line about the cores that other programs have used since the start, if they are many.
    pub(super) fn remark(&self) -> Option<String> {
        let (before, after) = (self.0.as_ref()?, read()?);
        let ticks = |field: fn(&Ticks) -> u64| field(&after).saturating_sub(field(before));
        let (all, others) =
            (ticks(|ticks| ticks.all), ticks(|ticks| ticks.used).saturating_sub(ticks(|ticks| ticks.own)));
        let share = others as f64 / all as f64;
        (all >= Self::LEAST && share > Self::NOTICEABLE).then(|| {
            let cores = share * after.cores as f64;
            format!("other programs used {cores:.1} of {} CPUs: this was slower than it can be", after.cores)
        })
    }
}

/// Total time of all cores since the start of the machine, in ticks.
#[derive(Debug, PartialEq)]
struct Ticks {
    used: u64,
    all: u64,
    /// Those of this process.
    own: u64,
    cores: usize,
}

fn read() -> Option<Ticks> {
    parse(&fs::read_to_string("/proc/stat").ok()?, &fs::read_to_string("/proc/self/stat").ok()?)
}

/// Parses `/proc/stat` (proc_stat(5)): user, nice, system, idle, iowait, irq, softirq, steal.
/// The time of guests is part of user. `own` is `/proc/self/stat`, with utime and stime after the name in brackets.
fn parse(stat: &str, own: &str) -> Option<Ticks> {
    let total = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = total.split_whitespace().take(8).map_while(|tick| tick.parse().ok()).collect();
    let [_, _, _, idle, waiting, ..] = ticks[..] else { return None };
    let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let all: u64 = ticks.iter().sum();
    let own = own
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|tick| tick.parse::<u64>().ok());
    Some(Ticks {
        used: all - idle - waiting,
        all,
        own: own.sum(),
        cores: stat.lines().filter(is_core).count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process with a name that looks like fields.
    const OWN: &str = "7 (a) b 1) S 1 7 7 0 -1 4194304 100 0 0 0 9 3 0 0 20 0 1 0 100";

    #[test]
    fn guests_are_not_counted_twice() {
        let stat =
            "cpu  10 1 5 100 20 2 3 4 9 9\ncpu0 5 0 0 0 0 0 0 0 0 0\ncpu1 5 1 5 100 20 2 3 4 9 9\nintr 7\n";
        assert_eq!(parse(stat, OWN), Some(Ticks { used: 25, all: 145, own: 12, cores: 2 }));
    }

    #[test]
    fn other_files_give_nothing() {
        for text in ["", "cpu", "cpu  1 2 3\n", "cpu  a b c d e\n", "cpu0 1 2 3 4 5\n"] {
            assert_eq!(parse(text, OWN), None, "{text:?}");
        }
        assert_eq!(parse("cpu  1 2 3 4 5\n", "no brackets"), None);
    }
}
