//! Weight layouts: how codes become the bytes that a micro-kernel streams.
//!
//! Every layout is made of 64-byte *blocks*. A block holds the codes of one [panel](PANEL_ROWS) of 16
//! consecutive rows and of one *step* of consecutive k. Its dword `r` belongs to row `r` of the panel. Byte `j` of
//! that dword holds the codes of k = 4·g + j for the step's groups g = 0, 1, …. A dot-product instruction multiplies
//! the four bytes of a dword with four consecutive activations, one group at a time.
//!
//! `interleave` panels form a *row block*. Its blocks lie step by step, panel by panel. So a kernel that computes the
//! whole row block reads one contiguous stream.
//!
//! Rows are padded to whole row blocks and k to whole steps with weight 0.
//!
//! If every group of columns in a row has its own scale, each group is padded to whole steps. One more step follows it:
//! its dword `r` is the f32 scale of row `r`.
//!
//! A packing is one row and one arm in this file, and one file, which holds its `Codec`.

pub(crate) mod bits2;
pub(crate) mod bits4;
pub(crate) mod bytes;
mod codec;
mod error;
mod groups;
mod layout;
mod lookup;
mod matrix;
mod parts;
pub(crate) mod trits5;

use std::ops::RangeInclusive;

pub(crate) use codec::Codec;
use codec::Row;
pub use error::PackError;
pub use layout::Layout;
pub(crate) use lookup::{LOOKUP_TABLES, LookupTables};
pub use matrix::PackedMatrix;

use crate::table::table;

/// Rows in a panel: the dword lanes of a 512-bit vector. Narrower ISAs read a block in parts.
pub const PANEL_ROWS: usize = 16;

/// Bytes in a block.
pub const BLOCK_BYTES: usize = 64;

/// The largest k for which every packing's 32-bit accumulators are exact.
///
/// The carry-telescoped sum is 256·Σ code·a before its final shift. With codes up to 2 and activations down to -128 it
/// fits i32 for k ≤ 32 767.
pub const MAX_K: usize = 32_767;

table! {
    /// How the codes w + [zero point](Packing::zero_point) become bytes.
    pub enum Packing: Row
    where
        table = PACKINGS,
        error = UnknownPacking: |name: &str| UnknownPacking(name.to_owned()),
    {
        /// Four codes in a byte: group g has bits 2g and 2g + 1.
        Bits2 => Row::of::<bits2::Bits2>(),
        /// Five codes in a byte: v = Σ code_g · 3^(4-g), stored as ⌈256·v / 243⌉. So repeated multiplication by three
        /// modulo 256 carries out one code after another.
        Trits5 => Row::of::<trits5::Trits5>(),
        /// Two codes in a byte, for weights of four bits, such as the high plane of an output head's copy.
        Bits4 => Row::of::<bits4::Bits4>(),
        /// One code in a byte, for weights of seven bits, and for ternary weights that were unpacked.
        ///
        /// With codes of eight bits, two products would not fit the 16-bit pair sums of CPUs without VNNI.
        Bytes => Row::of::<bytes::Bytes>(),
    }
}

/// Evaluates an expression with the codec of a packing as a type.
macro_rules! with_codec {
    ($packing:expr, $C:ident => $body:expr) => {
        match $packing {
            $crate::packing::Packing::Bits2 => {
                type $C = $crate::packing::bits2::Bits2;
                $body
            }
            $crate::packing::Packing::Trits5 => {
                type $C = $crate::packing::trits5::Trits5;
                $body
            }
            $crate::packing::Packing::Bits4 => {
                type $C = $crate::packing::bits4::Bits4;
                $body
            }
            $crate::packing::Packing::Bytes => {
                type $C = $crate::packing::bytes::Bytes;
                $body
            }
        }
    };
}
pub(crate) use with_codec;

impl Packing {
    /// The packings for ternary weights.
    pub const TERNARY: [Packing; 2] = [Packing::Bits2, Packing::Trits5];

    /// Returns the range of weights.
    pub const fn weights(self) -> RangeInclusive<i8> {
        let (least, greatest) = self.row().weights;
        least..=greatest
    }

    /// Returns the number that turns a weight into its code, the unsigned operand of a dot product, by addition.
    pub const fn zero_point(self) -> i8 {
        self.row().zero_point
    }

    /// Returns the groups of four k in a step. It is the number of codes in a byte.
    pub const fn groups(self) -> usize {
        self.row().groups
    }

    /// Returns the bits of a code, where each code of a byte has bits of its own.
    pub(crate) const fn code_bits(self) -> usize {
        8 / self.groups()
    }

    /// Returns the number of pair sums that fit an `i16`. A pair sum is two products of a code and an activation, at least
    /// 2 · code · -128.
    pub(crate) const fn pair_sums(self) -> usize {
        let greatest = self.row().weights.1 + self.row().zero_point;
        32_768 / (2 * 128 * greatest as usize)
    }

    /// Returns the consecutive k in a step.
    pub const fn step(self) -> usize {
        4 * self.groups()
    }

    /// Returns the code of group `group` in `byte`.
    pub(crate) fn decode(self, byte: u8, group: usize) -> u8 {
        with_codec!(self, C => C::decode(byte, group))
    }
}

/// An unknown packing name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown packing {0:?}: expected 2bit, 1.6bit, 4bit or bytes")]
pub struct UnknownPacking(pub String);

/// Packed bytes of one panel and one step, aligned for vector loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Block(pub [u8; BLOCK_BYTES]);
