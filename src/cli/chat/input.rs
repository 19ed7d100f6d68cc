//! The source of the user's turns.

use std::io::{self, BufRead, Read, StdinLock};

use anyhow::Result;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use tercet_engine::Error;

use crate::cli::{report, text};

const PROMPT: &str = "> ";

/// Lines from a terminal with editing and history.
pub(super) struct Terminal(DefaultEditor);

impl Terminal {
    pub(super) fn new() -> Result<Self> {
        Ok(Terminal(DefaultEditor::new()?))
    }

    /// Returns the next line; none at the end, which is Ctrl-D, or Ctrl-C twice in a row.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        let mut warned = false;
        loop {
            match self.0.readline(PROMPT) {
                Ok(line) => {
                    self.0.add_history_entry(&line)?;
                    return Ok(Some(line));
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
}

/// Lines from a pipe.
pub(super) struct Pipe {
    stdin: StdinLock<'static>,
    line: usize,
}

impl Pipe {
    pub(super) fn new() -> Self {
        Pipe { stdin: io::stdin().lock(), line: 0 }
    }

    /// Returns the next line with its number, without its end; none at the end of the input.
    ///
    /// # Errors
    /// Fails if the input cannot be read, or the line is not UTF-8.
    pub(super) fn next(&mut self) -> Result<Option<(usize, String)>> {
        let mut bytes = Vec::new();
        if (&mut self.stdin).take(text::MOST_BYTES + 1).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if bytes.len() as u64 > text::MOST_BYTES {
            return Err(text::too_long(format!("line {} of standard input", self.line)).into());
        }
        let line = String::from_utf8(bytes).map_err(|error| {
            let byte = error.utf8_error().valid_up_to() + 1;
            let problem = format!("byte {byte} is not UTF-8");
            Error::bad_argument(
                format!("line {} of standard input", self.line),
                problem,
                "convert it to UTF-8",
            )
        })?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        Ok(Some((self.line, line.strip_suffix('\r').unwrap_or(line).to_owned())))
    }
}
