//! Listings of kernels on any host: annotated disassembly, instruction mix and static bound.

mod aarch64;
mod bound;
mod instruction;
mod mix;
mod x86;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

pub use bound::{Bound, Limit};
pub use mix::Mix;

use instruction::Instruction;

use crate::emit::{self, Emitted};
use crate::isa::{Architecture, Isa};
use crate::packing::{BLOCK_BYTES, PANEL_ROWS};
use crate::spec::{KernelSpec, SpecError};

/// A kernel in readable form. Its [`Display`](fmt::Display) is the annotated listing.
///
/// ```
/// use tercet_codegen::Listing;
///
/// // On any host: nothing runs.
/// let listing = Listing::new(&"neon-dot/2bit/x1/m1n16u1/shift/p0/f32".parse()?)?;
/// assert!(listing.to_string().contains("sdot"));
/// # Ok::<(), tercet_codegen::SpecError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Listing {
    /// Spec of the kernel.
    pub spec: KernelSpec,
    /// Multiply-adds in one turn of the loop: mr · nr · ku · the packing's step, divided by the passes.
    pub multiply_adds_per_turn: usize,
    /// Bytes of weights that one turn of the loop reads. With `once` these are unpacked bytes.
    pub weight_bytes_per_turn: usize,
    /// The code. `None` for the portable family, which is compiled Rust.
    pub machine_code: Option<MachineCode>,
}

/// Emitted code, disassembled.
#[derive(Clone, Debug)]
pub struct MachineCode {
    /// The code as bytes.
    pub bytes: Vec<u8>,
    /// Every instruction, in order.
    pub lines: Vec<Line>,
    /// Offsets of the unrolled loop over k, including its jump.
    pub loop_body: Range<usize>,
    /// Instruction counts of the whole kernel.
    pub mix: Mix,
    /// Instruction counts of the loop.
    pub loop_mix: Mix,
    /// The least time of a turn of the loop, for each core that has the ISA.
    pub bounds: Vec<Bound>,
}

/// One line of a listing: an instruction and its notes.
#[derive(Clone, Debug)]
pub struct Line {
    /// Offset from the kernel's entry, in bytes.
    pub offset: usize,
    /// The encoded instruction.
    pub bytes: Vec<u8>,
    /// The instruction in Intel's or Arm's syntax.
    pub text: String,
    /// Name of this position, if it is the target of a jump.
    pub label: Option<String>,
    /// The emitter's notes on the code that starts here.
    pub marks: Vec<String>,
    /// True if the instruction is in the unrolled loop over k.
    pub in_loop: bool,
}

impl Listing {
    /// Emits the code of `spec` and disassembles it.
    ///
    /// # Errors
    /// Fails if the spec is not valid.
    pub fn new(spec: &KernelSpec) -> Result<Self, SpecError> {
        spec.validate()?;
        let kernel = spec.micro_kernel();
        let (tile, rows) = (kernel.tile, (emit::family(spec.isa).frame.rows_at_once)(&kernel));
        let multiply_adds =
            tile.mr * rows * tile.ku * kernel.layout.packing.step() / kernel.schedule.unpack.passes();
        Ok(Listing {
            spec: *spec,
            multiply_adds_per_turn: multiply_adds,
            weight_bytes_per_turn: rows * BLOCK_BYTES / PANEL_ROWS * tile.ku,
            machine_code: emit::emit(spec)?.map(|emitted| MachineCode::new(spec.isa, multiply_adds, emitted)),
        })
    }
}

impl MachineCode {
    fn new(isa: Isa, multiply_adds_per_turn: usize, emitted: Emitted) -> Self {
        let Emitted { code, marks, loop_body } = emitted;
        let instructions = match isa.architecture() {
            Some(Architecture::Aarch64) => aarch64::decode(&code),
            _ => x86::decode(&code),
        };
        let in_loop = |instruction: &&Instruction| loop_body.contains(&instruction.offset);
        let body: Vec<Instruction> = instructions.iter().filter(in_loop).cloned().collect();
        MachineCode {
            lines: lines(&code, &instructions, &marks, &loop_body),
            mix: Mix::of(&instructions),
            loop_mix: Mix::of(&body),
            bounds: bound::bounds(multiply_adds_per_turn, &body),
            bytes: code,
            loop_body,
        }
    }
}

fn lines(
    code: &[u8],
    instructions: &[Instruction],
    marks: &[(usize, String)],
    loop_body: &Range<usize>,
) -> Vec<Line> {
    let labels = labels(instructions);
    let line = |instruction: &Instruction| {
        let &Instruction { offset, bytes, ref text, target, .. } = instruction;
        let target = target.and_then(|target| labels.get(&target));
        Line {
            offset,
            bytes: code[offset..offset + bytes].to_vec(),
            text: target.map_or_else(|| text.clone(), |target| format!("{text} {target}")),
            label: labels.get(&offset).cloned(),
            marks: marks.iter().filter(|(at, _)| *at == offset).map(|(_, mark)| mark.clone()).collect(),
            in_loop: loop_body.contains(&offset),
        }
    };
    instructions.iter().map(line).collect()
}

/// Names the targets of branches in the order of their addresses: L1, L2 and so on.
fn labels(instructions: &[Instruction]) -> BTreeMap<usize, String> {
    let targets: BTreeSet<usize> = instructions.iter().filter_map(|instruction| instruction.target).collect();
    targets.into_iter().enumerate().map(|(number, target)| (target, format!("L{}", number + 1))).collect()
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel  {}", self.spec)?;
        let inner = self.spec.micro_kernel();
        if inner != self.spec {
            writeln!(f, "inner   {inner}")?;
        }
        let Some(machine_code) = &self.machine_code else {
            return writeln!(f, "code    none: {} kernels are compiled Rust", self.spec.isa);
        };
        let MachineCode { bytes, lines, loop_body, .. } = machine_code;
        writeln!(f, "code    {} bytes, {} instructions", bytes.len(), lines.len())?;
        writeln!(f, "loop    {:#x} to {:#x}, {} bytes", loop_body.start, loop_body.end, loop_body.len())?;
        writeln!(
            f,
            "turn    {} multiply-adds, {} bytes of weights\n",
            self.multiply_adds_per_turn, self.weight_bytes_per_turn
        )?;
        write!(f, "{machine_code}")
    }
}

impl fmt::Display for MachineCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            write_line(f, line, &self.loop_body)?;
        }
        writeln!(f, "\n{:<22}{:>6}{:>8}", "instructions", "loop", "kernel")?;
        for ((name, in_loop), (_, in_kernel)) in self.loop_mix.named().into_iter().zip(self.mix.named()) {
            writeln!(f, "{name:<22}{in_loop:>6}{in_kernel:>8}")?;
        }
        if self.bounds.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nstatic bound: an estimate of the least time of a turn, with all operands in the first-level cache"
        )?;
        writeln!(
            f,
            "{:<18}{:>11}  {:<12}{:>18}{:>9}",
            "core", "cycles/turn", "limit", "mult.-adds/cycle", "of peak"
        )?;
        for bound in &self.bounds {
            let Bound { core, cycles_per_turn, limit, multiply_adds_per_cycle, percent_of_peak } = bound;
            writeln!(
                f,
                "{core:<18}{cycles_per_turn:>11.1}  {:<12}{multiply_adds_per_cycle:>18.1}{percent_of_peak:>8.0}%",
                limit.name()
            )?;
        }
        Ok(())
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, line: &Line, loop_body: &Range<usize>) -> fmt::Result {
    for mark in &line.marks {
        writeln!(f, "  ; {mark}")?;
    }
    if let Some(label) = &line.label {
        writeln!(f, "{label}:")?;
    }
    let end = line.offset + line.bytes.len();
    let bracket = match line.in_loop {
        true if line.offset == loop_body.start => '┌',
        true if end == loop_body.end => '└',
        true => '│',
        false => ' ',
    };
    let bytes: Vec<String> = line.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(f, "{bracket} {:04x}  {:<33} {}", line.offset, bytes.join(" "), line.text)
}

#[cfg(test)]
mod tests;
