//! `tercet cache`: the packed models that are kept on this machine.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::options::Options;
use super::report::{self, Report, size};
use tercet_engine::Error;
use tercet_engine::{Kept, PackedCache};

const EXAMPLES: &str = "\
The first load of a model keeps its packed form in the user's cache directory (TERCET_CACHE_DIR), from where later
loads read it; --no-cache or TERCET_NO_CACHE=1 does without. A packed model that no longer fits its files, or is damaged,
is made again.

Examples:
  tercet cache
  tercet cache clear

JSON: dir, size (bytes), packed: [{model (null if unreadable), path, size}]; with clear: dir, freed (bytes).";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Cache {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Delete every packed model
    Clear,
}

impl Cache {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        let dir = options.runtime_options()?.cache_dir;
        let missing = || Error::bad_argument("TERCET_CACHE_DIR", "there is no cache directory", "set it");
        let cache = PackedCache::in_dir(&dir.ok_or_else(missing)?);
        match self.action {
            Some(Action::Clear) => clear(options, &cache)?,
            None => list(options, &cache)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn clear(options: &Options, cache: &PackedCache) -> Result<()> {
    let freed = cache.clear()?;
    match options.json {
        true => report::print_json(&json!({ "dir": cache.dir(), "freed": freed })),
        false => report::print(&format!("{} freed in {}\n", size(freed as usize), cache.dir().display())),
    }
}

fn list(options: &Options, cache: &PackedCache) -> Result<()> {
    let kept = cache.list()?;
    let total = kept.iter().map(|kept| kept.size).sum::<u64>();
    if options.json {
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
    report.row("together", size(total as usize));
    report.print()
}

fn json(kept: &Kept) -> Value {
    json!({ "model": kept.model, "path": kept.path, "size": kept.size })
}
