//! Runs calls of kernels under `qemu-aarch64`.

#![allow(clippy::useless_conversion, reason = "dynasm converts every register number")]

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, aarch64::Aarch64Relocation, dynasm};

use super::elf::Program;
use crate::spec::KernelSpec;

/// A CPU model with SDOT and I8MM.
pub(super) const MAX: &str = "max";
/// A CPU model with SDOT and without I8MM.
pub(super) const NEOVERSE_N1: &str = "neoverse-n1";
/// A CPU model without SDOT and I8MM.
pub(super) const CORTEX_A72: &str = "cortex-a72";

/// A list of calls, each with the offset of its function and the address of its argument.
#[derive(Default)]
pub(super) struct Calls {
    entries: HashMap<KernelSpec, usize>,
    code: Vec<u8>,
    made: Vec<(usize, u64)>,
}

impl Calls {
    /// Adds a call of the function of `spec`. `emit` returns its code, if this is the first call.
    pub(super) fn push(&mut self, spec: KernelSpec, argument: u64, emit: impl FnOnce() -> Vec<u8>) {
        let entry = *self.entries.entry(spec).or_insert_with(|| {
            let entry = self.code.len();
            self.code.extend(emit());
            entry
        });
        self.made.push((entry, argument));
    }
}

/// The outcome of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The program returned, and these are the bytes of the outputs.
    Returned(Vec<u8>),
    /// A kernel changed a callee-saved register or the stack pointer.
    Clobbered,
    /// This signal killed the program.
    Killed(i32),
}

/// Makes the calls in order on the CPU model `cpu`, and reads back the `outputs`.
///
/// `outputs` are addresses and lengths. Returns `None` if the emulator is not installed.
///
/// # Panics
/// Panics if the emulator is not installed and `CI` is `true`.
pub(super) fn run(
    cpu: &str,
    mut program: Program,
    calls: &Calls,
    outputs: &[(u64, usize)],
) -> Option<Outcome> {
    const CLOBBERED: i32 = 3;
    let Calls { code: functions, made: calls, .. } = calls;
    // The addresses in the table depend on the driver's length. This length depends on no address.
    let driver_bytes = driver(0, calls.len(), 0, outputs.len(), CLOBBERED).len() as u64;
    let words = |words: Vec<u64>| words.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<u8>>();
    let table = calls
        .iter()
        .flat_map(|&(entry, argument)| [Program::entry() + driver_bytes + entry as u64, argument]);
    let table = program.data(&words(table.collect()), false);
    let ranges = outputs.iter().flat_map(|&(address, bytes)| [address, bytes as u64]);
    let ranges = program.data(&words(ranges.collect()), false);
    let mut code = driver(table, calls.len(), ranges, outputs.len(), CLOBBERED);
    assert_eq!(code.len() as u64, driver_bytes);
    code.extend(functions);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernels");
    std::fs::write(&path, program.finish(&code)).unwrap();
    make_executable(&path);
    let output = match Command::new("qemu-aarch64").args(["-cpu", cpu]).arg(&path).output() {
        Ok(output) => output,
        Err(error) => {
            let in_ci = std::env::var("CI").as_deref() == Ok("true");
            assert!(!in_ci, "qemu-aarch64 must be installed in CI: {error}");
            eprintln!("skipped: qemu-aarch64 cannot be run: {error}");
            return None;
        }
    };
    Some(match (output.status.signal(), output.status.code()) {
        (Some(signal), _) => Outcome::Killed(signal),
        (_, Some(0)) => Outcome::Returned(output.stdout),
        (_, Some(CLOBBERED)) => Outcome::Clobbered,
        (_, status) => panic!("qemu-aarch64: {status:?}: {}", String::from_utf8_lossy(&output.stderr)),
    })
}

fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Returns the code of a program that calls every entry of `table`.
///
/// It checks that the callee-saved registers keep their values. Then it writes the `ranges` to
/// standard output and exits.
fn driver(table: u64, calls: usize, ranges: u64, outputs: usize, clobbered: i32) -> Vec<u8> {
    const WRITE: u32 = 64;
    const EXIT: u32 = 93;
    let mut ops = VecAssembler::<Aarch64Relocation>::new(0);
    for (register, value) in [(19, table), (20, calls as u64), (23, ranges), (24, outputs as u64)] {
        let part = |i: u32| (value >> (16 * i)) as u32 & 0xFFFF;
        dynasm!(ops ; .arch aarch64
            ; movz X(register), part(0)
            ; movk X(register), part(1), lsl 16
            ; movk X(register), part(2), lsl 32
        );
    }
    dynasm!(ops ; .arch aarch64
        ; mov x21, sp
        ; mov x22, x20
        ; mov x25, x23
        ; ->call:
        ; ldp x9, x0, [x19], 16
        ; mov x26, x19
    );
    for register in 8..16 {
        dynasm!(ops ; .arch aarch64 ; fmov D(register), x19);
    }
    dynasm!(ops ; .arch aarch64 ; blr x9);
    dynasm!(ops ; .arch aarch64 ; cmp x26, x19 ; b.ne ->clobbered ; cmp sp, x21 ; b.ne ->clobbered);
    dynasm!(ops ; .arch aarch64 ; cmp x22, x20 ; b.ne ->clobbered ; cmp x25, x23 ; b.ne ->clobbered);
    for register in 8..16 {
        dynasm!(ops ; .arch aarch64 ; fmov x9, D(register) ; cmp x9, x19 ; b.ne ->clobbered);
    }
    dynasm!(ops ; .arch aarch64
        ; sub x20, x20, 1
        ; mov x22, x20
        ; cbnz x20, ->call
        ; ->output:
        ; cbz x24, ->done
        ; ldp x1, x2, [x23], 16
        ; mov x0, 1
        ; mov x8, WRITE as u64
        ; svc 0
        ; sub x24, x24, 1
        ; b ->output
        ; ->done:
        ; mov x0, 0
        ; mov x8, EXIT as u64
        ; svc 0
        ; ->clobbered:
        ; mov x0, clobbered as u64
        ; mov x8, EXIT as u64
        ; svc 0
    );
    ops.finalize().unwrap()
}
