//! The `tercet` command: arguments in, one report out.
//!
//! Results go to standard output, everything else to standard error. With `--json` a command prints
//! one JSON value, or nothing if it fails; a chat prints the turns before the failure.
//! Exit status: 0 done, 1 failed, 2 bad input, 130 interrupted.

mod args;
mod bench;
mod busy;
mod cache;
mod chat;
mod compare_modes;
mod config;
mod convert;
mod dump;
mod embed;
mod energy;
mod failure;
mod generate;
mod info;
mod interrupt;
mod left_out;
mod loading;
mod models;
mod perplexity;
mod printable;
mod progress;
mod report;
mod roofline;
mod run;
mod screen;
mod serve;
mod shell;
#[cfg(test)]
mod tests;
mod text;
mod threads;
mod toy;
mod tune;
mod verify;
mod wrap;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  tercet run bitnet-2b                      talk with a model, which is downloaded first
  tercet generate \"Once upon a time\"        let the built-in fairy-tales model tell a story
  tercet list                               list the models on this machine
  tercet serve -m bitnet-2b                 answer requests of OpenAI's clients
  tercet bench -m bitnet-2b                 measure a model on this machine

Without --model, a command uses the model that TERCET_MODEL names, or else the small model inside
this program. `tercet info` lists every environment variable.
`tercet COMMAND -h` is short, `tercet COMMAND --help` is complete.";

/// Run ternary language models (BitNet b1.58) with micro-kernels assembled for this CPU
#[derive(Parser, Debug)]
#[command(name = "tercet", version, after_help = EXAMPLES, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Run),
    Chat(chat::Chat),
    Generate(generate::Generate),
    Serve(serve::Serve),
    Models(models::Models),
    Pull(models::Pull),
    #[command(alias = "ls")]
    List(models::List),
    Show(models::Show),
    #[command(name = "rm", alias = "remove")]
    Remove(models::Remove),
    Info(info::Info),
    Convert(convert::Convert),
    Dump(dump::Dump),
    Embed(embed::Embed),
    Perplexity(perplexity::Perplexity),
    CompareModes(compare_modes::CompareModes),
    Tune(tune::Tune),
    Verify(verify::Verify),
    Cache(cache::Cache),
    #[command(alias = "benchmark")]
    Bench(bench::Bench),
    Completions(shell::Completions),
    Man(shell::Man),
}

impl Command {
    fn run(&self) -> Result<ExitCode> {
        match self {
            Command::Run(run) => run.run(),
            Command::Chat(chat) => chat.run(),
            Command::Generate(generate) => generate.run(),
            Command::Serve(serve) => serve.run(),
            Command::Models(models) => models.run(),
            Command::Pull(pull) => pull.run(),
            Command::List(list) => list.run(),
            Command::Show(show) => show.run(),
            Command::Remove(remove) => remove.run(),
            Command::Info(info) => info.run(),
            Command::Convert(convert) => convert.run(),
            Command::Dump(dump) => dump.run(),
            Command::Embed(embed) => embed.run(),
            Command::Perplexity(perplexity) => perplexity.run(),
            Command::CompareModes(compare) => compare.run(),
            Command::Tune(tune) => tune.run(),
            Command::Verify(verify) => verify.run(),
            Command::Cache(cache) => cache.run(),
            Command::Bench(bench) => bench.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        }
    }
}

/// Runs the command with `arguments`; the first is the program's name.
///
/// After usage errors, `--help` and `--version` it ends the process.
pub fn run<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    tercet_engine::hide_caught_panics();
    interrupt::install();
    obey(arguments)
}

/// Runs one command. Its errors name the flags of this command.
fn obey<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    let matches = Cli::command().get_matches_from(arguments);
    let Cli { command } =
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut Cli::command()).exit());
    command.run().unwrap_or_else(|error| failure::print(error, &failure::invoked(&Cli::command(), &matches)))
}
