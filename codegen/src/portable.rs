//! The micro-kernels' contract in plain Rust over the same packed bytes: the family that runs everywhere.

use crate::activations::Activations;
use crate::columns::{Element, TileMut};
use crate::emit::Family;
use crate::isa::Isa;
use crate::packing::{BLOCK_BYTES, Block, PANEL_ROWS, Packing};
use crate::spec::{Tile, Unpack};
use crate::view::View;

pub(crate) const FAMILY: Family = Family {
    isa: Isa::Portable,
    registers: 1,
    unpacks: &[Unpack::Shift, Unpack::Extract, Unpack::Direct],
    packing: Packing::Bits2,
    interleave: 1,
    registers_needed: |_| 1,
    rows_at_once: |spec| spec.tile.nr,
    emit: None,
};

/// Computes `panels` panels from `panel` on for the tokens of `out`, the first of which is `token`; group by group of
/// columns, side by side.
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
        let mut sums = [[0i32; BLOCK_BYTES]; Tile::MAX_MR];
        let sums = &mut sums[..out.tokens()];
        for step in 0..weights.steps {
            let block = weights.block(panel + p % panels, group, step);
            add_step(weights.layout.packing, block, acts, first, step, sums);
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

/// Adds code · activation of one step to the sum of each byte position; `first` is the first token's row.
fn add_step(
    packing: Packing,
    block: &Block,
    acts: &Activations,
    first: usize,
    step: usize,
    sums: &mut [[i32; BLOCK_BYTES]],
) {
    let mut bytes = block.0;
    let mut codes = [[0i16; BLOCK_BYTES]; 5];
    let codes = &mut codes[..packing.groups()];
    for codes in codes.iter_mut() {
        for (code, byte) in codes.iter_mut().zip(&mut bytes) {
            (*code, *byte) = match packing {
                Packing::Bits2 => (i16::from(*byte & 3), *byte >> 2),
                Packing::Trits5 => (((u16::from(*byte) * 3) >> 8) as i16, byte.wrapping_mul(3)),
                Packing::Bytes => (i16::from(*byte), 0),
            };
        }
    }
    for (t, sums) in sums.iter_mut().enumerate() {
        let acts = &acts.row(first + t)[step * packing.step()..][..packing.step()];
        // At most five products of 2 · -128, or one of 127 · -128, meet in one position.
        let mut products = [0i16; BLOCK_BYTES];
        for (codes, acts) in codes.iter().zip(acts.chunks_exact(4)) {
            let acts: [i16; BLOCK_BYTES] = std::array::from_fn(|i| i16::from(acts[i % 4]));
            for ((product, code), act) in products.iter_mut().zip(codes).zip(&acts) {
                *product += code * act;
            }
        }
        for (sum, product) in sums.iter_mut().zip(products) {
            *sum += i32::from(product);
        }
    }
}
