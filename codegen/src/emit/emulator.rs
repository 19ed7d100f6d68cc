//! Interprets the x86-64 code of kernels, so that tests run every family on every host.
//!
//! iced-x86 decodes the code. Every instruction that an emitter uses is defined here in plain Rust, after Intel's Software
//! Developer's Manual. The interpreter panics at any other instruction. Memory is that of the process.

mod memory;
mod tests;
mod tiles;
mod vectors;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use tiles::Tiles;
use vectors::Vectors;

/// Decoded code.
#[derive(Debug)]
pub(crate) struct Program(Vec<Instruction>);

impl Program {
    pub(crate) fn new(code: &[u8]) -> Self {
        let instructions: Vec<_> = Decoder::with_ip(64, code, 0, DecoderOptions::NONE).iter().collect();
        assert!(instructions.iter().all(|instruction| !instruction.is_invalid()));
        Program(instructions)
    }

    /// Calls the code as an `extern "sysv64"` function with one argument.
    ///
    /// # Panics
    /// - If the code has an unknown instruction, or one that the CPU would refuse.
    /// - If a callee-saved register changes, or tiles are in use at the end.
    ///
    /// # Safety
    /// The addresses that the code computes from `argument` must be readable and writable as the code needs them.
    pub(crate) unsafe fn run<T>(&self, argument: *mut T) {
        const STACK: usize = 1 << 16;
        /// The value of registers that the caller does not set.
        const OTHERS: u64 = 0xA5A5_0000_DEAD_BEEF;
        let mut stack = vec![0u8; STACK];
        // After a call the stack pointer is 8 bytes below a multiple of 16.
        let entry_stack = ((stack.as_mut_ptr() as u64 + STACK as u64) & !15) - 8;
        let mut machine = Machine { gprs: [OTHERS; 16], ..Machine::default() };
        machine.gprs[gpr(Register::RDI)] = argument as u64;
        machine.gprs[gpr(Register::RSP)] = entry_stack;
        let mut next = 0;
        while self.0[next].mnemonic() != Mnemonic::Ret {
            let instruction = &self.0[next];
            let target = machine.execute(instruction);
            next = target.map_or(next + 1, |ip| {
                self.0.binary_search_by_key(&ip, Instruction::ip).expect("jumps go to instructions")
            });
        }
        assert_eq!(machine.gprs[gpr(Register::RSP)], entry_stack, "the stack pointer is restored");
        for saved in
            [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15]
        {
            assert_eq!(machine.gprs[gpr(saved)], OTHERS, "{saved:?} is restored");
        }
        assert!(machine.tiles.are_released(), "tiles are released");
    }
}

/// The state of a CPU.
#[derive(Default)]
struct Machine {
    gprs: [u64; 16],
    vectors: Vectors,
    tiles: Tiles,
    carry: bool,
    zero: bool,
}

/// Returns the index of a general-purpose register of any size.
fn gpr(register: Register) -> usize {
    register.full_register().number()
}

impl Machine {
    /// Executes one instruction. Returns the target of a jump that is taken.
    fn execute(&mut self, i: &Instruction) -> Option<u64> {
        let jump = |taken: bool| taken.then(|| i.near_branch_target());
        match i.mnemonic() {
            Mnemonic::Jb => return jump(self.carry),
            Mnemonic::Jae => return jump(!self.carry),
            Mnemonic::Je => return jump(self.zero),
            Mnemonic::Jne => return jump(!self.zero),
            Mnemonic::Prefetcht0 | Mnemonic::Prefetcht1 | Mnemonic::Prefetchw => {}
            Mnemonic::Mov => self.set_scalar(i, self.scalar(i, 1)),
            Mnemonic::Xchg => {
                let [a, b] = [0, 1].map(|op| gpr(i.op_register(op)));
                self.gprs.swap(a, b);
            }
            Mnemonic::Lea => self.set_scalar(i, self.address(i)),
            Mnemonic::Add => {
                let (sum, carry) = self.scalar(i, 0).overflowing_add(self.scalar(i, 1));
                self.finish(i, sum, carry);
            }
            Mnemonic::Sub => {
                let (difference, borrow) = self.scalar(i, 0).overflowing_sub(self.scalar(i, 1));
                self.finish(i, difference, borrow);
            }
            Mnemonic::Imul => self.set_scalar(i, self.scalar(i, 1).wrapping_mul(self.scalar(i, 2))),
            Mnemonic::And => self.finish(i, self.scalar(i, 0) & self.scalar(i, 1), false),
            Mnemonic::Push => {
                let value = self.scalar(i, 0);
                self.gprs[gpr(Register::RSP)] -= 8;
                memory::write(self.gprs[gpr(Register::RSP)], &value.to_le_bytes());
            }
            Mnemonic::Pop => {
                let value = u64::from_le_bytes(memory::read(self.gprs[gpr(Register::RSP)]));
                self.gprs[gpr(Register::RSP)] += 8;
                self.set_scalar(i, value);
            }
            _ if self.tiles.execute(i, &self.gprs) => {}
            _ => {
                let address = (0..i.op_count()).any(|op| i.op_kind(op) == OpKind::Memory);
                let address = address.then(|| self.address(i));
                self.vectors.execute(i, address, &self.gprs);
            }
        }
        None
    }

    /// Stores the result of 64-bit arithmetic, and sets the flags.
    fn finish(&mut self, i: &Instruction, result: u64, carry: bool) {
        (self.carry, self.zero) = (carry, result == 0);
        self.set_scalar(i, result);
    }

    fn scalar(&self, i: &Instruction, op: u32) -> u64 {
        match i.op_kind(op) {
            OpKind::Register => self.gprs[gpr(i.op_register(op))],
            OpKind::Memory => match i.memory_size().size() {
                4 => u32::from_le_bytes(memory::read(self.address(i))).into(),
                8 => u64::from_le_bytes(memory::read(self.address(i))),
                size => panic!("{i}: {size} bytes"),
            },
            _ => i.immediate(op),
        }
    }

    fn set_scalar(&mut self, i: &Instruction, value: u64) {
        match (i.op0_kind(), i.op0_register()) {
            (OpKind::Register, register) if register.is_gpr32() => {
                self.gprs[gpr(register)] = value & u64::from(u32::MAX);
            }
            (OpKind::Register, register) => self.gprs[gpr(register)] = value,
            (OpKind::Memory, _) => match i.memory_size().size() {
                4 => memory::write(self.address(i), &(value as u32).to_le_bytes()),
                8 => memory::write(self.address(i), &value.to_le_bytes()),
                size => panic!("{i}: {size} bytes"),
            },
            _ => panic!("{i}: unknown operand"),
        }
    }

    fn address(&self, i: &Instruction) -> u64 {
        let value = |register| if register == Register::None { 0 } else { self.gprs[gpr(register)] };
        let index = value(i.memory_index()).wrapping_mul(u64::from(i.memory_index_scale()));
        value(i.memory_base()).wrapping_add(index).wrapping_add(i.memory_displacement64())
    }
}
