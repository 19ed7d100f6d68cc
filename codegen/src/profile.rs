//! Tells `perf` the names of published kernels, through its map file and through jitdump. Off by default.

use std::io;
use std::path::PathBuf;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::Sinks;

/// What is told, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilerOptions {
    /// Append to `/tmp/perf-PID.map`, which `perf report` looks for.
    pub perf_map: bool,
    /// Write `jit-PID.dump` in this directory, with the code, for `perf record -k mono` and `perf inject --jit`.
    pub jitdump: Option<PathBuf>,
}

/// Where published kernels are announced; by default nowhere.
#[derive(Debug, Default)]
pub struct Profiler(Option<Sinks>);

impl Profiler {
    /// Opens the files that `options` asks for.
    ///
    /// # Errors
    /// Fails if a file cannot be opened, naming it, and if anything is asked for on a system other than Linux.
    pub fn new(options: ProfilerOptions) -> io::Result<Self> {
        if options == ProfilerOptions::default() {
            return Ok(Profiler::default());
        }
        Sinks::open(&options).map(|sinks| Profiler(Some(sinks)))
    }

    /// Announces `code`, where it will be executed, as `name`. Each file is given up at its first failure.
    pub fn published(&self, name: &str, code: &[u8]) {
        if let Some(sinks) = &self.0 {
            sinks.published(name, code);
        }
    }

    /// The first failure to write since the profiler was made, once.
    pub fn take_error(&self) -> Option<io::Error> {
        self.0.as_ref().and_then(Sinks::take_error)
    }
}

/// No profiler is known here.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
enum Sinks {}

#[cfg(not(target_os = "linux"))]
impl Sinks {
    fn open(_: &ProfilerOptions) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "perf map and jitdump are for Linux"))
    }

    fn published(&self, _: &str, _: &[u8]) {
        match *self {}
    }

    fn take_error(&self) -> Option<io::Error> {
        match *self {}
    }
}
