//! Weight layouts: how ternary codes become the bytes a micro-kernel streams.
//!
//! Every layout is made of 64-byte *blocks*. A block holds the codes of one [panel](PANEL_ROWS) of 16
//! consecutive rows and of one *step* of consecutive k. Its dword `r` belongs to row `r` of the panel, and
//! byte `j` of that dword holds the codes of k = 4·g + j for the step's groups g = 0, 1, …: the four bytes of
//! a dword meet four consecutive activations in a dot-product instruction, one group at a time.
//!
//! `interleave` panels form a *row block*. The blocks of a row block lie step by step, panel by panel, so
//! that a kernel that computes the whole row block reads one contiguous stream.
//!
//! Rows are padded to whole row blocks and k to whole steps with weight 0.
//!
//! Where every group of some columns of a row has a scale of its own, each group is padded to whole steps and followed by
//! one step more, whose dword `r` is the f32 scale of row `r`.

mod groups;
mod lookup;
mod parts;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::blocks::Blocks;
pub(crate) use lookup::{LOOKUP_TABLES, LookupTables};

/// Rows in a panel: the dword lanes of a 512-bit vector. Narrower ISAs read a block in parts.
pub const PANEL_ROWS: usize = 16;

/// Bytes in a block.
pub const BLOCK_BYTES: usize = 64;

/// The largest k for which every packing's 32-bit accumulators are exact.
///
/// The carry-telescoped sum is 256·Σ code·a before its final shift; with codes up to 2 and activations down to
/// -128 it stays within i32 for k ≤ 32 767.
pub const MAX_K: usize = 32_767;

/// How the codes w + [zero point](Packing::zero_point) are put into bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Packing {
    /// Four codes in a byte, group g at bits 2g and 2g + 1.
    Bits2,
    /// Five codes in a byte: v = Σ code_g · 3^(4-g), stored as ⌈256·v / 243⌉, so that repeated multiplication by
    /// three modulo 256 carries out one code after another.
    Trits5,
    /// One code in a byte: for weights of seven bits, such as a quantized output head. Seven, because two products of
    /// an eight-bit code and an activation do not fit the 16-bit pair sums of CPUs without VNNI.
    Bytes,
}

impl Packing {
    /// Every packing.
    pub const ALL: [Packing; 3] = [Packing::Bits2, Packing::Trits5, Packing::Bytes];

    /// Those made for ternary weights.
    pub const TERNARY: [Packing; 2] = [Packing::Bits2, Packing::Trits5];

    /// The weights that can be packed.
    pub const fn weights(self) -> RangeInclusive<i8> {
        match self {
            Packing::Bits2 | Packing::Trits5 => -1..=1,
            Packing::Bytes => -64..=63,
        }
    }

    /// What is added to a weight to make its code, the unsigned operand of a dot product.
    pub const fn zero_point(self) -> i8 {
        match self {
            Packing::Bits2 | Packing::Trits5 => 1,
            Packing::Bytes => 64,
        }
    }

    /// Groups of four k in a step, which is the number of codes in a byte.
    pub const fn groups(self) -> usize {
        match self {
            Packing::Bits2 => 4,
            Packing::Trits5 => 5,
            Packing::Bytes => 1,
        }
    }

    /// Consecutive k in a step.
    pub const fn step(self) -> usize {
        4 * self.groups()
    }

    /// Name in specs and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Packing::Bits2 => "2bit",
            Packing::Trits5 => "1.6bit",
            Packing::Bytes => "bytes",
        }
    }

    /// The four bytes of one row and step, as those of a dword, from its codes, group by group likewise; groups that
    /// the packing lacks are ignored.
    #[inline(always)]
    fn encode(self, [a, b, c, d, e]: [u32; 5]) -> u32 {
        /// ⌈256·v / 243⌉.
        const STORED: [u8; 256] = {
            let (mut table, mut v) = ([0; 256], 0);
            while v < 243 {
                table[v] = (256 * v).div_ceil(243) as u8;
                v += 1;
            }
            table
        };
        match self {
            Packing::Bits2 => a | b << 2 | c << 4 | d << 6,
            Packing::Trits5 => {
                // No byte exceeds 242, so none carries into its neighbour.
                let v = 3 * (3 * (3 * (3 * a + b) + c) + d) + e;
                u32::from_le_bytes(v.to_le_bytes().map(|v| STORED[usize::from(v)]))
            }
            Packing::Bytes => a,
        }
    }

    /// The code of group `group` in `byte`.
    pub(crate) const fn decode(self, byte: u8, group: usize) -> u8 {
        match self {
            Packing::Bits2 => byte >> (2 * group) & 3,
            Packing::Trits5 => {
                let carried_out = byte.wrapping_mul(3u8.pow(group as u32));
                ((carried_out as u16 * 3) >> 8) as u8
            }
            Packing::Bytes => byte,
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no [`Packing`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown packing {0:?}: expected 2bit, 1.6bit or bytes")]
pub struct UnknownPacking(pub String);

impl FromStr for Packing {
    type Err = UnknownPacking;

    fn from_str(name: &str) -> Result<Self, UnknownPacking> {
        Packing::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| UnknownPacking(name.to_owned()))
    }
}

/// A packing and the number of panels in a row block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layout {
    /// How codes are put into bytes.
    pub packing: Packing,
    /// Panels in a row block: one of [`Layout::INTERLEAVES`].
    pub interleave: usize,
}

impl Layout {
    /// The row-block sizes, in panels, that kernels are written for.
    pub const INTERLEAVES: [usize; 4] = [1, 2, 4, 8];

    /// Rows in a row block.
    pub const fn block_rows(self) -> usize {
        self.interleave * PANEL_ROWS
    }

    /// Steps that cover `k`.
    pub const fn steps(self, k: usize) -> usize {
        k.div_ceil(self.packing.step())
    }

    /// Row blocks that cover `n` rows.
    pub const fn row_blocks(self, n: usize) -> usize {
        n.div_ceil(self.block_rows())
    }

    /// Bytes of a packed n × k matrix.
    pub const fn bytes(self, n: usize, k: usize) -> usize {
        self.row_blocks(n) * self.steps(k) * self.interleave * BLOCK_BYTES
    }

    /// Index of the block of `panel` (of the whole matrix) at `step`.
    pub(crate) const fn block_index(self, panel: usize, step: usize, steps: usize) -> usize {
        (panel / self.interleave * steps + step) * self.interleave + panel % self.interleave
    }
}

/// Packed bytes of one panel and one step, aligned as vector loads like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Block(pub [u8; BLOCK_BYTES]);

/// Why weights cannot be packed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The slice is not n × k.
    #[error("{found} weights given for a {n} x {k} matrix")]
    Length {
        /// Rows.
        n: usize,
        /// Columns.
        k: usize,
        /// Length of the slice.
        found: usize,
    },
    /// An empty matrix, or one wider than [`MAX_K`].
    #[error("cannot pack a {n} x {k} matrix: n must be at least 1 and k between 1 and {MAX_K}")]
    Shape {
        /// Rows.
        n: usize,
        /// Columns.
        k: usize,
    },
    /// A weight that the packing does not hold.
    #[error("weight {value} at row {row}, column {column} is none that a {packing} matrix can hold")]
    Weight {
        /// The packing.
        packing: Packing,
        /// Row of the weight.
        row: usize,
        /// Column of the weight.
        column: usize,
        /// Its value.
        value: i8,
    },
    /// An interleave outside [`Layout::INTERLEAVES`].
    #[error("{0} panels in a row block: expected 1, 2, 4 or 8")]
    Interleave(usize),
}

impl PackError {
    /// The same error in a matrix that has `rows` more rows above.
    fn below(self, rows: usize) -> Self {
        match self {
            PackError::Weight { packing, row, column, value } => {
                PackError::Weight { packing, row: rows + row, column, value }
            }
            other => other,
        }
    }
}

/// A matrix W of n rows and k columns in a [`Layout`], and the scale of its products or of each group of columns.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    layout: Layout,
    n: usize,
    k: usize,
    scale: f32,
    group_size: Option<usize>,
    blocks: Blocks,
}

impl PackedMatrix {
    /// Packs row-major `weights` (n × k, each one of [`Packing::weights`]) with scale 1.
    ///
    /// # Errors
    /// See [`PackError`].
    pub fn pack(layout: Layout, n: usize, k: usize, weights: &[i8]) -> Result<Self, PackError> {
        Self::fill(layout, n, k, |blocks| {
            if n.checked_mul(k) != Some(weights.len()) {
                return Err(PackError::Length { n, k, found: weights.len() });
            }
            let rows = weights.chunks(layout.block_rows() * k);
            let blocks = blocks.chunks_exact_mut(layout.row_block_len(k));
            let mut parts = rows.zip(blocks).enumerate();
            parts.try_for_each(|(i, (rows, blocks))| {
                layout.pack_rows(k, rows, blocks).map_err(|error| error.below(i * layout.block_rows()))
            })
        })
    }

    /// The same matrix with its products multiplied by `scale`.
    pub fn with_scale(self, scale: f32) -> Self {
        PackedMatrix { scale, ..self }
    }

    /// The row-major weights, n × k.
    pub fn unpack(&self) -> Vec<i8> {
        (0..self.n).flat_map(|row| self.row(row)).collect()
    }

    /// The k weights of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = i8> + use<'_> {
        let (packing, step) = (self.layout.packing, self.layout.packing.step());
        let (width, stride) = (self.width(), self.group_steps());
        (0..self.k).map(move |column| {
            let (group, column) = (column / width, column % width);
            let block = self.block(row / PANEL_ROWS, group * stride + column / step);
            let within = column % step;
            packing.decode(block.0[row % PANEL_ROWS * 4 + within % 4], within / 4) as i8
                - packing.zero_point()
        })
    }

    /// Layout of the bytes.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Rows: output features.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Columns: input features.
    pub fn k(&self) -> usize {
        self.k
    }

    /// What f32 epilogues multiply with, beside the token's factor.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Steps along k, or along each group.
    pub fn steps(&self) -> usize {
        self.layout.steps(self.width())
    }

    /// Size of the packed form.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Whole row blocks.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The block of `panel` at `step`.
    fn block(&self, panel: usize, step: usize) -> &Block {
        &self.blocks[self.layout.block_index(panel, step, self.groups() * self.group_steps())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layouts() -> impl Iterator<Item = Layout> {
        Packing::ALL.into_iter().flat_map(|packing| {
            Layout::INTERLEAVES.into_iter().map(move |interleave| Layout { packing, interleave })
        })
    }

    #[test]
    fn five_trits_survive_their_byte() {
        for v in 0..243u32 {
            let digits: [u8; 5] = std::array::from_fn(|g| (v / 3u32.pow(4 - g as u32) % 3) as u8);
            let [byte, ..] =
                Packing::Trits5.encode(digits.map(|digit| u32::from_le_bytes([digit; 4]))).to_le_bytes();
            let back: [u8; 5] = std::array::from_fn(|g| Packing::Trits5.decode(byte, g));
            assert_eq!(back, digits, "v = {v}");
        }
    }

    #[test]
    fn unpack_inverts_pack() {
        for layout in layouts() {
            for (n, k) in [(1, 1), (3, 17), (16, 20), (17, 16), (130, 83)] {
                let weights: Vec<i8> = (0..n * k).map(|i| (i * i % 7 % 3) as i8 - 1).collect();
                let packed = PackedMatrix::pack(layout, n, k, &weights).unwrap();
                assert_eq!(packed.unpack(), weights, "{layout:?} {n}x{k}");
            }
        }
    }

    #[test]
    fn a_known_block() {
        // Row 0 holds -1 at k = 0 and +1 at k = 4; all else is 0, which is code 1.
        let mut weights = [0i8; 16];
        (weights[0], weights[4]) = (-1, 1);
        let layout = Layout { packing: Packing::Bits2, interleave: 1 };
        let packed = PackedMatrix::pack(layout, 1, 16, &weights).unwrap();
        assert_eq!(packed.bytes(), 64);
        assert_eq!(packed.block(0, 0).0[..5], [0b01_01_10_00, 0x55, 0x55, 0x55, 0x55]);
    }

    #[test]
    fn bad_weights_are_refused() {
        let layout = Layout { packing: Packing::Bits2, interleave: 1 };
        let pack = |n, k, w: &[i8]| PackedMatrix::pack(layout, n, k, w).unwrap_err();
        assert_eq!(
            pack(1, 3, &[0, 0, 2]),
            PackError::Weight { packing: Packing::Bits2, row: 0, column: 2, value: 2 }
        );
        assert_eq!(pack(2, 2, &[0; 3]), PackError::Length { n: 2, k: 2, found: 3 });
        assert_eq!(pack(0, 2, &[]), PackError::Shape { n: 0, k: 2 });
        assert_eq!(pack(1, MAX_K + 1, &[]), PackError::Shape { n: 1, k: MAX_K + 1 });
    }
}
