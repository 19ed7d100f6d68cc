//! Steps of a task: each is announced, timed and recorded for the table at the end.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, is_ci, target};

/// The steps so far, in the order in which they ended.
static STEPS: Mutex<Vec<Step>> = Mutex::new(Vec::new());

/// Set if a failed step does not end the task.
static KEEP_GOING: AtomicBool = AtomicBool::new(false);

struct Step {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration),
    Skipped(String),
}

/// Runs `command` as a step.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<()> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    eprintln!("== {name}: {}", words.join(" "));
    time(name, || {
        let status = command.status().with_context(|| format!("{name} cannot be started"))?;
        ensure!(status.success(), "{name} failed ({status})");
        Ok(())
    })
}

/// Builds the command as the tests of the workspace build it, and returns its path.
pub(crate) fn program() -> Result<PathBuf> {
    // Built alone, its dependencies would have other features, and be compiled again.
    run("the command", &mut cargo("test --quiet --workspace --no-run --test cli"))?;
    let program = target().join("debug").join(format!("tercet{}", std::env::consts::EXE_SUFFIX));
    program.canonicalize().with_context(|| program.display().to_string())
}

/// Runs a check that is a function, as a step.
pub(crate) fn check(name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("== {name}");
    time(name, || check().with_context(|| format!("{name} failed")))
}

/// Records a step that cannot run here.
pub(crate) fn skip(name: &str, reason: &str) {
    eprintln!("== {name}: skipped, {reason}");
    record(name, Outcome::Skipped(reason.to_owned()));
}

/// Like [`skip`], for a step that must not be skipped in continuous integration: fails if `CI=true`.
pub(crate) fn skip_unless_ci(name: &str, reason: &str) -> Result<()> {
    if is_ci() {
        bail!("{name} must run in continuous integration, but {reason}");
    }
    skip(name, reason);
    Ok(())
}

/// From now on, failed steps do not end the task. [`require_all`] reports them.
pub(crate) fn keep_going() {
    KEEP_GOING.store(true, Ordering::Relaxed);
}

/// Fails if a step has failed.
pub(crate) fn require_all() -> Result<()> {
    let steps = STEPS.lock().expect("no step panics while it records");
    let failed = steps.iter().filter(|step| matches!(step.outcome, Outcome::Failed(_)));
    let failed: Vec<_> = failed.map(|step| step.name.as_str()).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Prints every step with its seconds, or the reason why it was skipped.
pub(crate) fn print_table(total: Duration) {
    eprint!("{}", table(&STEPS.lock().expect("no step panics while it records"), total));
}

fn time(name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    let result = step();
    let seconds = start.elapsed();
    eprintln!("== {name}: {:.0} s", seconds.as_secs_f64());
    record(name, if result.is_ok() { Outcome::Passed(seconds) } else { Outcome::Failed(seconds) });
    match result {
        Err(error) if KEEP_GOING.load(Ordering::Relaxed) => {
            eprintln!("== {error:#}");
            Ok(())
        }
        result => result,
    }
}

fn record(name: &str, outcome: Outcome) {
    let mut steps = STEPS.lock().expect("no step panics while it records");
    steps.push(Step { name: name.to_owned(), outcome });
}

fn table(steps: &[Step], total: Duration) -> String {
    let longest = steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0).max("total".len());
    let line = |name: &str, seconds: Duration, note: &str| {
        format!("{name:longest$} {:7.1} s{note}\n", seconds.as_secs_f64())
    };
    let mut table = String::from("\n");
    for Step { name, outcome } in steps {
        table += &match outcome {
            Outcome::Passed(seconds) => line(name, *seconds, ""),
            Outcome::Failed(seconds) => line(name, *seconds, "  FAILED"),
            Outcome::Skipped(reason) => format!("{name:longest$}   skipped: {reason}\n"),
        };
    }
    table + &line("total", total, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_aligns_seconds_and_names_reasons() {
        let step = |name: &str, outcome| Step { name: name.to_owned(), outcome };
        let steps = [
            step("lints", Outcome::Passed(Duration::from_millis(61_250))),
            step("book", Outcome::Skipped("mdbook is missing".to_owned())),
            step("tests", Outcome::Failed(Duration::from_secs(3))),
        ];
        let expected = "
lints    61.2 s
book    skipped: mdbook is missing
tests     3.0 s  FAILED
total    65.0 s
";
        assert_eq!(table(&steps, Duration::from_secs(65)), expected);
    }
}
