//! The program at a terminal, typed to by a script.

use std::process::Command;

use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};

use crate::harness::{Scratch, command};

/// The time until an expected text arrives, on a busy machine.
const PATIENCE_MS: u64 = 120_000;

/// A terminal in which the program runs.
pub(crate) struct Terminal(PtySession);

impl Terminal {
    /// Runs the program in a window of `columns`, with `cache` as its cache directory.
    pub(crate) fn open(arguments: &[&str], cache: &Scratch, columns: usize) -> Self {
        let program = command(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("stty rows 40 cols {columns}; exec \"$0\" \"$@\"")]);
        shell.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.env("TERM", "xterm").env("TERCET_CACHE_DIR", cache.path()).env("HF_HOME", cache.path());
        let options = Options::new().timeout_ms(Some(PATIENCE_MS)).strip_ansi_escape_codes(true);
        Terminal(spawn_with_options(shell, options).unwrap())
    }

    /// Types a line.
    #[track_caller]
    pub(crate) fn types(&mut self, line: &str) {
        self.0.send_line(line).unwrap();
    }

    /// Presses Ctrl and a key.
    #[track_caller]
    pub(crate) fn control(&mut self, key: char) {
        self.0.send_control(key).unwrap();
    }

    /// Waits until the screen shows `text`, and returns what came before it.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> String {
        self.0.exp_string(text).unwrap_or_else(|error| panic!("no {text:?}: {error}"))
    }

    /// Waits until the program ends, and requires that it is content.
    #[track_caller]
    pub(crate) fn ends_well(&mut self) {
        self.0.exp_eof().unwrap();
        let status = format!("{:?}", self.0.process().wait().unwrap());
        assert!(status.starts_with("Exited") && status.ends_with(", 0)"), "{status}");
    }
}
