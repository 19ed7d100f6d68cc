//! The portable family: the contract of micro-kernels in plain Rust, for the same packed bytes, on every CPU.

use crate::activations::Activations;
use crate::columns::{Element, TileMut};
use crate::emit::{Family, Frame};
use crate::isa::Isa;
use crate::packing::{BLOCK_BYTES, Block, Codec, PANEL_ROWS, Packing, with_codec};
use crate::spec::Unpack;
use crate::view::View;

pub(crate) const FAMILY: Family = Family {
    isa: Isa::Portable,
    name: "portable",
    architecture: None,
    features: &[],
    dot: None,
    folds: false,
    dot_cost: |_| 1.0,
    registers: 1,
    unpacks: &[Unpack::Shift, Unpack::Extract, Unpack::Direct],
    packing: Packing::Bits2,
    interleave: 1,
    frame: Frame {
        registers_needed: |_| 1,
        rows_at_once: |spec| spec.tile.nr,
        emit: None,
        sparse: None,
        reads: Vec::new,
        dots: None,
    },
};

/// Computes `panels` panels from `panel` on for the tokens of `out`. The first token is `token`. The results of groups of
/// columns lie side by side.
pub(crate) fn run<T: Element>(
    weights: View<'_>,
    panel: usize,
    panels: usize,
    acts: &Activations,
    token: usize,
    factors: &[f32],
    out: &mut TileMut<'_, T>,
) {
    for p in 0..weights.groups * panels {
        let (group, first) = (p / panels, p / panels * acts.tokens() + token);
        let mut sums = [[0i32; BLOCK_BYTES]; Unpack::Direct.most_tokens()];
        let sums = &mut sums[..out.tokens()];
        for step in 0..weights.steps {
            let block = weights.block(panel + p % panels, group, step);
            with_codec!(weights.layout.packing, C => add_step::<C>(block, acts, first, step, sums));
        }
        for (t, sums) in sums.iter().enumerate() {
            let zero_point = i32::from(weights.zero_point) * acts.sums()[first + t];
            let rows = &mut out.row_mut(t)[p * PANEL_ROWS..][..PANEL_ROWS];
            for (row, lanes) in rows.iter_mut().zip(sums.chunks_exact(4)) {
                *row = T::finish(lanes.iter().sum::<i32>() - zero_point, factors[t]);
            }
        }
    }
}

/// Adds code · activation of one step to the sum of each byte position. `first` is the first token's row.
fn add_step<C: Codec>(
    block: &Block,
    acts: &Activations,
    first: usize,
    step: usize,
    sums: &mut [[i32; BLOCK_BYTES]],
) {
    let mut bytes = block.0;
    let mut codes = [[0i16; BLOCK_BYTES]; 5];
    let codes = &mut codes[..C::GROUPS];
    for codes in codes.iter_mut() {
        for (code, byte) in codes.iter_mut().zip(&mut bytes) {
            let (next, rest) = C::split(*byte);
            (*code, *byte) = (i16::from(next), rest);
        }
    }
    for (t, sums) in sums.iter_mut().enumerate() {
        let acts = &acts.row(first + t)[step * 4 * C::GROUPS..][..4 * C::GROUPS];
        // At most five products of 2 · -128, two of 15 · -128, or one of 127 · -128 meet in one position, so nothing wraps.
        // Without checks for overflow the loops become vector code in every profile.
        let mut products = [0i16; BLOCK_BYTES];
        for (codes, acts) in codes.iter().zip(acts.as_chunks::<4>().0) {
            let acts = [acts.map(i16::from); BLOCK_BYTES / 4];
            for ((product, code), act) in products.iter_mut().zip(codes).zip(acts.as_flattened()) {
                *product = product.wrapping_add(code.wrapping_mul(*act));
            }
        }
        for (sum, product) in sums.iter_mut().zip(products) {
            *sum = sum.wrapping_add(i32::from(product));
        }
    }
}
