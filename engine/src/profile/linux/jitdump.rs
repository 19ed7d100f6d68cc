//! Writes jitdump files, version 1. Numbers are in native byte order.
//!
//! See tools/perf/Documentation/jitdump-specification.txt of Linux.

use std::io;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};
use rustix::time::{ClockId, clock_gettime};
use tercet_formats::create_own;

use super::{Output, named};

/// "JiTD". Its byte order tells the reader the file's byte order.
const MAGIC: u32 = 0x4A69_5444;
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 40;
/// The kind of record that has the name and the bytes of code.
const CODE_LOAD: u32 = 0;
/// Bytes of a code-load record before name and code.
const CODE_LOAD_BYTES: usize = 56;

#[cfg(target_arch = "x86_64")]
const ELF_MACHINE: u32 = 62;
#[cfg(target_arch = "aarch64")]
const ELF_MACHINE: u32 = 183;
/// Other architectures have no kernels to announce.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ELF_MACHINE: u32 = 0;

/// A dump that is open for writing.
#[derive(Debug)]
pub(super) struct JitDump {
    output: Output,
    /// Number of records. `perf` needs it to distinguish kernels at a reused address.
    index: u64,
    /// `perf record` finds the dump by this mapping. Nobody reads through it.
    _marker: Mmap,
}

impl JitDump {
    /// Creates `jit-PID.dump` in `directory` and writes its header.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let path = directory.join(format!("jit-{}.dump", std::process::id()));
        Self::begin(&path).map_err(|error| named(&path, error))
    }

    #[expect(unsafe_code, reason = "perf finds the dump by a mapping of it")]
    fn begin(path: &Path) -> io::Result<Self> {
        let mut output = Output { file: create_own(path)?, path: path.to_owned() };
        output.append(&header())?;
        // SAFETY: nobody reads or runs the bytes through the mapping. So others may write the file.
        let marker = unsafe { MmapOptions::new().len(HEADER_BYTES as usize).map_exec(&output.file)? };
        Ok(JitDump { output, index: 0, _marker: marker })
    }

    pub(super) fn append(&mut self, name: &str, code: &[u8]) -> io::Result<()> {
        self.output.append(&code_load(name, code, self.index))?;
        self.index += 1;
        Ok(())
    }
}

fn header() -> Vec<u8> {
    let mut header = Vec::new();
    for field in [MAGIC, VERSION, HEADER_BYTES, ELF_MACHINE, 0, std::process::id()] {
        header.extend(field.to_ne_bytes());
    }
    let flags = 0u64;
    header.extend(timestamp().to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header
}

fn code_load(name: &str, code: &[u8], index: u64) -> Vec<u8> {
    let bytes = CODE_LOAD_BYTES + name.len() + 1 + code.len();
    let address = code.as_ptr().addr() as u64;
    let thread = rustix::thread::gettid().as_raw_nonzero().get() as u32;
    let mut record = Vec::with_capacity(bytes);
    record.extend(CODE_LOAD.to_ne_bytes());
    record.extend((bytes as u32).to_ne_bytes());
    record.extend(timestamp().to_ne_bytes());
    record.extend(std::process::id().to_ne_bytes());
    record.extend(thread.to_ne_bytes());
    for field in [address, address, code.len() as u64, index] {
        record.extend(field.to_ne_bytes());
    }
    record.extend(name.as_bytes());
    record.push(0);
    record.extend(code);
    record
}

/// Returns the time in nanoseconds, from the clock that `perf record -k mono` uses.
fn timestamp() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
