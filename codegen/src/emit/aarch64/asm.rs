//! An AArch64 assembler for micro-kernels: dynasm, with registers that cannot be out of range.
//!
//! [`i8mm`](super::i8mm) adds an instruction that dynasm lacks.

#![allow(clippy::useless_conversion, reason = "dynasm converts every register number")]

use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, aarch64::Aarch64Relocation, dynasm};

use super::registers::{V, X};

/// A position in the code that jumps can name.
#[derive(Clone, Copy)]
pub(crate) struct Label(dynasmrt::DynamicLabel);

/// Collects code, and the marks that a listing shows with it.
pub(crate) struct Asm {
    ops: VecAssembler<Aarch64Relocation>,
    marks: Vec<(usize, String)>,
}

/// Defines methods `name(d, n, m)`, each with the lane arrangements of its three registers.
macro_rules! three_register_forms {
    ($($(#[$doc:meta])* $name:ident = $mnemonic:tt $d:tt $n:tt $m:tt;)*) => {
        impl Asm {
            $(
                $(#[$doc])*
                pub(crate) fn $name(&mut self, d: V, n: V, m: V) {
                    dynasm!(self.ops ; .arch aarch64 ; $mnemonic V(d.id()).$d, V(n.id()).$n, V(m.id()).$m);
                }
            )*
        }

        #[cfg(test)]
        pub(super) type ThreeRegisterForm = (&'static str, [&'static str; 3], fn(&mut Asm, V, V, V));

        /// Mnemonic, arrangements and method of every form, for the test that decodes them.
        #[cfg(test)]
        pub(super) const THREE_REGISTER_FORMS: &[ThreeRegisterForm] = &[
            $((stringify!($mnemonic), [stringify!($d), stringify!($n), stringify!($m)], Asm::$name)),*
        ];
    };
}

three_register_forms! {
    /// Bitwise and.
    and = and b16 b16 b16;
    /// Bitwise exclusive or.
    eor = eor b16 b16 b16;
    /// The lower 8 bits of the products of bytes.
    mul_b = mul b16 b16 b16;
    /// (n + m) / 2 of unsigned bytes, rounded down. The sum cannot overflow.
    uhadd_b = uhadd b16 b16 b16;
    /// Products of the lower eight signed bytes, in 16-bit lanes.
    smull = smull h8 b8 b8;
    /// Products of the upper eight signed bytes, in 16-bit lanes.
    smull2 = smull2 h8 b16 b16;
    /// Adds the products of the lower eight signed bytes to 16-bit lanes.
    smlal = smlal h8 b8 b8;
    /// Adds the products of the upper eight signed bytes to 16-bit lanes.
    smlal2 = smlal2 h8 b16 b16;
    /// Sums of adjacent 16-bit lanes: those of n, then those of m.
    addp_h = addp h8 h8 h8;
    add_s = add s4 s4 s4;
    sub_s = sub s4 s4 s4;
    fmul_s = fmul s4 s4 s4;
    /// The lower two 32-bit lanes of n and m, interleaved.
    zip1_s = zip1 s4 s4 s4;
    /// The upper two 32-bit lanes of n and m, interleaved.
    zip2_s = zip2 s4 s4 s4;
    /// The lower halves of n and m.
    zip1_d = zip1 d2 d2 d2;
    /// The upper halves of n and m.
    zip2_d = zip2 d2 d2 d2;
    /// The 32-bit lanes 0 and 2 of n, then of m.
    uzp1_s = uzp1 s4 s4 s4;
    /// The 32-bit lanes 1 and 3 of n, then of m.
    uzp2_s = uzp2 s4 s4 s4;
}

impl Asm {
    pub(crate) fn new() -> Self {
        Asm { ops: VecAssembler::new(0), marks: Vec::new() }
    }

    /// Adds a mark: a note on the code that starts here.
    pub(crate) fn mark(&mut self, text: impl Into<String>) {
        self.marks.push((self.offset(), text.into()));
    }

    /// Returns the number of bytes emitted so far.
    pub(crate) fn offset(&self) -> usize {
        self.ops.offset().0
    }

    /// Returns the code and its marks.
    pub(crate) fn finish(self) -> (Vec<u8>, Vec<(usize, String)>) {
        let code = self.ops.finalize().expect("every label that is used is bound and near");
        (code, self.marks)
    }

    pub(crate) fn new_label(&mut self) -> Label {
        Label(self.ops.new_dynamic_label())
    }

    pub(crate) fn bind(&mut self, label: Label) {
        dynasm!(self.ops ; .arch aarch64 ; =>label.0);
    }

    /// Emits an instruction that dynasm does not know.
    pub(super) fn word(&mut self, word: u32) {
        self.ops.push_u32(word);
    }

    /// Branches if the last subtraction borrowed.
    pub(crate) fn b_lo(&mut self, to: Label) {
        dynasm!(self.ops ; .arch aarch64 ; b.lo =>to.0);
    }

    /// Branches if the last subtraction did not borrow.
    pub(crate) fn b_hs(&mut self, to: Label) {
        dynasm!(self.ops ; .arch aarch64 ; b.hs =>to.0);
    }

    /// Branches if the last result that set flags was zero.
    pub(crate) fn b_eq(&mut self, to: Label) {
        dynasm!(self.ops ; .arch aarch64 ; b.eq =>to.0);
    }

    /// Branches if the last result that set flags was not zero.
    pub(crate) fn b_ne(&mut self, to: Label) {
        dynasm!(self.ops ; .arch aarch64 ; b.ne =>to.0);
    }

    pub(crate) fn ret(&mut self) {
        dynasm!(self.ops ; .arch aarch64 ; ret);
    }

    pub(crate) fn mov_imm(&mut self, to: X, value: u32) {
        dynasm!(self.ops ; .arch aarch64 ; movz X(to.id()), value & 0xFFFF);
        if value > 0xFFFF {
            dynasm!(self.ops ; .arch aarch64 ; movk X(to.id()), value >> 16, lsl 16);
        }
    }

    pub(crate) fn add(&mut self, to: X, a: X, b: X) {
        dynasm!(self.ops ; .arch aarch64 ; add X(to.id()), X(a.id()), X(b.id()));
    }

    /// Adds up to 4095.
    pub(crate) fn add_imm(&mut self, to: X, value: u32) {
        dynasm!(self.ops ; .arch aarch64 ; add XSP(to.id()), XSP(to.id()), value);
    }

    /// Adds up to 4095 and sets the flags.
    pub(crate) fn adds_imm(&mut self, to: X, value: u32) {
        dynasm!(self.ops ; .arch aarch64 ; adds X(to.id()), XSP(to.id()), value);
    }

    /// Subtracts up to 4095 and sets the flags.
    pub(crate) fn subs_imm(&mut self, from: X, value: u32) {
        dynasm!(self.ops ; .arch aarch64 ; subs X(from.id()), XSP(from.id()), value);
    }

    /// Loads 64 bits from `base` + `offset`. `offset` is a multiple of 8.
    pub(crate) fn ldr_x(&mut self, to: X, base: X, offset: u32) {
        dynasm!(self.ops ; .arch aarch64 ; ldr X(to.id()), [X(base.id()), offset]);
    }

    /// Stores 64 bits at `base` + `offset`. `offset` is a multiple of 8.
    pub(crate) fn str_x(&mut self, from: X, base: X, offset: u32) {
        dynasm!(self.ops ; .arch aarch64 ; str X(from.id()), [X(base.id()), offset]);
    }

    /// Prefetches the line at `base` + `offset` into every cache level.
    pub(crate) fn prfm(&mut self, base: X, offset: X) {
        const PLDL1KEEP: u32 = 0;
        dynasm!(self.ops ; .arch aarch64 ; prfm PLDL1KEEP, [X(base.id()), X(offset.id())]);
    }

    /// Loads two vectors and advances `base` past them.
    pub(crate) fn ldp_next(&mut self, first: V, second: V, base: X) {
        dynasm!(self.ops ; .arch aarch64 ; ldp Q(first.id()), Q(second.id()), [X(base.id())], 32);
    }

    /// Loads 16, 8 or 4 bytes into the low end of `d`, clears the rest, and advances `base` past them.
    pub(crate) fn ldr_next(&mut self, d: V, base: X, bytes: usize) {
        match bytes {
            16 => dynasm!(self.ops ; .arch aarch64 ; ldr Q(d.id()), [X(base.id())], 16),
            8 => dynasm!(self.ops ; .arch aarch64 ; ldr D(d.id()), [X(base.id())], 8),
            4 => dynasm!(self.ops ; .arch aarch64 ; ldr S(d.id()), [X(base.id())], 4),
            _ => unreachable!("no load of {bytes} bytes"),
        }
    }

    /// Copies the 32 bits at `base` to every lane and advances `base` past them.
    pub(crate) fn ld1r_next(&mut self, d: V, base: X) {
        dynasm!(self.ops ; .arch aarch64 ; ld1r {V(d.id()).s4 * 1}, [X(base.id())], 4);
    }

    /// Stores a vector at `base` + `offset`. `offset` is a multiple of 16.
    pub(crate) fn str_q(&mut self, s: V, base: X, offset: u32) {
        dynasm!(self.ops ; .arch aarch64 ; str Q(s.id()), [X(base.id()), offset]);
    }

    /// Saves the lower halves of `v8` to `v15` on the stack.
    pub(crate) fn save_callers_vectors(&mut self) {
        dynasm!(self.ops ; .arch aarch64
            ; stp d8, d9, [sp, -64]!
            ; stp d10, d11, [sp, 16]
            ; stp d12, d13, [sp, 32]
            ; stp d14, d15, [sp, 48]
        );
    }

    /// Undoes [`Asm::save_callers_vectors`].
    pub(crate) fn restore_callers_vectors(&mut self) {
        dynasm!(self.ops ; .arch aarch64
            ; ldp d10, d11, [sp, 16]
            ; ldp d12, d13, [sp, 32]
            ; ldp d14, d15, [sp, 48]
            ; ldp d8, d9, [sp], 64
        );
    }

    pub(crate) fn zero(&mut self, d: V) {
        self.byte_constant(d, 0);
    }

    /// Copies `byte` to all 16 lanes.
    pub(crate) fn byte_constant(&mut self, d: V, byte: u8) {
        dynasm!(self.ops ; .arch aarch64 ; movi V(d.id()).b16, u32::from(byte));
    }

    /// Copies all of `n`.
    pub(crate) fn mov(&mut self, d: V, n: V) {
        dynasm!(self.ops ; .arch aarch64 ; mov V(d.id()).b16, V(n.id()).b16);
    }

    /// Copies the 32-bit lane `lane` of `n` to every lane.
    pub(crate) fn dup_s(&mut self, d: V, n: V, lane: usize) {
        dynasm!(self.ops ; .arch aarch64 ; dup V(d.id()).s4, V(n.id()).s[lane as u32]);
    }

    /// Logical right shift of bytes by 1 to 8.
    pub(crate) fn ushr_b(&mut self, d: V, n: V, bits: u32) {
        dynasm!(self.ops ; .arch aarch64 ; ushr V(d.id()).b16, V(n.id()).b16, bits);
    }

    /// Arithmetic right shift of 32-bit lanes by 1 to 32.
    pub(crate) fn sshr_s(&mut self, d: V, n: V, bits: u32) {
        dynasm!(self.ops ; .arch aarch64 ; sshr V(d.id()).s4, V(n.id()).s4, bits);
    }

    /// Adds the sums of adjacent 16-bit lanes of `n` to the 32-bit lanes of `d`.
    pub(crate) fn sadalp_h(&mut self, d: V, n: V) {
        dynasm!(self.ops ; .arch aarch64 ; sadalp V(d.id()).s4, V(n.id()).h8);
    }

    /// Converts 32-bit integers to f32, rounding to nearest.
    pub(crate) fn scvtf_s(&mut self, d: V, n: V) {
        dynasm!(self.ops ; .arch aarch64 ; scvtf V(d.id()).s4, V(n.id()).s4);
    }

    /// ARMv8.2 dotprod: adds dot products of four signed bytes to the 32-bit lanes of `d`.
    ///
    /// Each lane of `n` is multiplied by the one lane `lane` of `m`.
    pub(crate) fn sdot_lane(&mut self, d: V, n: V, m: V, lane: usize) {
        dynasm!(self.ops ; .arch aarch64
            ; sdot V(d.id()).s4, V(n.id()).b16, V(m.id()).b4[lane as u32]);
    }
}
