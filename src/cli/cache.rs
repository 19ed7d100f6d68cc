//! `tercet cache`: the packed models on this machine.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::{self, OutputArgs};
use super::report::{self, Report, size};
use tercet_engine::Error;
use tercet_engine::{Kept, PackedCache};

const EXAMPLES: &str = "\
Examples:
  tercet cache
  tercet cache clear";

const JSON: &str = "\
JSON: dir, size (bytes), packed: [{model, path, size}]. model is null if the file is unreadable.
With clear: dir, freed (bytes).";

/// List or delete packed models
///
/// The first load of a model keeps its packed form in the user's cache directory (TERCET_CACHE_DIR), and
/// later loads read it. --no-cache or TERCET_NO_CACHE=1 turns this off. A packed model is made again if it
/// is damaged or its model's files have changed.
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
    /// Delete every packed model
    Clear(OutputArgs),
}

impl Cache {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let dir = args::runtime_options(&[])?.cache_dir;
        let missing =
            || Error::bad_argument("TERCET_CACHE_DIR", "the system names no cache directory", "set it");
        let cache = PackedCache::in_dir(&dir.ok_or_else(missing)?);
        match &self.action {
            Some(Action::Clear(output)) => clear(output, &cache)?,
            None => list(&self.output, &cache)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn clear(output: &OutputArgs, cache: &PackedCache) -> Result<()> {
    let freed = cache.clear()?;
    match output.json {
        true => report::print_json(&json!({ "dir": cache.dir(), "freed": freed })),
        false => report::print(&format!("{} freed in {}\n", size(freed as usize), cache.dir().display())),
    }
}

fn list(output: &OutputArgs, cache: &PackedCache) -> Result<()> {
    let kept = cache.list()?;
    let total = kept.iter().map(|kept| kept.size).sum::<u64>();
    if output.json {
        let packed: Vec<Value> = kept.iter().map(json).collect();
        return report::print_json(&json!({ "dir": cache.dir(), "size": total, "packed": packed }));
    }
    let mut report = Report::new();
    report.heading(format_args!("Packed models in {}", cache.dir().display()));
    for Kept { model, path, size } in &kept {
        let file = path.file_name().unwrap_or_default().display();
        let model = model.as_deref().unwrap_or("unreadable");
        report.row(model, format_args!("{:<9} {file}", report::size(*size as usize)));
    }
    report.row("total", size(total as usize));
    report.print()
}

fn json(kept: &Kept) -> Value {
    json!({ "model": kept.model, "path": kept.path, "size": kept.size })
}
