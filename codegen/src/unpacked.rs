//! Rows of a ternary matrix as bytes, a code each: what [`Unpack::Once`](crate::Unpack::Once) multiplies with.

use std::cell::Cell;

use multiversion::multiversion;

use crate::packing::{BLOCK_BYTES, Block, Layout, Packing};
use crate::view::View;

/// Unpacks the `panels` panels from `first` on, into one row block, and hands them to `multiply`.
pub(crate) fn with_unpacked(weights: View<'_>, first: usize, panels: usize, multiply: impl FnOnce(View<'_>)) {
    thread_local! {
        /// Kept from call to call, so that it stays in this core's cache.
        static ROWS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
    }
    let packing = weights.layout.packing;
    let steps = weights.steps * packing.groups();
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

/// Every step of the packed panels becomes as many of `rows` as it has groups.
#[multiversion(targets("x86_64+avx+avx2+avx512f+avx512bw", "x86_64+avx+avx2"))]
fn unpack<'a, const PANELS: usize>(
    packing: Packing,
    packed: impl Iterator<Item = &'a [Block]>,
    rows: &mut [[Block; PANELS]],
) {
    match packing {
        Packing::Bits2 => {
            for (packed, rows) in packed.zip(rows.as_chunks_mut().0) {
                spread::<4, PANELS>(packed, rows, |byte| (byte & 3, byte >> 2));
            }
        }
        Packing::Trits5 => {
            // ⌊3·f / 256⌋ is 1 from 86 on and 2 from 171 on.
            let code = |f: u8| f.saturating_sub(85).min(1) + f.saturating_sub(170).min(1);
            for (packed, rows) in packed.zip(rows.as_chunks_mut().0) {
                spread::<5, PANELS>(packed, rows, |byte| (code(byte), byte.wrapping_mul(3)));
            }
        }
        Packing::Bytes => packed.zip(rows).for_each(|(packed, rows)| rows.copy_from_slice(packed)),
    }
}

/// Writes the codes of every group of one step: `split` takes the next one from a byte.
#[inline(always)]
fn spread<const GROUPS: usize, const PANELS: usize>(
    packed: &[Block],
    groups: &mut [[Block; PANELS]; GROUPS],
    split: impl Fn(u8) -> (u8, u8),
) {
    for (panel, &Block(bytes)) in packed.iter().enumerate() {
        for (i, mut rest) in bytes.into_iter().enumerate() {
            for group in &mut *groups {
                (group[panel].0[i], rest) = split(rest);
            }
        }
    }
}
