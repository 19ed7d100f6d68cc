//! The `tercet` command: arguments in, one report out.
//!
//! Results go to standard output, everything else to standard error. With `--json` a command prints one JSON object,
//! or nothing if it fails. Exit status: 0 done, 1 failed, 2 bad input, 130 interrupted.

mod bench;
mod cache;
mod chat;
mod compare_modes;
mod convert;
mod dump;
mod generate;
mod info;
mod interrupt;
mod loading;
mod models;
mod options;
mod perplexity;
mod progress;
mod report;
mod roofline;
mod sampling;
mod screen;
mod text;
mod tune;
mod verify;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tercet_codegen::SpecError;

use options::Options;
use tercet_engine::Error;

const EXAMPLES: &str = "\
Examples:
  tercet generate \"Once upon a time\"        let the built-in fairy-tales model tell a story
  tercet generate -m DIR --chat \"Why?\"      ask a model of your own
  tercet chat -m bitnet-2b                  talk with a model that is downloaded first
  tercet models                             models that have names
  tercet convert -o tales.gguf              the model in another format
  tercet info                               this CPU, the kernels chosen for it, and why
  tercet dump                               the machine code of a kernel
  tercet tune                               find this machine's fastest kernels, and keep them
  tercet verify                             does every kernel compute the right thing here?

Without --model, the model comes from TERCET_MODEL, or else is a small one inside this program.
`tercet info` lists every environment variable that is read.";

/// Run ternary language models (BitNet b1.58) through micro-kernels assembled for this CPU
#[derive(Parser, Debug)]
#[command(name = "tercet", version, after_help = EXAMPLES, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Continue a text
    Generate(generate::Generate),
    /// Hold a conversation
    Chat(chat::Chat),
    /// Show CPU, kernels, model and memory, and why they were chosen
    Info(info::Info),
    /// Write the model in another format
    Convert(convert::Convert),
    /// Show any kernel's machine code, on any host
    Dump(dump::Dump),
    /// Measure how well the model predicts a text
    Perplexity(perplexity::Perplexity),
    /// Compare the fast mode with the exact one on a text
    CompareModes(compare_modes::CompareModes),
    /// Find the fastest kernels for this machine, and keep them for every later run
    Tune(tune::Tune),
    /// Check every kernel that this CPU can run against plain arithmetic
    Verify(verify::Verify),
    /// List the models that have names
    Models(models::Models),
    /// Show or delete the packed models that are kept for later loads
    Cache(cache::Cache),
    /// Measure speed, and how close it is to what this machine can do at most
    #[command(alias = "benchmark")]
    Bench(bench::Bench),
}

/// Runs the command with `arguments`, of which the first is the program's name. Ends the process itself after usage
/// errors, `--help` and `--version`.
pub fn run<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    let Cli { command, options } = Cli::parse_from(arguments);
    let outcome = match command {
        Command::Generate(generate) => generate.run(&options),
        Command::Chat(chat) => chat.run(&options),
        Command::Info(info) => info.run(&options),
        Command::Convert(convert) => convert.run(&options),
        Command::Dump(dump) => dump.run(&options),
        Command::Perplexity(perplexity) => perplexity.run(&options),
        Command::CompareModes(compare) => compare.run(&options),
        Command::Tune(tune) => tune.run(&options),
        Command::Verify(verify) => verify.run(&options),
        Command::Cache(cache) => cache.run(&options),
        Command::Models(models) => models.run(&options),
        Command::Bench(bench) => bench.run(&options),
    };
    match outcome {
        Ok(status) => status,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report::note(format_args!("error: {error}"));
            ExitCode::from(if is_bad_input(&error) { 2 } else { 1 })
        }
    }
}

/// Whoever read our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn is_bad_input(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(Error::is_bad_input) || error.is::<SpecError>()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
