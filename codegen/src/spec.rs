//! What a micro-kernel is: the key of every cache, the symbol in a profile, the name in a listing.

use std::fmt;
use std::mem::offset_of;
use std::str::FromStr;

use crate::emit;
use crate::isa::Isa;
use crate::packing::{Layout, LookupTables, PANEL_ROWS, Packing};

/// The register block: m tokens × n weight rows, and the steps of k in one turn of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Tokens, 1 to [`Tile::MAX_MR`].
    pub mr: usize,
    /// Weight rows, a multiple of [`PANEL_ROWS`] that divides the layout's row block.
    pub nr: usize,
    /// Steps in one turn of the k loop, 1 to [`Tile::MAX_KU`].
    pub ku: usize,
}

impl Tile {
    /// The most tokens that the kernels' address registers can follow.
    pub const MAX_MR: usize = 15;
    /// The most rows: the widest row block.
    pub const MAX_NR: usize = 8 * PANEL_ROWS;
    /// The longest unrolling.
    pub const MAX_KU: usize = 16;

    /// Panels of weight rows.
    pub const fn panels(self) -> usize {
        self.nr / PANEL_ROWS
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}n{}u{}", self.mr, self.nr, self.ku)
    }
}

impl FromStr for Tile {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let bad = || SpecError::Syntax { part: "tile", text: text.to_owned(), expected: "m1n64u2" };
        let (mr, rest) = text.strip_prefix('m').and_then(|t| t.split_once('n')).ok_or_else(bad)?;
        let (nr, ku) = rest.split_once('u').unwrap_or((rest, "1"));
        let number = |t: &str| t.parse().map_err(|_| bad());
        Ok(Tile { mr: number(mr)?, nr: number(nr)?, ku: number(ku)? })
    }
}

/// How packed bytes become operands of the dot product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unpack {
    /// 2-bit: mask each plane in place and give it an accumulator of its own, shifted down once after the loop.
    Planes,
    /// 2-bit: shift each plane down and mask it, for one accumulator.
    Shift,
    /// 2-bit: mask one plane in place in each of four passes over k, the highest first, and shift the sums down between
    /// them. One accumulator and one instruction, but the weights are read four times, from cache.
    Turns,
    /// 1.6-bit: no extraction. Two accumulators of the running bytes, whose difference telescopes to the sum.
    Telescope,
    /// 1.6-bit: extract each trit by comparing the running byte with 86 and 171.
    Extract,
    /// 1.6-bit: look the byte up in two tables, of its first four codes in two bits each and of its fifth.
    Lookup,
    /// Bytes: they are the codes.
    Direct,
    /// Ternary, for many tokens: unpack a tile's rows into bytes, in memory that stays in cache, and multiply all tokens
    /// with these. The micro-kernel is that of [`Unpack::Direct`], but may gather more products of such small codes.
    Once,
}

impl Unpack {
    /// Every strategy.
    pub const ALL: [Unpack; 8] = [
        Unpack::Planes,
        Unpack::Shift,
        Unpack::Turns,
        Unpack::Telescope,
        Unpack::Extract,
        Unpack::Lookup,
        Unpack::Direct,
        Unpack::Once,
    ];

    /// The packings that the strategy reads.
    pub const fn packings(self) -> &'static [Packing] {
        match self {
            Unpack::Planes | Unpack::Shift | Unpack::Turns => &[Packing::Bits2],
            Unpack::Telescope | Unpack::Extract | Unpack::Lookup => &[Packing::Trits5],
            Unpack::Direct => &[Packing::Bytes],
            Unpack::Once => &Packing::TERNARY,
        }
    }

    /// Accumulators per vector of rows and token.
    pub const fn accumulators(self) -> usize {
        match self {
            Unpack::Planes => 4,
            Unpack::Telescope => 2,
            _ => 1,
        }
    }

    /// Passes over k, each of which takes its share of a step's groups.
    pub const fn passes(self) -> usize {
        match self {
            Unpack::Turns => 4,
            _ => 1,
        }
    }

    /// Name in specs.
    pub const fn name(self) -> &'static str {
        match self {
            Unpack::Planes => "planes",
            Unpack::Shift => "shift",
            Unpack::Turns => "turns",
            Unpack::Telescope => "telescope",
            Unpack::Extract => "extract",
            Unpack::Lookup => "lookup",
            Unpack::Direct => "direct",
            Unpack::Once => "once",
        }
    }
}

impl fmt::Display for Unpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Unpack {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let known = Unpack::ALL.into_iter().find(|unpack| unpack.name() == text);
        known.ok_or_else(|| syntax("unpack strategy", text, "planes"))
    }
}

/// What may be tuned beside the tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Schedule {
    /// How bytes become operands.
    pub unpack: Unpack,
    /// Bytes between a weight load and the software prefetch issued with it; 0 for none.
    pub prefetch: usize,
}

impl Schedule {
    /// The longest prefetch distance.
    pub const MAX_PREFETCH: usize = 1 << 16;
}

/// What becomes of the integer dot products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Epilogue {
    /// Σ w·a, as i32.
    I32,
    /// (Σ w·a as f32) · (scale of the matrix · factor of the token): one conversion, two multiplications.
    F32,
}

impl Epilogue {
    /// Both.
    pub const ALL: [Epilogue; 2] = [Epilogue::I32, Epilogue::F32];

    /// Name in specs.
    pub const fn name(self) -> &'static str {
        match self {
            Epilogue::I32 => "i32",
            Epilogue::F32 => "f32",
        }
    }
}

impl FromStr for Epilogue {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let known = Epilogue::ALL.into_iter().find(|epilogue| epilogue.name() == text);
        known.ok_or_else(|| syntax("epilogue", text, "f32"))
    }
}

/// Everything that determines a micro-kernel's code.
///
/// Written as `isa/packing/xINTERLEAVE/TILE/unpack/pPREFETCH/epilogue`, for example
/// `avx512-vnni/2bit/x4/m1n64u2/planes/p8192/f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelSpec {
    /// Instruction set.
    pub isa: Isa,
    /// Layout of the weights it reads.
    pub layout: Layout,
    /// Register block.
    pub tile: Tile,
    /// Unpacking and prefetch.
    pub schedule: Schedule,
    /// What is stored.
    pub epilogue: Epilogue,
}

/// Why a spec names no kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A part of the text cannot be read.
    #[error("kernel spec: {part} {text:?} cannot be read, expected for example {expected}")]
    Syntax {
        /// Part of the spec.
        part: &'static str,
        /// What was found.
        text: String,
        /// An example of the right form.
        expected: &'static str,
    },
    /// A number outside its range.
    #[error("kernel spec: {part} is {found}, allowed are {allowed}")]
    Range {
        /// Part of the spec.
        part: &'static str,
        /// What was found.
        found: usize,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The tile's rows do not divide the row block.
    #[error("kernel spec: {nr} rows do not divide the layout's row block of {block_rows} rows")]
    Rows {
        /// Rows of the tile.
        nr: usize,
        /// Rows of a row block.
        block_rows: usize,
    },
    /// The strategy is for another packing, or the family does not have it.
    #[error("kernel spec: {isa} kernels cannot read {packing} weights with strategy {unpack}")]
    Strategy {
        /// Instruction set.
        isa: Isa,
        /// Packing of the layout.
        packing: Packing,
        /// Strategy asked for.
        unpack: Unpack,
    },
    /// The tile does not fit the register file.
    #[error("kernel spec: tile {tile} needs {needed} vector registers, {isa} has {available}")]
    Registers {
        /// Instruction set.
        isa: Isa,
        /// The tile.
        tile: Tile,
        /// Registers that it takes.
        needed: usize,
        /// Registers that there are.
        available: usize,
    },
}

/// What cannot be read, and an example of what can.
fn syntax(part: &'static str, text: &str, expected: &'static str) -> SpecError {
    SpecError::Syntax { part, text: text.to_owned(), expected }
}

impl KernelSpec {
    /// Whether a kernel can be emitted for the spec, on whatever host.
    ///
    /// # Errors
    /// See [`SpecError`].
    pub fn validate(&self) -> Result<(), SpecError> {
        let Tile { mr, nr, ku } = self.tile;
        let range = |ok: bool, part, found, allowed| {
            if ok { Ok(()) } else { Err(SpecError::Range { part, found, allowed }) }
        };
        let interleave = self.layout.interleave;
        range(Layout::INTERLEAVES.contains(&interleave), "interleave", interleave, "1, 2, 4, 8")?;
        range((1..=Tile::MAX_MR).contains(&mr), "tokens (m)", mr, "1 to 15")?;
        range(nr > 0 && nr.is_multiple_of(PANEL_ROWS), "rows (n)", nr, "multiples of 16")?;
        range((1..=Tile::MAX_KU).contains(&ku), "unroll (u)", ku, "1 to 16")?;
        let prefetch = self.schedule.prefetch;
        range(prefetch <= Schedule::MAX_PREFETCH, "prefetch", prefetch, "0 to 65536 bytes")?;
        if nr > self.layout.block_rows() || !self.layout.block_rows().is_multiple_of(nr) {
            return Err(SpecError::Rows { nr, block_rows: self.layout.block_rows() });
        }
        let family = emit::family(self.isa);
        let (isa, packing, unpack) = (self.isa, self.layout.packing, self.schedule.unpack);
        if !family.strategies(packing).any(|strategy| strategy == unpack) {
            return Err(SpecError::Strategy { isa, packing, unpack });
        }
        let needed = (family.registers_needed)(&self.micro_kernel());
        if needed > family.registers {
            return Err(SpecError::Registers { isa, tile: self.tile, needed, available: family.registers });
        }
        Ok(())
    }

    /// What the machine code is made for: the spec itself, or the kernel that reads what [`Unpack::Once`] unpacked, whose
    /// row block is the tile and whose turns are as long in k.
    pub fn micro_kernel(&self) -> Self {
        match self.schedule.unpack {
            Unpack::Once => KernelSpec {
                layout: Layout { packing: Packing::Bytes, interleave: self.tile.panels() },
                tile: Tile { ku: self.tile.ku * self.layout.packing.groups(), ..self.tile },
                ..*self
            },
            _ => *self,
        }
    }

    /// The same kernel for `mr` tokens.
    pub fn with_tokens(mut self, mr: usize) -> Self {
        self.tile.mr = mr;
        self
    }
}

impl fmt::Display for KernelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KernelSpec { isa, layout, tile, schedule, epilogue } = self;
        let Layout { packing, interleave } = layout;
        let Schedule { unpack, prefetch } = schedule;
        write!(f, "{isa}/{packing}/x{interleave}/{tile}/{unpack}/p{prefetch}/{}", epilogue.name())
    }
}

impl FromStr for KernelSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let parts: Vec<&str> = text.split('/').collect();
        let [isa, packing, interleave, tile, unpack, prefetch, epilogue] = parts[..] else {
            return Err(syntax("text", text, "avx512-vnni/2bit/x4/m1n64u2/planes/p8192/f32"));
        };
        let number = |part, prefix, text: &str, expected| {
            let digits = text.strip_prefix(prefix).ok_or_else(|| syntax(part, text, expected))?;
            digits.parse::<usize>().map_err(|_| syntax(part, text, expected))
        };
        let spec = KernelSpec {
            isa: isa.parse().map_err(|_| syntax("isa", isa, "avx2"))?,
            layout: Layout {
                packing: packing.parse().map_err(|_| syntax("packing", packing, "2bit"))?,
                interleave: number("interleave", 'x', interleave, "x4")?,
            },
            tile: tile.parse()?,
            schedule: Schedule {
                unpack: unpack.parse()?,
                prefetch: number("prefetch", 'p', prefetch, "p8192")?,
            },
            epilogue: epilogue.parse()?,
        };
        spec.validate()?;
        Ok(spec)
    }
}

/// The one argument of every micro-kernel, `extern "sysv64" fn(*mut KernelArgs)`, or `extern "C"` on AArch64, which the
/// kernel uses up.
///
/// A kernel computes out\[t\]\[r\] for the mr tokens t from `acts` and the nr rows r from `weights`, tile after tile;
/// strides are in bytes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct KernelArgs {
    /// First block of the first panel of the tile; the loop walks whole row blocks from here.
    pub(crate) weights: *const u8,
    /// First token's row.
    pub(crate) acts: *const i8,
    /// From one token's row to the next.
    pub(crate) act_stride: usize,
    /// Steps of k, at least one.
    pub(crate) steps: usize,
    /// Zero point · Σ a of the first token, followed by the others'.
    pub(crate) zero_points: *const i32,
    /// What the first token's sums are multiplied with, followed by the others'. Not read by integer epilogues.
    pub(crate) factors: *const f32,
    /// out\[0\]\[0\]: i32 or f32 by the epilogue.
    pub(crate) out: *mut u8,
    /// From one token's outputs to the next.
    pub(crate) out_stride: usize,
    /// Tiles of nr rows, at least one; out moves on by nr elements with each.
    pub(crate) tiles: usize,
    /// From one tile's weights to the next.
    pub(crate) tile_stride: usize,
    /// From one tile's activations to the next: none, unless tiles are groups of columns instead of rows.
    pub(crate) act_tile_stride: usize,
    /// From one tile's zero points to the next, likewise.
    pub(crate) zero_point_tile_stride: usize,
    /// Tables that [`Unpack::Lookup`] reads. Not read by other strategies.
    pub(crate) tables: *const LookupTables,
}

impl KernelArgs {
    /// The offsets of what moves on with each tile beside `out`, and of by how much.
    pub(crate) const BY_TILE: [(usize, usize); 3] = [
        (offset_of!(Self, weights), offset_of!(Self, tile_stride)),
        (offset_of!(Self, acts), offset_of!(Self, act_tile_stride)),
        (offset_of!(Self, zero_points), offset_of!(Self, zero_point_tile_stride)),
    ];
}
