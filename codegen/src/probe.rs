//! Probes for the two roofs of a machine: memory bandwidth and throughput of dot products (Williams, Waterman, Patterson
//! 2009). The caller times these loops.

use std::hint::black_box;

use crate::blocks::Blocks;
use crate::emit::probe::Loop;
use crate::exec::ExecutableMemory;
use crate::isa::Isa;
use crate::kernel::KernelError;
use crate::packing::{BLOCK_BYTES, Block};
use tercet_cpu::Cpu;

/// Memory to read, of the same kind as that of packed weights.
#[derive(Debug)]
pub struct Memory(Blocks);

impl Memory {
    /// Returns at least `bytes` bytes, or none if the system refuses them. None is zero, so all pages are present.
    pub fn new(bytes: usize) -> Option<Self> {
        Blocks::filled(Block([1; BLOCK_BYTES]), bytes.div_ceil(BLOCK_BYTES)).map(Memory)
    }

    /// Returns the bytes in blocks of 64.
    pub fn blocks(&self) -> &[Block] {
        &self.0
    }
}

/// Reads memory with vector loads, or with compiled code on the portable ISA.
#[derive(Debug)]
pub struct ReadProbe(Option<Published>);

impl ReadProbe {
    /// Returns the probes of `isa`, at least one. They prefetch in several ways, and the fastest shows the bandwidth.
    ///
    /// # Errors
    /// Fails if this CPU cannot run `isa` or the system refuses executable memory.
    pub fn all(isa: Isa) -> Result<Vec<Self>, KernelError> {
        let loops = (isa.row().frame.reads)();
        if loops.is_empty() {
            return Ok(vec![publish(isa, None).map(ReadProbe)?]);
        }
        loops.into_iter().map(|one| publish(isa, Some(one)).map(ReadProbe)).collect()
    }

    /// Reads `blocks` once, up to the last whole turn, and returns the number of bytes read.
    pub fn run(&self, blocks: &[Block]) -> usize {
        let bytes = size_of_val(blocks);
        let Some(Published { code, per_turn }) = &self.0 else {
            let words = blocks.iter().flat_map(|block| block.0.as_chunks().0);
            black_box(words.fold(0, |sum, word| sum ^ u64::from_ne_bytes(*word)));
            return bytes;
        };
        let turns = bytes / per_turn;
        if turns > 0 {
            // SAFETY:
            // - the code reads the first `turns` · `per_turn` bytes of `blocks`, which has as many;
            // - prefetches past the end do not fault.
            unsafe { call(code, blocks.as_ptr().cast(), turns) };
        }
        turns * per_turn
    }
}

/// Computes dot products of bytes in registers.
#[derive(Debug)]
pub struct DotProbe(Published);

impl DotProbe {
    /// Returns the probe of `isa`; `None` for the portable ISA, which has no such instruction.
    ///
    /// # Errors
    /// Fails if this CPU cannot run `isa` or the system refuses executable memory.
    pub fn new(isa: Isa) -> Result<Option<Self>, KernelError> {
        Ok(publish(isa, isa.row().frame.dots.map(|dots| dots()))?.map(DotProbe))
    }

    /// Computes at least `multiply_adds` multiply-adds, and returns their number.
    pub fn run(&self, multiply_adds: usize) -> usize {
        let Published { code, per_turn } = &self.0;
        let turns = multiply_adds.div_ceil(*per_turn).max(1);
        // SAFETY: the code touches no memory, and there is at least one turn.
        unsafe { call(code, std::ptr::null(), turns) };
        turns * per_turn
    }
}

/// A published [`Loop`]. This CPU has its instruction set.
#[derive(Debug)]
struct Published {
    code: ExecutableMemory,
    per_turn: usize,
}

fn publish(isa: Isa, probe: Option<Loop>) -> Result<Option<Published>, KernelError> {
    let cpu = Cpu::host();
    if !isa.runs_on(cpu) {
        return Err(KernelError::Cpu { isa, available: Isa::available(cpu) });
    }
    let published = probe.map(|Loop { emitted, per_turn }| {
        Ok(Published { code: ExecutableMemory::publish(&emitted.code)?, per_turn })
    });
    published.transpose()
}

/// The calling convention of probes, the same on every operating system.
#[cfg(target_arch = "x86_64")]
type Entry = unsafe extern "sysv64" fn(*const u8, usize);
#[cfg(target_arch = "aarch64")]
type Entry = unsafe extern "C" fn(*const u8, usize);

/// Calls published code.
///
/// # Safety
/// - `code` must be that of a [`Loop`] that this CPU can run.
/// - `turns` must be at least 1.
/// - The bytes that the loop reads from `start` must be readable.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe fn call(code: &ExecutableMemory, start: *const u8, turns: usize) {
    // SAFETY: an emitted loop is a function of this type.
    let entry = unsafe { std::mem::transmute::<*const u8, Entry>(code.code().as_ptr()) };
    // SAFETY: the caller keeps this function's contract.
    unsafe { entry(start, turns) }
}

/// Replaces the call on other architectures. No loop is emitted for an ISA that their [`Cpu`] supports.
///
/// # Safety
/// Never called.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn call(_: &ExecutableMemory, _: *const u8, _: usize) {
    unreachable!("no machine code is published on this architecture")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_isa_of_this_cpu_reads_all_and_not_more() {
        for isa in Isa::available(Cpu::host()) {
            let (probes, memory) = (ReadProbe::all(isa).unwrap(), Memory::new(1 << 20).unwrap());
            assert!(!probes.is_empty(), "{isa}");
            for probe in probes {
                assert_eq!(probe.run(memory.blocks()), 1 << 20, "{isa}");
                assert!(probe.run(&memory.blocks()[..9]) <= 9 * BLOCK_BYTES, "{isa}");
                assert_eq!(probe.run(&[]), 0, "{isa}");
            }
        }
    }

    #[test]
    fn every_vector_isa_of_this_cpu_computes_as_much_as_was_asked_for() {
        for isa in Isa::available(Cpu::host()) {
            let probe = DotProbe::new(isa).unwrap();
            assert_eq!(probe.is_none(), isa == Isa::Portable);
            if let Some(probe) = probe {
                let least = probe.run(0);
                assert!(least > 0, "{isa}");
                assert_eq!(probe.run(1_000 * least), 1_000 * least, "{isa}");
            }
        }
    }

    #[test]
    fn what_the_cpu_lacks_is_refused() {
        for isa in Isa::ALL.into_iter().filter(|&isa| !isa.runs_on(Cpu::host())) {
            assert!(matches!(ReadProbe::all(isa), Err(KernelError::Cpu { .. })), "{isa}");
            assert!(matches!(DotProbe::new(isa), Err(KernelError::Cpu { .. })), "{isa}");
        }
    }
}
