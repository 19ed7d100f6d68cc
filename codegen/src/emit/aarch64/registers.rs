//! Registers that cannot be out of range.

/// A 128-bit vector register, `v0` to `v31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct V(u8);

impl V {
    /// Number of vector registers.
    pub(crate) const COUNT: usize = 32;
    /// Number of registers that a callee may clobber. The lower halves of `v8` to `v15` belong to the
    /// caller (AAPCS64, 6.1.2).
    pub(crate) const VOLATILE: usize = 24;

    /// Returns the register that a kernel takes as number `n`: the volatile registers come first.
    pub(super) fn nth(n: usize) -> V {
        match n {
            0..8 => V(n as u8),
            8..24 => V(n as u8 + 8),
            24..32 => V(n as u8 - 16),
            _ => panic!("there are {} vector registers", V::COUNT),
        }
    }

    pub(super) const fn id(self) -> u8 {
        self.0
    }
}

/// Hands out the vector registers of one kernel.
#[derive(Default)]
pub(crate) struct Registers {
    taken: usize,
}

impl Registers {
    /// Takes the next free register.
    ///
    /// # Panics
    /// Panics if no register is free. A validated spec always fits the register file.
    pub(crate) fn take(&mut self) -> V {
        self.taken += 1;
        V::nth(self.taken - 1)
    }

    pub(crate) fn take_many(&mut self, count: usize) -> Vec<V> {
        (0..count).map(|_| self.take()).collect()
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken
    }
}

/// A 64-bit register that a callee may clobber, `x0` to `x17`. `x18` belongs to the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct X(u8);

impl X {
    /// Returns register `x{n}`.
    ///
    /// # Panics
    /// Panics if a callee may not clobber the register.
    pub(crate) const fn new(n: u8) -> X {
        assert!(n < 18, "a callee may clobber x0 to x17");
        X(n)
    }

    pub(super) const fn id(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_register_is_taken_once_and_the_callers_last() {
        let registers = Registers::default().take_many(V::COUNT);
        let mut ids: Vec<u8> = registers.iter().map(|v| v.id()).collect();
        assert!(ids[V::VOLATILE..].iter().eq(&[8, 9, 10, 11, 12, 13, 14, 15]));
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..32));
    }
}
