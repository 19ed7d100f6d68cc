//! An x86-64 assembler for micro-kernels.
//!
//! dynasm encodes loops, labels and address arithmetic. [`forms`] encodes loads and vector
//! instructions, and [`tiles`] those of AMX.

#![allow(clippy::useless_conversion, reason = "dynasm converts every register number")]

mod forms;
mod registers;
mod tiles;

#[cfg(test)]
mod decoder_tests;

use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm, x64::X64Relocation};

#[cfg(all(test, target_arch = "x86_64"))]
pub(super) use forms::THREE_OPERAND_FORMS;
pub(super) use registers::{Gpr, Mask, Mem, Registers, Tmm, V, Width};

/// A position in the code that jumps can name.
#[derive(Clone, Copy)]
pub(super) struct Label(dynasmrt::DynamicLabel);

/// Collects code, and the marks that a listing shows with it.
pub(super) struct Asm {
    ops: VecAssembler<X64Relocation>,
    encoder: iced_x86::Encoder,
    width: Width,
    marks: Vec<(usize, String)>,
}

impl Asm {
    pub(super) fn new(width: Width) -> Self {
        let (ops, encoder) = (VecAssembler::new(0), iced_x86::Encoder::new(64));
        Asm { ops, encoder, width, marks: Vec::new() }
    }

    /// Returns the number of 128-bit lanes in a vector.
    pub(super) fn lanes(&self) -> usize {
        self.width.bytes() / 16
    }

    /// Adds a mark: a note on the code that starts here.
    pub(super) fn mark(&mut self, text: impl Into<String>) {
        self.marks.push((self.offset(), text.into()));
    }

    /// Returns the number of bytes emitted so far.
    pub(super) fn offset(&self) -> usize {
        self.ops.offset().0
    }

    /// Returns the code and its marks.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<(usize, String)>) {
        let code = self.ops.finalize().expect("every label that is used is bound");
        (code, self.marks)
    }

    pub(super) fn new_label(&mut self) -> Label {
        Label(self.ops.new_dynamic_label())
    }

    pub(super) fn bind(&mut self, label: Label) {
        dynasm!(self.ops ; .arch x64 ; =>label.0);
    }

    /// Jumps if the last subtraction borrowed.
    pub(super) fn jb(&mut self, to: Label) {
        dynasm!(self.ops ; .arch x64 ; jb =>to.0);
    }

    /// Jumps if the last subtraction did not borrow.
    pub(super) fn jae(&mut self, to: Label) {
        dynasm!(self.ops ; .arch x64 ; jae =>to.0);
    }

    /// Jumps if the last result was zero.
    pub(super) fn jz(&mut self, to: Label) {
        dynasm!(self.ops ; .arch x64 ; jz =>to.0);
    }

    /// Jumps if the last result was not zero.
    pub(super) fn jnz(&mut self, to: Label) {
        dynasm!(self.ops ; .arch x64 ; jnz =>to.0);
    }

    pub(super) fn mov_imm32(&mut self, to: Gpr, value: u32) {
        dynasm!(self.ops ; .arch x64 ; mov Rd(to.id()), value as i32);
    }

    pub(super) fn add_imm(&mut self, to: Gpr, value: i32) {
        dynasm!(self.ops ; .arch x64 ; add Rq(to.id()), value);
    }

    pub(super) fn add(&mut self, to: Gpr, value: Gpr) {
        dynasm!(self.ops ; .arch x64 ; add Rq(to.id()), Rq(value.id()));
    }

    pub(super) fn sub_imm(&mut self, from: Gpr, value: i32) {
        dynasm!(self.ops ; .arch x64 ; sub Rq(from.id()), value);
    }

    /// Computes to = base + 3 · stride.
    pub(super) fn lea_three_strides(&mut self, to: Gpr, base: Gpr, stride: Gpr) {
        dynasm!(self.ops ; .arch x64
            ; lea Rq(to.id()), [Rq(base.id()) + 2 * Rq(stride.id())]
            ; add Rq(to.id()), Rq(stride.id())
        );
    }

    /// Opens a stack frame of `bytes` at `rsp`, aligned to 64 bytes.
    ///
    /// It touches every page of the frame in order, so that none is beyond the page that guards the stack.
    pub(super) fn open_frame(&mut self, bytes: i32) {
        const PAGE: i32 = 4096;
        let touched = (bytes - 1) / PAGE;
        dynasm!(self.ops ; .arch x64 ; push rbp ; mov rbp, rsp);
        for _ in 0..touched {
            dynasm!(self.ops ; .arch x64 ; sub rsp, PAGE ; mov DWORD [rsp], 0);
        }
        dynasm!(self.ops ; .arch x64 ; sub rsp, bytes - touched * PAGE ; and rsp, -64);
    }

    pub(super) fn close_frame(&mut self) {
        dynasm!(self.ops ; .arch x64 ; mov rsp, rbp ; pop rbp);
    }

    /// Clears the upper halves of the vector registers, so that SSE code stays fast, and returns.
    pub(super) fn ret(&mut self) {
        dynasm!(self.ops ; .arch x64 ; vzeroupper ; ret);
    }
}
