//! `tercet cache`: the packed models on this machine.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::{self, OutputArgs};
use super::report::{self, Report};
use tercet_engine::Error;
use tercet_engine::{Cleared, Kept, PackedCache, RuntimeOptions, Size};

const EXAMPLES: &str = "\
Examples:
  tercet cache
  tercet cache clear";

const JSON: &str = "\
JSON: dir, size and limit (bytes), packed: [{model, path, size}]. model is null if the file is unreadable.
With clear: dir, freed (bytes).";

/// List or delete packed models
///
/// The first load of a model keeps its packed form in the user's cache directory (TERCET_CACHE_DIR), and
/// later loads read it. --no-cache or TERCET_NO_CACHE=1 turns this off. A packed model is made again if it
/// is damaged or its model's files have changed. The oldest are deleted if all together exceed --cache-size.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Cache {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Delete every packed model, and nothing that Tercet did not write
    Clear(OutputArgs),
}

impl Cache {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let RuntimeOptions { cache_dir: dir, cache_size, .. } = args::runtime_options(&[])?;
        let missing =
            || Error::bad_argument("TERCET_CACHE_DIR", "the system names no cache directory", "set it");
        let limit = cache_size.unwrap_or(PackedCache::DEFAULT_LIMIT);
        let cache = PackedCache::in_dir(&dir.ok_or_else(missing)?).with_limit(limit);
        match &self.action {
            Some(Action::Clear(output)) => clear(output, &cache),
            None => list(&self.output, &cache).map(|()| ExitCode::SUCCESS),
        }
    }
}

fn clear(output: &OutputArgs, cache: &PackedCache) -> Result<ExitCode> {
    let Cleared { freed, failures } = cache.clear()?;
    match output.json {
        true => report::print_json(&json!({ "dir": cache.dir(), "freed": freed }))?,
        false => report::print(&format!("{} freed in {}\n", Size(freed), cache.dir().display()))?,
    }
    failures.iter().for_each(|failure| report::note(format_args!("error: {failure}")));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(output: &OutputArgs, cache: &PackedCache) -> Result<()> {
    let kept = cache.list()?;
    let total = kept.iter().map(|kept| kept.size).sum::<u64>();
    if output.json {
        let packed: Vec<Value> = kept.iter().map(json).collect();
        let (dir, limit) = (cache.dir(), cache.limit().0);
        return report::print_json(&json!({ "dir": dir, "size": total, "limit": limit, "packed": packed }));
    }
    let mut report = Report::new();
    report.heading(format_args!("Packed models in {}", cache.dir().display()));
    for Kept { model, path, size } in &kept {
        let file = path.file_name().unwrap_or_default().display();
        let model = model.as_deref().unwrap_or("unreadable");
        report.row(model, format_args!("{:<9} {file}", Size(*size)));
    }
    report.row("total", Size(total));
    report.row("limit", format_args!("{} (--cache-size, TERCET_CACHE_SIZE)", cache.limit()));
    report.print()
}

fn json(kept: &Kept) -> Value {
    json!({ "model": kept.model, "path": kept.path, "size": kept.size })
}
