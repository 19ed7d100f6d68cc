//! What tests of both orders multiply, and the plain sums that they expect.

use super::ColumnGemm;
use crate::emit::FAMILIES;
use crate::packing::PANEL_ROWS;
use crate::spec::KernelSpec;

/// Returns specs for many tokens of every family that skips, with each number of panels.
pub(super) fn specs() -> impl Iterator<Item = KernelSpec> {
    let families = FAMILIES.iter().filter(|family| ColumnGemm::exists_for(family.isa));
    families.flat_map(|family| {
        let panels = [1, 2, 4].into_iter().filter(|panels| family.interleave.is_multiple_of(*panels));
        panels.map(|panels| {
            let (isa, interleave, nr) = (family.isa, family.interleave, panels * PANEL_ROWS);
            format!("{isa}/1.6bit/x{interleave}/m2n{nr}u1/once/p0/i32").parse().unwrap()
        })
    })
}

/// Returns n × k ternary weights.
pub(super) fn weights(n: usize, k: usize) -> Vec<i8> {
    (0..n * k).map(|i| (i * i % 13 % 3) as i8 - 1).collect()
}

/// Returns Σ (weight + offset) · activation.
pub(super) fn product(weights: &[i8], acts: &[i8], offset: i32) -> i32 {
    weights.iter().zip(acts).map(|(weight, act)| (i32::from(*weight) + offset) * i32::from(*act)).sum()
}
