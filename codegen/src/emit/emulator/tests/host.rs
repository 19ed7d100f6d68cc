//! Runs each instruction on this CPU and on the emulator.

use tercet_cpu::Cpu;
use tercet_kernels_ref::random::SplitMix;

use crate::emit::asm::{Asm, Gpr, Mask, Mem, Registers, THREE_OPERAND_FORMS, V, Width};
use crate::emit::emulator::Program;
use crate::exec::ExecutableMemory;
use crate::isa::Isa;

/// Emits instructions on three vectors. Their memory operands are the 128 bytes at `rdi`.
type Form<'a> = &'a dyn Fn(&mut Asm, [V; 3]);

/// Passes every vector instruction of a width to `judge`, with the ISA that has it.
fn each_form(width: Width, mut judge: impl FnMut(Isa, Form<'_>)) {
    let isa = if width == Width::Ymm { Isa::Avx2 } else { Isa::Avx512Vnni };
    for &(name, emit) in THREE_OPERAND_FORMS {
        let isa = if (name, width) == ("vpdpbusd", Width::Ymm) { Isa::AvxVnni } else { isa };
        judge(isa, &|asm, [d, a, b]| {
            // The bits of a NaN product are not specified.
            if name == "vmulps" {
                [a, b].into_iter().for_each(|float| asm.vcvtdq2ps(float, float));
            }
            emit(asm, d, a, b);
        });
    }
    let memory = Mem::at(Gpr::Rdi, 36);
    judge(isa, &|asm, [d, ..]| asm.zero(d));
    judge(isa, &|asm, [d, ..]| asm.constant(d, 0x89AB_CDEF));
    judge(isa, &|asm, [d, a, _]| asm.vcvtdq2ps(d, a));
    judge(isa, &|asm, [d, ..]| asm.load(d, memory));
    judge(isa, &|asm, [d, ..]| asm.store(memory, d));
    judge(isa, &|asm, [d, ..]| asm.broadcast(d, memory));
    judge(isa, &|asm, [d, a, _]| asm.vand_load(d, a, memory));
    judge(isa, &|asm, [d, a, _]| asm.vpaddd_load(d, a, memory));
    for bits in [0, 1, 8, 31] {
        judge(isa, &|asm, [d, a, _]| asm.vpsrld(d, a, bits));
        judge(isa, &|asm, [d, a, _]| asm.vpsrad(d, a, bits));
        judge(isa, &|asm, [d, ..]| asm.vpsrld_load(d, memory, bits));
    }
    if width == Width::Ymm {
        judge(isa, &|asm, [d, a, b]| asm.vpcmpgtb(d, a, b));
        judge(isa, &|asm, [d, a, _]| asm.vpabsb(d, a));
        return;
    }
    judge(isa, &|asm, [d, a, b]| {
        asm.vpcmpnltub(Mask::K1, a, b);
        asm.vmovdqu8_zeroing(d, Mask::K1, a);
        asm.vpaddb_masked(b, Mask::K1, a, d);
    });
    judge(Isa::Avx512Vbmi, &|asm, [d, a, b]| {
        asm.vpmovb2m(Mask::K1, a);
        asm.knotq(Mask::K2, Mask::K1);
        asm.vpermi2b_masked(d, Mask::K2, a, b);
    });
}

/// Vectors in front of those for the registers.
const MEMORY: usize = 2;

/// Memory, and the values of all vector registers.
#[repr(C, align(64))]
#[derive(Clone, PartialEq, Eq)]
struct State([[u8; 64]; MEMORY + Width::Zmm.registers()]);

impl State {
    /// Returns random bytes. Many are extremes, so that sums saturate.
    fn random(random: &mut SplitMix) -> State {
        let mut below = |most| random.next_u64() % most;
        let mut byte =
            || if below(4) == 0 { [0, 127, 128, 255][below(4) as usize] } else { below(256) as u8 };
        State(std::array::from_fn(|_| std::array::from_fn(|_| byte())))
    }
}

/// Returns a function that loads all registers from a [`State`], runs the form and stores the registers.
fn function(width: Width, form: Form<'_>) -> Vec<u8> {
    let mut asm = Asm::new(width);
    let registers = Registers::new(width).take_many(width.registers());
    let slot = |index: usize| Mem::at(Gpr::Rdi, (64 * (MEMORY + index)) as i32);
    registers.iter().enumerate().for_each(|(index, &register)| asm.load(register, slot(index)));
    form(&mut asm, [registers[0], registers[registers.len() - 1], registers[7]]);
    registers.iter().enumerate().for_each(|(index, &register)| asm.store(slot(index), register));
    asm.ret();
    asm.finish().0
}

#[test]
fn the_emulator_does_what_this_cpu_does() {
    let mut random = SplitMix(9);
    let mut judged = 0;
    for width in [Width::Ymm, Width::Zmm] {
        each_form(width, |isa, form| {
            if !isa.runs_on(Cpu::host()) {
                return;
            }
            let code = function(width, form);
            let (native, emulated) = (ExecutableMemory::publish(&code).unwrap(), Program::new(&code));
            for _ in 0..50 {
                let mut expected = State::random(&mut random);
                let mut found = expected.clone();
                // SAFETY: the code is a function that reads and writes a `State`, and this CPU has its instructions.
                unsafe {
                    type Entry = unsafe extern "sysv64" fn(*mut State);
                    let entry = std::mem::transmute::<*const u8, Entry>(native.code().as_ptr());
                    entry(&raw mut expected);
                }
                // SAFETY: the code reads and writes a `State`.
                unsafe { emulated.run(&raw mut found) };
                assert!(found == expected, "{isa}: {:02x?}", code);
            }
            judged += 1;
        });
    }
    println!("{judged} forms");
}
