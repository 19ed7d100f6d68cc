//! The report of a failure: one line and an exit status.

use std::io;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use tercet_codegen::SpecError;
use tercet_engine::Error;

use super::report;

/// Prints `error` for a user of `command`, and returns the exit status.
pub(super) fn print(error: anyhow::Error, command: &Command) -> ExitCode {
    let error = lift(error);
    if is_broken_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    report::note(format_args!("error: {}", message(&error, command)));
    ExitCode::from(if is_bad_input(&error) { 2 } else { 1 })
}

/// Turns errors of the crates below the engine into the engine's error, and leaves others as they are.
pub(super) fn lift(error: anyhow::Error) -> anyhow::Error {
    let error = match error.downcast::<tercet_formats::Error>() {
        Ok(error) => return Error::from(error).into(),
        Err(error) => error,
    };
    let error = match error.downcast::<tercet_hub::Error>() {
        Ok(error) => return Error::from(error).into(),
        Err(error) => error,
    };
    // The server wraps errors of the engine. Other errors of the system keep their context.
    let wraps = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<Error>());
    if !error.downcast_ref::<io::Error>().is_some_and(wraps) {
        return error;
    }
    match error.downcast::<io::Error>().map(io::Error::downcast::<Error>) {
        Ok(Ok(error)) => error.into(),
        Ok(Err(error)) => error.into(),
        Err(error) => error,
    }
}

/// Returns the innermost subcommand of `root` that `matches` invoke.
pub(super) fn invoked(root: &Command, matches: &ArgMatches) -> Command {
    let (mut command, mut matches) = (root, matches);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(subcommand) = command.find_subcommand(name) else { break };
        (command, matches) = (subcommand, inner);
    }
    command.clone()
}

/// The text of an error. Where the library names a field, as in `top_p`, users read the flag `--top-p`.
fn message(error: &anyhow::Error, command: &Command) -> String {
    match error.downcast_ref::<Error>() {
        Some(Error::BadArgument { argument, problem, remedy }) => {
            let argument = flag(command, argument).unwrap_or_else(|| argument.clone());
            format!("{argument}: {problem}; {remedy}")
        }
        _ => error.to_string(),
    }
}

/// Returns the flag that sets `field`, if `command` has one.
fn flag(command: &Command, field: &str) -> Option<String> {
    let name = field.replace('_', "-");
    let is_flag = command.get_arguments().any(|argument| argument.get_long() == Some(name.as_str()));
    is_flag.then(|| format!("--{name}"))
}

/// Returns true if the reader of the output has closed it: it has read enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn is_bad_input(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(Error::is_bad_input) || error.is::<SpecError>()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// The message of an error about `field` for a user of the command line `line`.
    fn shown(line: &str, field: &str) -> String {
        let root = Cli::command();
        let matches = root.clone().try_get_matches_from(line.split(' ')).unwrap();
        let error = Error::bad_argument(field, "7 is out of range", "use less");
        message(&error.into(), &invoked(&root, &matches))
    }

    #[test]
    fn a_field_is_shown_as_its_flag() {
        for (field, flag) in [
            ("temperature", "--temperature"),
            ("top_p", "--top-p"),
            ("repetition_penalty", "--repetition-penalty"),
            ("threads", "--threads"),
            ("context", "--context"),
            ("stop", "--stop"),
            ("activations", "--activations"),
        ] {
            assert_eq!(shown("tercet generate Hi", field), format!("{flag}: 7 is out of range; use less"));
        }
        assert!(shown("tercet bench", "synthetic").starts_with("--synthetic: "));
        assert!(shown("tercet bench kernels", "shape").starts_with("--shape: "));
        assert!(shown("tercet perplexity text", "window").starts_with("--window: "));
        assert!(shown("tercet convert -o out", "output").starts_with("--output: "));
    }

    #[test]
    fn errors_of_every_crate_are_lifted() {
        let missing = || tercet_formats::Error::missing("text", "name another");
        assert!(is_bad_input(&lift(missing().into())));
        assert!(is_bad_input(&lift(tercet_hub::Error::from(missing()).into())));
        assert!(!is_bad_input(&lift(anyhow::anyhow!("the machine is on fire"))));
    }

    #[test]
    fn other_names_stay_as_they_are() {
        for name in ["--temperature", "the prompt", "TERCET_THREADS", "cache_dir", "hf:owner/repo"] {
            assert_eq!(shown("tercet generate Hi", name), format!("{name}: 7 is out of range; use less"));
        }
    }

    #[test]
    fn only_flags_of_the_invoked_command_count() {
        assert!(shown("tercet perplexity text", "context").starts_with("context: "));
        assert!(shown("tercet bench kernels", "threads").starts_with("threads: "));
        assert!(shown("tercet bench", "threads").starts_with("--threads: "));
    }
}
