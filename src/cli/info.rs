//! `tercet info`: the CPU, the chosen kernels, the model, and the reasons.

mod json;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use tercet_codegen::Isa;
use tercet_cpu::{Cache, CacheKind, CoreClass, Cpu, Limits, dump};

use super::args::{ContextArgs, OutputArgs, SessionArgs};
use super::progress;
use super::report::{count, print, print_json};
use super::text::TextFile;
use tercet_engine::prediction::{TextProfile, Windows};
use tercet_engine::{Cancel, MemoryUse, Session};
use tercet_formats::Config;

const EXAMPLES: &str = "\
Examples:
  tercet info
  tercet info -m DIR --context 32768 --json | jq .memory
  tercet info --profile book.txt          show what a text leaves out of each layer
  tercet info --cpuid > my-cpu.txt        record the CPUID table of this CPU for a bug report";

const JSON: &str = "\
JSON: cpu, isa, isa_reason, threads, threads_reason, affinity, quota, packing, model, context,
memory (bytes), plans: [{n, k, decode: {kernel, origin}, pair: …, few: …, prefill: …,
skips_columns, skips_rows}], knobs: [{name, value, help}], profile (with --profile; else
null): tokens, layers: [{gates_not_positive, zeros_into_down}] (shares), deviation (of
logits), best (in deviations).";

/// Show CPU, kernels, model and memory, with the reasons for each choice
///
/// It also lists every environment variable that Tercet reads.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
pub(super) struct Info {
    /// Print only the CPUID table of this CPU, in the form of the detection tests
    #[arg(long, conflicts_with_all = CHOICES)]
    cpuid: bool,
    /// Also run the model on this text, and show its zeros and the spread of its logits
    #[arg(long, value_name = "FILE", conflicts_with = "cpuid")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    context: ContextArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options that have no effect on the CPUID table.
const CHOICES: [&str; 12] = [
    "model",
    "context",
    "isa",
    "threads",
    "packing",
    "mode",
    "activations",
    "head",
    "cache_type",
    "no_tune",
    "no_cache",
    "cache_size",
];

/// The contents of the report.
struct Facts<'a> {
    cpu: &'a Cpu,
    limits: Limits,
    threads_reason: String,
    session: &'a Session,
    profile: Option<TextProfile>,
}

impl Info {
    pub(super) fn run(&self) -> Result<ExitCode> {
        if self.cpuid {
            match self.output.json {
                true => print_json(&json!({ "cpuid": dump::record() }))?,
                false => print(&dump::record())?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let session = self.session.open(self.context.context)?;
        let limits = Limits::host();
        let threads_reason = match self.session.runtime_options()?.threads {
            Some(_) => "as asked for".to_owned(),
            None => threads_reason(Cpu::host(), &limits),
        };
        let profile = self.profile.as_deref().map(|path| profile(&session, path)).transpose()?;
        let facts = Facts { cpu: Cpu::host(), limits, threads_reason, session: &session, profile };
        match self.output.json {
            true => print_json(&facts.json())?,
            false => facts.report().print()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs the model on the text in a file.
fn profile(session: &Session, path: &Path) -> Result<TextProfile> {
    let ids = TextFile::read(path)?.tokens(session)?;
    let windows = Windows::new(session.model(), session.tokenizer(), None)?;
    let bar = progress::bar("profiling", ids.len());
    let profile =
        windows.profile(session.model(), &ids, &Cancel::new(), |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok(profile)
}

fn threads_reason(cpu: &Cpu, limits: &Limits) -> String {
    let classed = cpu.topology.cpus.iter().any(|cpu| cpu.class == Some(CoreClass::Performance));
    let cores = count(cpu.topology.cores(&limits.affinity), "core");
    let cores = format!("{cores} {}in the affinity mask", if classed { "of the best class " } else { "" });
    match limits.quota {
        None => format!("{cores}, no CPU quota"),
        Some(quota) => format!("{cores}, CPU quota {quota:.2}"),
    }
}

impl Facts<'_> {
    /// Returns the bytes of weights, embedding, head and KV cache.
    fn total_bytes(&self) -> usize {
        let MemoryUse { ternary, embedding, head, screen, cache_per_token } =
            self.session.model().memory_use();
        ternary + embedding + head + screen + cache_per_token * self.session.context()
    }
}

fn names(isas: &[Isa]) -> Vec<&'static str> {
    isas.iter().map(|isa| isa.name()).collect()
}

fn kind(cache: &Cache) -> &'static str {
    match cache.kind {
        CacheKind::Data => "data",
        CacheKind::Instruction => "instruction",
        CacheKind::Unified => "unified",
    }
}

/// Counts ternary and floating-point parameters, without the few of norms and scales.
pub(in crate::cli) fn parameters(config: &Config) -> (usize, usize) {
    let Config { layers, hidden_size, intermediate_size, heads, kv_heads, head_dim, vocab_size, .. } =
        *config;
    let attention = 2 * (heads + kv_heads) * head_dim * hidden_size;
    let embeddings = if config.tie_word_embeddings { 1 } else { 2 };
    (layers * (attention + 3 * intermediate_size * hidden_size), embeddings * vocab_size * hidden_size)
}
