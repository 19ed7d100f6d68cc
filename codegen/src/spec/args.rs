//! The argument of micro-kernels.

use std::mem::offset_of;

use crate::packing::LookupTables;

/// The argument of every micro-kernel: `extern "sysv64" fn(*mut KernelArgs)`, or `extern "C"` on AArch64.
///
/// A kernel computes out\[t\]\[r\] for the mr tokens t from `acts` and the nr rows r from `weights`, tile after tile.
/// It overwrites the fields. Strides are in bytes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct KernelArgs {
    /// First block of the first panel of the tile. The loop walks whole row blocks from here.
    pub(crate) weights: *const u8,
    /// First token's row.
    pub(crate) acts: *const i8,
    /// From one token's row to the next.
    pub(crate) act_stride: usize,
    /// Steps of k, at least one.
    pub(crate) steps: usize,
    /// Zero point · Σ a of the first token, followed by the others'.
    pub(crate) zero_points: *const i32,
    /// The factor of the first token, followed by the others'. Integer epilogues do not read it.
    pub(crate) factors: *const f32,
    /// out\[0\]\[0\]: i32 or f32 by the epilogue.
    pub(crate) out: *mut u8,
    /// From one token's outputs to the next.
    pub(crate) out_stride: usize,
    /// Tiles of nr rows, at least one. After each, out moves on by nr elements.
    pub(crate) tiles: usize,
    /// From one tile's weights to the next.
    pub(crate) tile_stride: usize,
    /// From one tile's activations to the next: 0 if tiles are rows, more if they are groups of columns.
    pub(crate) act_tile_stride: usize,
    /// From one tile's zero points to the next, likewise.
    pub(crate) zero_point_tile_stride: usize,
    /// Tables for [`Unpack::Lookup`](super::Unpack::Lookup). Other strategies do not read them.
    pub(crate) tables: *const LookupTables,
}

impl KernelArgs {
    /// Offsets of the pointers that move on with each tile, except `out`, and of their strides.
    pub(crate) const BY_TILE: [(usize, usize); 3] = [
        (offset_of!(Self, weights), offset_of!(Self, tile_stride)),
        (offset_of!(Self, acts), offset_of!(Self, act_tile_stride)),
        (offset_of!(Self, zero_points), offset_of!(Self, zero_point_tile_stride)),
    ];
}
