//! The line editor at the terminal, with a history that outlives the session.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::{command, lines};
use crate::cli::report;

const PROMPT: &str = "> ";
/// Name of the file, within the user's cache directory.
const HISTORY: &str = "chat-history";

/// Reads messages and commands from the terminal.
pub(super) struct Editor {
    editor: rustyline::Editor<Assistance, FileHistory>,
    /// The file of the history, if it can be kept.
    history: Option<PathBuf>,
}

impl Editor {
    /// Starts with the history in the directory `cache`, if there is one.
    pub(super) fn new(cache: Option<PathBuf>) -> Result<Self> {
        let mut editor = rustyline::Editor::new()?;
        editor.set_helper(Some(Assistance));
        let history = cache.map(|cache| cache.join(HISTORY));
        if let Some(path) = history.as_ref().filter(|path| path.exists())
            && let Err(error) = editor.load_history(path)
        {
            report::note(format_args!("warning: {} is not readable: {error}", path.display()));
        }
        Ok(Editor { editor, history })
    }

    /// Returns the next message as it was typed; none at the end, which is Ctrl-D, or Ctrl-C twice in a row.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        let mut warned = false;
        loop {
            match self.editor.readline(PROMPT) {
                Ok(text) => {
                    self.keep(&text)?;
                    return Ok(Some(text));
                }
                Err(ReadlineError::Interrupted) if !warned => {
                    report::note("Ctrl-C once more leaves the chat, as does /quit");
                    warned = true;
                }
                Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Adds `text` to the history, and to its file, which only its owner can read.
    fn keep(&mut self, text: &str) -> Result<()> {
        self.editor.add_history_entry(text)?;
        let Some(path) = &self.history else { return Ok(()) };
        let folder = path.parent().unwrap_or(path);
        let kept = fs::create_dir_all(folder).map_err(ReadlineError::from);
        if let Err(error) = kept.and_then(|()| self.editor.append_history(path)) {
            report::note(format_args!("warning: the history is not kept in {}: {error}", path.display()));
            self.history = None;
        }
        Ok(())
    }
}

/// Joins the lines of a message, and completes the names of commands.
struct Assistance;

impl Validator for Assistance {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match lines::is_open(context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Assistance {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let start = line.get(..position).unwrap_or(line);
        Ok((0, if start.starts_with('/') { command::completions(start) } else { Vec::new() }))
    }
}

impl Hinter for Assistance {
    type Hint = String;
}

impl Highlighter for Assistance {}

impl Helper for Assistance {}
