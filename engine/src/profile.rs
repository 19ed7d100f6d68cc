//! Tells `perf` the names of kernels, through its map file and through jitdump. Off by default.

use std::io;
use std::path::PathBuf;

use tercet_codegen::Profiler;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux::Sinks;

/// The files that a [`PerfProfiler`] writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilerOptions {
    /// Append to `/tmp/perf-PID.map`, which `perf report` reads.
    pub perf_map: bool,
    /// Write `jit-PID.dump` in this directory, for `perf record -k mono` and `perf inject --jit`. It
    /// contains the code.
    pub jitdump: Option<PathBuf>,
}

/// Announces kernels to `perf`. The default announces nothing.
#[derive(Debug, Default)]
pub struct PerfProfiler(Option<Sinks>);

impl PerfProfiler {
    /// Opens the files that `options` asks for.
    ///
    /// # Errors
    /// Fails if a file cannot be opened. The error names the file. Outside Linux, fails if `options`
    /// asks for any file.
    pub fn new(options: ProfilerOptions) -> io::Result<Self> {
        if options == ProfilerOptions::default() {
            return Ok(PerfProfiler::default());
        }
        Sinks::open(&options).map(|sinks| PerfProfiler(Some(sinks)))
    }

    /// Returns the first failure to write. Later calls return `None`.
    pub fn take_error(&self) -> Option<io::Error> {
        self.0.as_ref().and_then(Sinks::take_error)
    }
}

impl Profiler for PerfProfiler {
    /// Announces a kernel. After the first failure to write to a file, nothing more is written to this file.
    fn published(&self, name: &str, code: &[u8]) {
        if let Some(sinks) = &self.0 {
            sinks.published(name, code);
        }
    }
}

/// No profiler is supported here, so no value exists.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
enum Sinks {}

#[cfg(not(target_os = "linux"))]
impl Sinks {
    fn open(_: &ProfilerOptions) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "perf map and jitdump need Linux"))
    }

    fn published(&self, _: &str, _: &[u8]) {
        match *self {}
    }

    fn take_error(&self) -> Option<io::Error> {
        match *self {}
    }
}
