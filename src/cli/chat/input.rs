//! The source of the user's turns.

use std::io::{self, Lines, StdinLock};

use anyhow::Result;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::cli::report;

const PROMPT: &str = "> ";

/// Lines from a terminal with editing and history, or from a pipe.
pub(super) enum Input {
    Terminal(Box<DefaultEditor>),
    Pipe(Lines<StdinLock<'static>>),
}

impl Input {
    pub(super) fn new(interactive: bool) -> Result<Self> {
        Ok(match interactive {
            true => Input::Terminal(Box::new(DefaultEditor::new()?)),
            false => Input::Pipe(io::stdin().lines()),
        })
    }

    /// Returns the next line, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        let editor = match self {
            Input::Terminal(editor) => editor,
            Input::Pipe(lines) => return Ok(lines.next().transpose()?),
        };
        loop {
            match editor.readline(PROMPT) {
                Ok(line) => {
                    editor.add_history_entry(&line)?;
                    return Ok(Some(line));
                }
                Err(ReadlineError::Interrupted) => report::note("Ctrl-D or /quit leaves the chat"),
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
