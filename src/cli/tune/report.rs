//! The winners as tables and as JSON.

use serde_json::{Value, json};
use tercet_autotune::{Problem, Sharing, Store};

use crate::cli::report::{Report, count};
use crate::cli::roofline::Roof;
use tercet_engine::Runtime;
use tercet_engine::tune::Tuned;

/// The result of tuning.
pub(super) struct Outcome<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) roof: &'a Roof,
    /// True if the store keeps the winners.
    pub(super) stored: bool,
    pub(super) found: &'a [Tuned],
}

impl Outcome<'_> {
    /// Returns the output of `--json`.
    pub(super) fn json(&self) -> Value {
        let Outcome { runtime, roof, stored, found } = *self;
        let result = |tuned: &Tuned| {
            let Tuned { problem, default, kernel, sharing } = tuned;
            json!({
                "n": problem.n, "k": problem.k, "m": problem.m,
                "default": default.to_string(), "winner": kernel.winner.to_string(),
                "runner_up": kernel.runner_up.map(|spec| spec.to_string()),
                "used_threads": sharing.winner.threads, "task_kib": sharing.winner.task_kib,
                "time_ns": tuned.time().as_nanos() as u64, "gain": tuned.gain(),
                "timed": kernel.timed + sharing.timed,
                "roofline_pct": percent(roof, tuned),
            })
        };
        json!({
            "isa": runtime.isa().name(), "packing": runtime.packing().name(), "threads": runtime.threads(),
            "store": runtime.store().map(Store::path), "stored": stored, "roofline": roof,
            "results": found.iter().map(result).collect::<Vec<_>>(),
        })
    }

    /// Returns the output for people.
    pub(super) fn table(&self) -> Report {
        let Outcome { runtime, roof, stored, found } = *self;
        let mut report = Report::new();
        let threads = count(runtime.threads(), "thread");
        report.heading(format_args!(
            "Fastest kernels with {threads} \
             (n × k, tokens: kernel, time, percent of the roofline, gain over the default)"
        ));
        for tuned @ Tuned { problem, default, kernel, sharing } in found {
            let name = format!("{} × {}, {}", problem.n, problem.k, problem.m);
            let by_rule = sharing.winner == Sharing::by_rule(problem.threads);
            let shared = if by_rule { String::new() } else { format!(", {}", sharing.winner) };
            let (micros, roofline) = (tuned.time().as_secs_f64() * 1e6, percent(roof, tuned));
            let gain = match kernel.winner == *default && by_rule {
                true => ", the default".to_owned(),
                false => format!(", +{:.1} %", 100.0 * (tuned.gain() - 1.0)),
            };
            report
                .row(name, format_args!("{}{shared}, {micros:.1} µs, {roofline:.0} %{gain}", kernel.winner));
            if kernel.winner != *default {
                report.row("", format_args!("{default} is the default"));
            }
        }
        if let Some(store) = runtime.store().filter(|_| stored) {
            report.line(format_args!("\nkept in {}", store.path().display()));
        }
        report
    }
}

/// Returns the share of the roofline that the winner reaches, in percent.
fn percent(roof: &Roof, tuned: &Tuned) -> f64 {
    let Problem { n, k, m, .. } = tuned.problem;
    let bytes = tuned.default.layout.bytes(n, k);
    roof.percent(1.0 / tuned.time().as_secs_f64(), bytes as f64, (n * k * m) as f64)
}
