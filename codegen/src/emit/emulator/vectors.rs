//! Vectors of 256 and 512 bits, and their masks.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::{gpr, memory};

const BYTES: usize = 64;

/// The bytes of a vector register. Narrower vectors leave the upper bytes 0.
type Vector = [u8; BYTES];

pub(super) struct Vectors {
    registers: [Vector; 32],
    masks: [u64; 8],
}

impl Default for Vectors {
    fn default() -> Self {
        Vectors { registers: [[0xEE; BYTES]; 32], masks: [0; 8] }
    }
}

impl Vectors {
    /// Executes one vector instruction. Its memory operand, if there is one, is at `address`.
    pub(super) fn execute(&mut self, i: &Instruction, address: Option<u64>, gprs: &[u64; 16]) {
        use Mnemonic as M;
        let operand = |op| self.operand(i, op, address);
        let (a, b) = (|| operand(1), || operand(2));
        let result = match i.mnemonic() {
            M::Vzeroupper => {
                self.registers[..16].iter_mut().for_each(|register| register[16..].fill(0));
                return;
            }
            M::Knotq => {
                self.masks[i.op0_register().number()] = !self.masks[i.op1_register().number()];
                return;
            }
            M::Vpmovb2m => return self.set_mask(i, a().map(|byte| byte >= 128)),
            // The comparison 5 is: not less.
            M::Vpcmpub if i.immediate8() == 5 => {
                let (a, b) = (a(), b());
                return self.set_mask(i, std::array::from_fn(|at| a[at] >= b[at]));
            }
            M::Vmovdqu | M::Vmovdqu8 | M::Vmovdqu32 => match (i.op0_kind(), address) {
                (OpKind::Memory, Some(address)) => {
                    assert_eq!(i.op_mask(), Register::None, "{i}: masked store");
                    return memory::write(address, &a()[..i.op1_register().size()]);
                }
                _ => a(),
            },
            M::Vmovd => {
                let mut value = [0; BYTES];
                value[..4].copy_from_slice(&(gprs[gpr(i.op1_register())] as u32).to_le_bytes());
                value
            }
            M::Vpbroadcastd => {
                let lane = match (address, i.op1_register()) {
                    (Some(address), _) => memory::read::<4>(address),
                    (_, register) if register.is_gpr32() => (gprs[gpr(register)] as u32).to_le_bytes(),
                    _ => *a().first_chunk().expect("a vector has four bytes"),
                };
                std::array::from_fn(|at| lane[at % 4])
            }
            M::Vpxor | M::Vpxord => bytes(a(), b(), |a, b| a ^ b),
            M::Vpand | M::Vpandd => bytes(a(), b(), |a, b| a & b),
            M::Vbroadcasti128 | M::Vbroadcasti32x4 => {
                let lane = memory::read::<16>(address.expect("only loads are emulated"));
                std::array::from_fn(|at| lane[at % 16])
            }
            M::Vinserti128 | M::Vinserti32x4 => {
                let lane = memory::read::<16>(address.expect("only loads are emulated"));
                let mut vector = a();
                vector[16 * usize::from(i.immediate8())..][..16].copy_from_slice(&lane);
                vector
            }
            M::Vpunpckldq => interleaved::<4>(a(), b(), 0),
            M::Vpunpckhdq => interleaved::<4>(a(), b(), 8),
            M::Vpunpcklqdq => interleaved::<8>(a(), b(), 0),
            M::Vpunpckhqdq => interleaved::<8>(a(), b(), 8),
            M::Vpunpcklbw => interleaved::<1>(a(), b(), 0),
            M::Vpunpckhbw => interleaved::<1>(a(), b(), 8),
            M::Vpunpcklwd => interleaved::<2>(a(), b(), 0),
            M::Vpunpckhwd => interleaved::<2>(a(), b(), 8),
            M::Vpaddb => bytes(a(), b(), u8::wrapping_add),
            M::Vpcmpgtb => bytes(a(), b(), |a, b| if a as i8 > b as i8 { 0xFF } else { 0 }),
            M::Vpabsb => a().map(|a| (a as i8).unsigned_abs()),
            M::Vpermi2b => {
                let (indices, tables) = (operand(0), [a(), b()]);
                indices.map(|index| tables[usize::from(index >> 6 & 1)][usize::from(index & 63)])
            }
            M::Vpaddw => words(a(), b(), i16::wrapping_add),
            M::Vpmaddubsw => {
                let (a, b) = (a(), b());
                lanes(|at| {
                    let product = |at: usize| i32::from(a[at]) * i32::from(b[at] as i8);
                    let sum = product(at) + product(at + 1);
                    (sum.clamp(i16::MIN.into(), i16::MAX.into()) as i16).to_le_bytes()
                })
            }
            M::Vpmaddwd => {
                let (a, b) = (a(), b());
                lanes(|at| {
                    let word = |bytes: &Vector, at| i32::from(i16::from_le_bytes([bytes[at], bytes[at + 1]]));
                    let product = |at| word(&a, at) * word(&b, at);
                    product(at).wrapping_add(product(at + 2)).to_le_bytes()
                })
            }
            M::Vpdpbusd => {
                let (sums, a, b) = (operand(0), a(), b());
                lanes(|at| {
                    let product = |at: usize| i32::from(a[at]) * i32::from(b[at] as i8);
                    (at..at + 4).map(product).fold(dword(&sums, at), i32::wrapping_add).to_le_bytes()
                })
            }
            M::Vpaddd => dwords(a(), b(), i32::wrapping_add),
            M::Vpsubd => dwords(a(), b(), i32::wrapping_sub),
            M::Vpsrld => shifted(a(), |lane| (lane as u32 >> i.immediate8()) as i32),
            M::Vpsrad => shifted(a(), |lane| lane >> i.immediate8()),
            M::Vcvtdq2ps => shifted(a(), |lane| (lane as f32).to_bits() as i32),
            M::Vmulps => {
                let float = |bits: i32| f32::from_bits(bits as u32);
                dwords(a(), b(), |a, b| (float(a) * float(b)).to_bits() as i32)
            }
            _ => panic!("{i}: not emulated"),
        };
        self.set(i, result);
    }

    fn operand(&self, i: &Instruction, op: u32, address: Option<u64>) -> Vector {
        assert!(!i.is_broadcast(), "{i}: broadcast operands are not emulated");
        if i.op_kind(op) == OpKind::Register {
            return self.registers[i.op_register(op).number()];
        }
        let address = address.expect("the operand is in memory");
        let mut vector = [0; BYTES];
        match i.memory_size().size() {
            32 => vector[..32].copy_from_slice(&memory::read::<32>(address)),
            64 => vector = memory::read(address),
            size => panic!("{i}: {size} bytes"),
        }
        vector
    }

    /// Writes the first operand. Only instructions on bytes have masks.
    fn set(&mut self, i: &Instruction, mut result: Vector) {
        let (register, mask) = (i.op0_register(), i.op_mask());
        let target = &mut self.registers[register.number()];
        if mask != Register::None {
            assert!(
                matches!(i.mnemonic(), Mnemonic::Vmovdqu8 | Mnemonic::Vpaddb | Mnemonic::Vpermi2b),
                "{i}"
            );
            let mask = self.masks[mask.number()];
            for at in (0..BYTES).filter(|at| mask >> at & 1 == 0) {
                result[at] = if i.zeroing_masking() { 0 } else { target[at] };
            }
        }
        result[register.size()..].fill(0);
        *target = result;
    }

    fn set_mask(&mut self, i: &Instruction, bits: [bool; BYTES]) {
        let mask = bits.iter().enumerate().fold(0, |mask, (at, &bit)| mask | u64::from(bit) << at);
        self.masks[i.op0_register().number()] = mask;
    }
}

/// Returns a vector of lanes of `N` bytes. `lane` gets the offset of each lane.
fn lanes<const N: usize>(lane: impl Fn(usize) -> [u8; N]) -> Vector {
    let mut vector = [0; BYTES];
    vector.as_chunks_mut().0.iter_mut().enumerate().for_each(|(index, out)| *out = lane(index * N));
    vector
}

/// Interleaves lanes of `N` bytes: from each 16 bytes, the eight that start at `first`.
fn interleaved<const N: usize>(a: Vector, b: Vector, first: usize) -> Vector {
    std::array::from_fn(|at| {
        let (lane, within) = (at % 16 / N, at % N);
        let from = if lane % 2 == 0 { &a } else { &b };
        from[at / 16 * 16 + first + lane / 2 * N + within]
    })
}

fn dword(vector: &Vector, at: usize) -> i32 {
    i32::from_le_bytes(std::array::from_fn(|byte| vector[at + byte]))
}

fn bytes(a: Vector, b: Vector, f: impl Fn(u8, u8) -> u8) -> Vector {
    std::array::from_fn(|at| f(a[at], b[at]))
}

fn words(a: Vector, b: Vector, f: impl Fn(i16, i16) -> i16) -> Vector {
    let word = |vector: &Vector, at| i16::from_le_bytes([vector[at], vector[at + 1]]);
    lanes(|at| f(word(&a, at), word(&b, at)).to_le_bytes())
}

fn dwords(a: Vector, b: Vector, f: impl Fn(i32, i32) -> i32) -> Vector {
    lanes(|at| f(dword(&a, at), dword(&b, at)).to_le_bytes())
}

fn shifted(a: Vector, f: impl Fn(i32) -> i32) -> Vector {
    lanes(|at| f(dword(&a, at)).to_le_bytes())
}
