//! Activations on their way through the loop.

use super::{Asm, BYTES, Registers, TOKENS, V};

/// Bytes of a group: the activations that meet a dword of weights.
const GROUP: usize = 4;
/// Groups in a whole vector.
const GROUPS: usize = BYTES / GROUP;

/// One vector for each token, which holds the groups that come next.
pub(crate) struct Acts(Vec<V>);

impl Acts {
    pub(crate) fn take(tokens: usize, registers: &mut Registers) -> Self {
        Acts(registers.take_many(tokens))
    }

    /// Loads vectors if group `index` of the turn's `total` is the first of a chunk, and gives the lane that holds it.
    pub(crate) fn advance(&self, asm: &mut Asm, index: usize, total: usize) -> usize {
        let (start, groups) = chunk(index, total);
        if index == start {
            for (&acts, base) in self.0.iter().zip(TOKENS) {
                asm.ldr_next(acts, base, groups * GROUP);
            }
        }
        index - start
    }

    /// Each token's vector.
    pub(crate) fn vectors(&self) -> &[V] {
        &self.0
    }
}

/// The first group of the chunk in which group `index` of `total` is loaded, and the chunk's groups: four, or what the
/// last vector of a turn has left, in powers of two so that nothing behind it is read.
fn chunk(index: usize, total: usize) -> (usize, usize) {
    let vector = index / GROUPS * GROUPS;
    match total - vector {
        left @ 1..=2 => (vector, left),
        3 if index < vector + 2 => (vector, 2),
        3 => (vector + 2, 1),
        _ => (vector, GROUPS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_group_once_in_order() {
        for total in 1..=80 {
            let mut next = 0;
            for index in 0..total {
                let (start, groups) = chunk(index, total);
                assert!((start..start + groups).contains(&index) && start + groups <= total);
                if index == start {
                    assert_eq!(start, next);
                    next += groups;
                }
            }
            assert_eq!(next, total);
        }
    }
}
