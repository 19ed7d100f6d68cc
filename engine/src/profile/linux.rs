//! The files that Linux's `perf` reads.

mod jitdump;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tercet_formats::open_own;

use self::jitdump::JitDump;
use super::ProfilerOptions;

/// The open files.
#[derive(Debug)]
pub(super) struct Sinks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    perf_map: Option<PerfMap>,
    jitdump: Option<JitDump>,
    failed: bool,
    error: Option<io::Error>,
}

impl Sinks {
    pub(super) fn open(options: &ProfilerOptions) -> io::Result<Self> {
        Ok(Sinks(Mutex::new(State {
            perf_map: options.perf_map.then(PerfMap::open).transpose()?,
            jitdump: options.jitdump.as_deref().map(JitDump::create).transpose()?,
            ..State::default()
        })))
    }

    pub(super) fn published(&self, name: &str, code: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = state.perf_map.as_mut().map(|map| map.append(name, code)) {
            state.perf_map = None;
            state.note(error);
        }
        if let Some(Err(error)) = state.jitdump.as_mut().map(|dump| dump.append(name, code)) {
            state.jitdump = None;
            state.note(error);
        }
    }

    pub(super) fn take_error(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).error.take()
    }
}

impl State {
    fn note(&mut self, error: io::Error) {
        if !self.failed {
            self.failed = true;
            self.error = Some(error);
        }
    }
}

/// A file with its path, so that errors can name it.
#[derive(Debug)]
struct Output {
    file: File,
    path: PathBuf,
}

impl Output {
    /// Appends `bytes` with one write.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).map_err(|error| named(&self.path, error))
    }
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A file with lines of `ADDRESS SIZE NAME`. Numbers are hexadecimal.
///
/// See tools/perf/Documentation/jit-interface.txt of Linux.
#[derive(Debug)]
struct PerfMap(Output);

impl PerfMap {
    fn open() -> io::Result<Self> {
        let path = PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()));
        let file = open_own(&path, File::options().create(true).append(true));
        let file = file.map_err(|error| named(&path, error))?;
        Ok(PerfMap(Output { file, path }))
    }

    fn append(&mut self, name: &str, code: &[u8]) -> io::Result<()> {
        self.0.append(format!("{:x} {:x} {name}\n", code.as_ptr().addr(), code.len()).as_bytes())
    }
}

#[cfg(test)]
mod tests;
