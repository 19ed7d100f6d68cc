//! The activations of a tile's tokens, loaded chunk by chunk.

use super::{Asm, BYTES, Registers, TOKENS, V};

/// Bytes of a group: the four activations that meet a 32-bit lane of weights.
const GROUP: usize = 4;
/// Groups in a full vector.
const GROUPS: usize = BYTES / GROUP;

/// One vector per token, which holds the token's next groups.
pub(crate) struct Acts(Vec<V>);

impl Acts {
    pub(crate) fn take(tokens: usize, registers: &mut Registers) -> Self {
        Acts(registers.take_many(tokens))
    }

    /// Returns the lane that holds group `index` of the `total` groups of a turn. Loads the vectors
    /// first if this group starts a chunk.
    pub(crate) fn advance(&self, asm: &mut Asm, index: usize, total: usize) -> usize {
        let (start, groups) = chunk(index, total);
        if index == start {
            for (&acts, base) in self.0.iter().zip(TOKENS) {
                asm.ldr_next(acts, base, groups * GROUP);
            }
        }
        index - start
    }

    /// Returns the vector of each token.
    pub(crate) fn vectors(&self) -> &[V] {
        &self.0
    }
}

/// Returns the chunk that holds group `index` of `total`: its first group, and its number of groups.
///
/// A chunk has four groups. The rest of a turn is loaded in chunks of two and one, so that no load
/// reads beyond the activations. For example, 7 groups are loaded as 4, 2 and 1.
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
