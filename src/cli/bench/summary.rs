//! The results as JSON, CSV and Markdown.

use serde::Serialize;

use super::markdown;
use super::scaling;
use super::synthetic::Likeness;
use super::workload::{Rates, Test};
use crate::cli::energy::{Metered, Used};
use crate::cli::info;
use crate::cli::left_out::LeftOut;
use crate::cli::report::{count, size};
use crate::cli::roofline::Roof;
use tercet_engine::{Model, Runtime};

/// The output of `--json`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    #[serde(skip)]
    pub(super) model: String,
    /// None if the weights are not random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) synthetic: Option<Likeness>,
    /// The choice of generated tokens.
    pub(super) sampling: String,
    pub(super) cpu: String,
    /// True if other programs used the machine; none if the system does not report it.
    pub(super) busy: Option<bool>,
    pub(super) roofline: Vec<Roof>,
    pub(super) results: Vec<Outcome>,
    pub(super) load_s: f64,
    pub(super) first_token_s: f64,
    pub(super) peak_rss_bytes: Option<u64>,
    /// None if nobody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) energy: Option<Energy>,
}

/// The energy as the machine tells it, or the reason why it does not.
#[derive(Debug, Default, Serialize)]
pub(super) struct Energy {
    /// The names of the packages with counters.
    packages: Option<String>,
    /// The power at rest, which is subtracted.
    idle_watts: Option<f64>,
    /// The reason why there are none.
    not_available: Option<String>,
}

impl Energy {
    pub(super) fn of(metered: Result<&Metered, &String>) -> Self {
        match metered {
            Ok(metered) => Energy {
                packages: Some(metered.packages()),
                idle_watts: Some(metered.idle_watts),
                not_available: None,
            },
            Err(reason) => Energy { not_available: Some(reason.clone()), ..Energy::default() },
        }
    }

    /// Formats the joules of each result as a Markdown table, or says why there are none.
    fn markdown(&self, results: &[Outcome]) -> String {
        let (Some(packages), Some(idle)) = (&self.packages, self.idle_watts) else {
            return format!(
                "\nenergy: not available: {}\n",
                self.not_available.as_deref().unwrap_or_default()
            );
        };
        let row = |outcome: &Outcome| {
            let joules = outcome.energy.map(|energy| format!("{:.4}", energy.joules_per_token));
            [outcome.test.clone(), outcome.threads.to_string(), joules.unwrap_or_else(|| "-".to_owned())]
        };
        let table = markdown::table(["energy", "threads", "J/token"], results.iter().map(row));
        format!("\n{table}\nenergy of {packages}, beyond the {idle:.1} W at rest\n")
    }
}

/// The result of one test with one number of threads.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) test: String,
    pub(super) threads: usize,
    pub(super) isa: &'static str,
    pub(super) packing: &'static str,
    pub(super) head: &'static str,
    pub(super) median_tps: f64,
    pub(super) min_tps: f64,
    pub(super) max_tps: f64,
    pub(super) bytes_per_token: f64,
    pub(super) roofline_pct: f64,
    /// As in [`Rates`].
    #[serde(flatten)]
    pub(super) left_out: LeftOut,
    /// As in [`Rates`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) energy: Option<Used>,
    #[serde(skip)]
    pub(super) multiply_adds_per_token: f64,
}

impl Outcome {
    pub(super) fn new(rates: &Rates, model: &Model, runtime: &Runtime, roof: &Roof) -> Self {
        let (bytes, multiply_adds) =
            (bytes_per_token(rates, model), info::parameters(model.config()).0 as f64);
        Outcome {
            test: rates.test.to_string(),
            threads: roof.threads,
            isa: runtime.isa().name(),
            packing: runtime.packing().name(),
            head: runtime.head().name(),
            median_tps: rates.median,
            min_tps: rates.min,
            max_tps: rates.max,
            bytes_per_token: bytes,
            roofline_pct: roof.percent(rates.median, bytes, multiply_adds),
            left_out: rates.left_out,
            energy: rates.energy,
            multiply_adds_per_token: multiply_adds,
        }
    }

    /// Returns the multiply-adds per byte read.
    pub(super) fn intensity(&self) -> f64 {
        self.multiply_adds_per_token / self.bytes_per_token
    }

    /// Converts a rate from tokens per second to 10⁹ multiply-adds per second.
    pub(super) fn gmac_s(&self, tokens_per_second: f64) -> f64 {
        tokens_per_second * self.multiply_adds_per_token / 1e9
    }
}

/// Returns the bytes that a token must read.
///
/// A prompt reads weights and head once. A generated token reads all of them, which the tokens of other sequences in the pass
/// share, and all keys and values before it. Rows of `up` and columns of `down` that are skipped do not count. For a screened head, the planes of its copy count that were read, without the few rows
/// that are then computed.
fn bytes_per_token(rates: &Rates, model: &Model) -> f64 {
    let memory = model.memory_use();
    let heads = [memory.screen, memory.head, memory.embedding];
    let head = heads.into_iter().find(|&bytes| bytes > 0).unwrap_or(0) as f64;
    let ternary = memory.ternary as f64;
    match rates.test {
        Test::Prompt(tokens) => (ternary + head) / tokens as f64,
        Test::Generate { tokens, parallel } => {
            let positions = rates.depth as f64 + (tokens + 1) as f64 / 2.0;
            let head = rates.left_out.screen_bytes.unwrap_or(head / parallel as f64);
            ternary / parallel as f64 - rates.left_out.skipped_bytes
                + head
                + positions * memory.cache_per_token as f64
        }
    }
}

/// A column of a table: its name, and its text for a result.
type Column = (&'static str, fn(&Outcome) -> String);

/// The columns of the CSV output.
const FIELDS: [Column; 14] = [
    ("test", |o| o.test.clone()),
    ("threads", |o| o.threads.to_string()),
    ("isa", |o| o.isa.to_owned()),
    ("packing", |o| o.packing.to_owned()),
    ("head", |o| o.head.to_owned()),
    ("median_tps", |o| o.median_tps.to_string()),
    ("min_tps", |o| o.min_tps.to_string()),
    ("max_tps", |o| o.max_tps.to_string()),
    ("bytes_per_token", |o| o.bytes_per_token.to_string()),
    ("roofline_pct", |o| o.roofline_pct.to_string()),
    ("head_rows", |o| field(o.left_out.head_rows)),
    ("head_rows_pct", |o| field(o.left_out.head_rows_pct)),
    ("gates_not_positive_pct", |o| field(o.left_out.gates_not_positive_pct)),
    ("zeros_into_down_pct", |o| field(o.left_out.zeros_into_down_pct)),
];

/// The columns of the Markdown table.
const COLUMNS: [Column; 12] = [
    ("test", |o| o.test.clone()),
    ("threads", |o| o.threads.to_string()),
    ("tokens/s", |o| format!("{:.2}", o.median_tps)),
    ("least", |o| format!("{:.2}", o.min_tps)),
    ("most", |o| format!("{:.2}", o.max_tps)),
    ("per token", |o| size(o.bytes_per_token as usize)),
    ("GB/s", |o| format!("{:.2}", o.median_tps * o.bytes_per_token / 1e9)),
    ("G mult.-adds/s", |o| format!("{:.1}", o.gmac_s(o.median_tps))),
    ("of roofline", |o| format!("{:.1} %", o.roofline_pct)),
    ("head rows", |o| percent(o.left_out.head_rows_pct, 2)),
    ("gates ≤ 0", |o| percent(o.left_out.gates_not_positive_pct, 1)),
    ("zeros into down", |o| percent(o.left_out.zeros_into_down_pct, 1)),
];

/// Returns a figure for CSV, empty if it is unknown.
fn field(figure: Option<f64>) -> String {
    figure.map(|figure| figure.to_string()).unwrap_or_default()
}

/// Returns a percentage with this number of decimals, or a dash if it is unknown.
fn percent(share: Option<f64>, decimals: usize) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{share:.decimals$} %"))
}

impl Summary {
    /// Describes the load by other programs.
    pub(super) fn machine(&self) -> &'static str {
        match self.busy {
            Some(true) => "busy with other programs",
            Some(false) => "otherwise idle",
            None => "perhaps busy with other programs",
        }
    }

    /// Formats the results as CSV, with a header of field names.
    pub(super) fn csv(&self) -> String {
        let names = FIELDS.map(|(name, _)| name.to_owned());
        let rows = self.results.iter().map(|outcome| FIELDS.map(|(_, field)| field(outcome)));
        std::iter::once(names).chain(rows).map(|row| row.join(",") + "\n").collect()
    }

    /// Formats the results and the roofs as Markdown tables.
    pub(super) fn markdown(&self) -> String {
        let machine = self.machine();
        let kernels = self.results.first().map(|o| format!("{}, {}, {} head", o.isa, o.packing, o.head));
        let title = format!("{}: {}\n{}, {machine}\n", self.model, kernels.unwrap_or_default(), self.cpu);
        let random = self.synthetic.as_ref().map(Likeness::line).unwrap_or_default();
        let title = format!("{title}{random}tokens are generated by: {}\n", self.sampling);
        let results = self.results.iter().map(|outcome| COLUMNS.map(|(_, text)| text(outcome)));
        let results = markdown::table(COLUMNS.map(|(name, _)| name), results);
        let rates: Vec<_> = self.results.iter().map(|o| (o.test.as_str(), o.threads, o.median_tps)).collect();
        let scaling = scaling::table(&rates).map(|table| format!("\n{table}")).unwrap_or_default();
        let roofs =
            markdown::table(["roofline", "GB/s", "G mult.-adds/s"], self.roofline.iter().map(roof_row));
        let peak = self.peak_rss_bytes.map(|bytes| format!(", peak memory {}", size(bytes as usize)));
        let (load, first, peak) = (self.load_s, self.first_token_s, peak.unwrap_or_default());
        let energy = self.energy.as_ref().map(|energy| energy.markdown(&self.results)).unwrap_or_default();
        format!(
            "{title}\n{results}{scaling}\n{roofs}\nloaded in {load:.2} s, first token after {first:.3} s{peak}\n{energy}"
        )
    }
}

fn roof_row(roof: &Roof) -> [String; 3] {
    let dots = roof.vnni_gmac_s.map_or_else(|| "-".to_owned(), |peak| format!("{peak:.0}"));
    [count(roof.threads, "thread"), format!("{:.1}", roof.read_gb_s), dots]
}
