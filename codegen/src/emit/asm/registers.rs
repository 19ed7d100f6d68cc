//! Registers that cannot be out of range.

/// Vector width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// 16 registers of 256 bits (VEX).
    Ymm,
    /// 32 registers of 512 bits (EVEX).
    Zmm,
}

impl Width {
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Width::Ymm => 32,
            Width::Zmm => 64,
        }
    }

    pub(crate) const fn registers(self) -> usize {
        match self {
            Width::Ymm => 16,
            Width::Zmm => 32,
        }
    }
}

/// A vector register of the assembler's width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct V(u8);

impl V {
    pub(super) const fn id(self) -> u8 {
        self.0
    }
}

/// Hands out the vector registers of one kernel.
pub(crate) struct Registers {
    width: Width,
    taken: u8,
}

impl Registers {
    pub(crate) fn new(width: Width) -> Self {
        Registers { width, taken: 0 }
    }

    /// Takes the next free register.
    ///
    /// # Panics
    /// Panics if no register is free. A validated spec always fits the register file.
    pub(crate) fn take(&mut self) -> V {
        assert!(
            usize::from(self.taken) < self.width.registers(),
            "the spec needs more registers than there are"
        );
        self.taken += 1;
        V(self.taken - 1)
    }

    pub(crate) fn take_many(&mut self, count: usize) -> Vec<V> {
        (0..count).map(|_| self.take()).collect()
    }

    pub(crate) fn taken(&self) -> usize {
        usize::from(self.taken)
    }
}

/// A mask register. `k0` is not among them, because it cannot be a write mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    K1 = 1,
    K2 = 2,
}

/// A tile register of AMX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tmm(u8);

impl Tmm {
    pub(crate) const COUNT: usize = 8;

    /// Returns the register `id`.
    ///
    /// # Panics
    /// Panics if there is no such register.
    pub(crate) const fn new(id: usize) -> Self {
        assert!(id < Self::COUNT);
        Tmm(id as u8)
    }

    pub(super) const fn id(self) -> u8 {
        self.0
    }
}

/// A general-purpose register that a System V callee may clobber, or the stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gpr {
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rsp = 4,
    Rsi = 6,
    Rdi = 7,
    R8 = 8,
    R9 = 9,
    R10 = 10,
    R11 = 11,
}

impl Gpr {
    pub(super) const fn id(self) -> u8 {
        self as u8
    }
}

/// An address: base + index · scale + disp.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mem {
    pub(super) base: Gpr,
    pub(super) index: Option<(Gpr, u8)>,
    pub(super) disp: i32,
}

impl Mem {
    pub(crate) const fn at(base: Gpr, disp: i32) -> Self {
        Mem { base, index: None, disp }
    }

    /// Returns base + strides · stride + disp, for 0, 1 or 2 strides.
    pub(crate) fn strided(base: Gpr, stride: Gpr, strides: usize, disp: i32) -> Self {
        let index = match strides {
            0 => None,
            1 => Some((stride, 1)),
            2 => Some((stride, 2)),
            _ => unreachable!("a base register serves three tokens"),
        };
        Mem { base, index, disp }
    }
}
