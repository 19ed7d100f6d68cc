//! Turns from a pipe, one per line.

use std::io::{self, BufRead, Read, StdinLock};

use anyhow::Result;
use tercet_engine::Error;

use crate::cli::text;

/// The lines of standard input.
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
