//! Rows of a ternary matrix as bytes, one code each. [`Unpack::Once`](crate::Unpack::Once) and
//! [`Unpack::Tiles`](crate::Unpack::Tiles) multiply with them.

use std::cell::Cell;

use multiversion::multiversion;

use crate::packing::{BLOCK_BYTES, Block, Codec, Layout, Packing, with_codec};
use crate::view::View;

/// Unpacks `panels` panels, starting with `first`, into one row block, and passes them to `multiply`.
///
/// The steps are padded to a multiple of `multiple` with any bytes. Their activations are 0.
pub(crate) fn with_unpacked(
    weights: View<'_>,
    first: usize,
    panels: usize,
    multiple: usize,
    multiply: impl FnOnce(View<'_>),
) {
    thread_local! {
        /// The buffer of all calls of a thread. So it stays in the core's cache.
        static ROWS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
    }
    let packing = weights.layout.packing;
    let steps = (weights.steps * packing.groups()).next_multiple_of(multiple);
    let mut rows = ROWS.take();
    let group_len = (steps + weights.group_steps() - weights.steps) * panels;
    rows.resize(weights.groups * group_len, Block([0; BLOCK_BYTES]));
    let mut packed = weights.row_block(first, panels);
    for rows in rows.chunks_exact_mut(group_len) {
        let (rows, scales) = rows.split_at_mut(steps * panels);
        let packed_rows = packed.by_ref().take(weights.steps);
        match panels {
            1 => unpack::<1>(packing, packed_rows, rows.as_chunks_mut().0),
            2 => unpack::<2>(packing, packed_rows, rows.as_chunks_mut().0),
            4 => unpack::<4>(packing, packed_rows, rows.as_chunks_mut().0),
            8 => unpack::<8>(packing, packed_rows, rows.as_chunks_mut().0),
            _ => unreachable!("a valid tile divides its row block"),
        }
        if weights.is_grouped {
            packed.next().into_iter().for_each(|packed| scales.copy_from_slice(packed));
        }
    }
    let layout = Layout { packing: Packing::Bytes, interleave: panels };
    multiply(View { layout, steps, blocks: &rows, ..weights });
    ROWS.set(rows);
}

/// Unpacks steps of panels. A step fills one of `rows` for each of its groups.
#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512bw", "x86_64+avx+avx2"))]
fn unpack<'a, const PANELS: usize>(
    packing: Packing,
    packed: impl Iterator<Item = &'a [Block]>,
    rows: &mut [[Block; PANELS]],
) {
    with_codec!(packing, C => {
        for (packed, rows) in packed.zip(rows.as_chunks_mut().0) {
            spread::<C, { C::GROUPS }, PANELS>(packed, rows);
        }
    });
}

/// Writes the codes of every group of one step.
///
/// The inner loop passes over a whole block, so that it becomes vector code, also where the compiler checks for overflow.
#[inline(always)]
fn spread<C: Codec, const GROUPS: usize, const PANELS: usize>(
    packed: &[Block],
    groups: &mut [[Block; PANELS]; GROUPS],
) {
    for (panel, &Block(mut rest)) in packed.iter().enumerate() {
        for group in &mut *groups {
            for (code, rest) in group[panel].0.iter_mut().zip(&mut rest) {
                (*code, *rest) = C::split(*rest);
            }
        }
    }
}
