//! Tables and JSON on standard output, notes on standard error.

use std::borrow::Cow;
use std::env;
use std::fmt::Display;
use std::fs;
use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use clap::builder::styling::Style;
use serde::Serialize;
use tercet_engine::Size;

use super::printable::printable;

/// Returns `style` for a terminal, and no style for other streams or if `NO_COLOR`
/// (<https://no-color.org>) is set.
pub(super) fn on_terminal(stream: &impl IsTerminal, style: Style) -> Style {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|value| value == "dumb");
    if stream.is_terminal() && !refused { style } else { Style::new() }
}

/// Writes a line to standard error. Failures are ignored.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", shown(&io::stderr(), &line.to_string()));
}

/// Returns `text` without the control characters that a name may have, if `stream` is a terminal.
fn shown<'a>(stream: &impl IsTerminal, text: &'a str) -> Cow<'a, str> {
    if stream.is_terminal() { printable(text) } else { text.into() }
}

/// Writes `text` to standard output.
pub(super) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(failed_output)
}

/// Returns the error of a failure to write to standard output.
pub(super) fn failed_output(error: io::Error) -> anyhow::Error {
    let message = format!("cannot write standard output: {error}");
    anyhow::Error::from(error).context(message)
}

/// Writes `object` to standard output, as one line.
pub(super) fn print_json(object: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string(object)? + "\n";
    print(&shown(&io::stdout(), &json))
}

/// Width of the first column of a table.
const NAME: usize = 20;
/// Width at which lists in the second column wrap.
const WIDTH: usize = 72;

/// A text of tables with headings.
pub(super) struct Report {
    text: String,
    heading: Style,
}

impl Report {
    pub(super) fn new() -> Self {
        Report { text: String::new(), heading: on_terminal(&io::stdout(), Style::new().bold()) }
    }

    pub(super) fn heading(&mut self, title: impl Display) {
        let (heading, gap) = (self.heading, if self.text.is_empty() { "" } else { "\n" });
        let title = title.to_string();
        let title = shown(&io::stdout(), &title);
        self.text += &format!("{gap}{heading}{title}{heading:#}\n");
    }

    /// Adds a line of a two-column table.
    pub(super) fn row(&mut self, name: impl Display, value: impl Display) {
        let name = name.to_string();
        self.line(format_args!("  {name:<NAME$} {value}"));
    }

    /// Adds a line of a two-column table. The second column wraps if necessary.
    pub(super) fn list(&mut self, name: &str, words: &[&str]) {
        let (mut name, mut line) = (name, String::new());
        for word in words {
            if !line.is_empty() && line.len() + word.len() > WIDTH {
                self.row(name, &line);
                (name, line) = ("", String::new());
            }
            line += if line.is_empty() { "" } else { " " };
            line += word;
        }
        self.row(name, &line);
    }

    pub(super) fn line(&mut self, line: impl Display) {
        self.text += &shown(&io::stdout(), &format!("{line}\n"));
    }

    pub(super) fn print(&self) -> Result<()> {
        print(&self.text)
    }
}

/// Formats a size for people, as in `3.1 MB`.
pub(super) fn size(bytes: usize) -> String {
    Size(bytes as u64).to_string()
}

/// Formats a number with its noun, as in `1 thread` and `2 threads`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Returns the rate, or 0 if none could be measured.
pub(super) fn rate(per_second: f64) -> f64 {
    if per_second.is_finite() { per_second } else { 0.0 }
}

/// Returns the peak memory of this process, or none if the system does not report it.
pub(super) fn peak_rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
