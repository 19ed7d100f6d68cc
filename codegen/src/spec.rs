//! Kernel specs: the key of every cache, the symbol in a profile, the name in a listing.

mod args;
mod error;
mod prefetch;
mod tile;
mod unpack;

use std::fmt;
use std::str::FromStr;

pub(crate) use args::KernelArgs;
pub use error::SpecError;
use error::syntax;
pub use prefetch::Prefetch;
pub use tile::Tile;
pub(crate) use unpack::TILE_STEPS;
pub use unpack::Unpack;

use crate::emit;
use crate::isa::{Architecture, Isa};
use crate::packing::{Layout, PANEL_ROWS, Packing};
use crate::table::table;

/// The tunable parts of a kernel besides the tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Schedule {
    /// How bytes become operands.
    pub unpack: Unpack,
    /// Prefetches of the weights.
    pub prefetch: Prefetch,
}

table! {
    /// The result that a kernel stores for each integer dot product.
    pub enum Epilogue: Named
    where
        table = EPILOGUES,
        error = SpecError: |name: &str| syntax("epilogue", name, "f32"),
    {
        /// Σ w·a, as i32.
        I32 => Named { name: "i32" },
        /// (Σ w·a as f32) · (scale of the matrix · factor of the token): one conversion, two multiplications.
        F32 => Named { name: "f32" },
    }
}

/// A row without facts.
pub(crate) struct Named {
    name: &'static str,
}

/// Everything that determines a micro-kernel's code.
///
/// Written as `isa/packing/xINTERLEAVE/TILE/unpack/pPREFETCH/epilogue`, for example
/// `avx512-vnni/2bit/x4/m1n64u2/planes/p8192/f32`.
///
/// ```
/// use tercet_codegen::{Isa, KernelSpec};
///
/// let spec: KernelSpec = "avx512-vnni/2bit/x4/m1n64u2/planes/p8192/f32".parse()?;
/// assert_eq!((spec.isa, spec.tile.to_string().as_str()), (Isa::Avx512Vnni, "m1n64u2"));
/// assert!("avx2/2bit/x1/m99n16u1/shift/p0/f32".parse::<KernelSpec>().is_err());
/// # Ok::<(), tercet_codegen::SpecError>(())
/// ```
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
    /// Stored result.
    pub epilogue: Epilogue,
}

impl KernelSpec {
    /// Checks that a kernel can be emitted for the spec, on any host.
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
        let most_tokens = self.schedule.unpack.most_tokens();
        range((1..=most_tokens).contains(&mr), "tokens (m)", mr, "1 to 15, or to 48 with tiles")?;
        range(nr > 0 && nr.is_multiple_of(PANEL_ROWS), "rows (n)", nr, "multiples of 16")?;
        range((1..=Tile::MAX_KU).contains(&ku), "unroll (u)", ku, "1 to 16")?;
        let Prefetch { near, far } = self.schedule.prefetch;
        range(near <= Prefetch::MAX, "prefetch", near, "0 to 65536 bytes")?;
        let far_is_emitted = far == 0 || emit::family(self.isa).architecture == Some(Architecture::X86_64);
        range(far <= Prefetch::MAX && far_is_emitted, "far prefetch", far, "0 to 65536 bytes on x86-64")?;
        if nr > self.layout.block_rows() || !self.layout.block_rows().is_multiple_of(nr) {
            return Err(SpecError::Rows { nr, block_rows: self.layout.block_rows() });
        }
        let family = emit::family(self.isa);
        let (isa, packing, unpack) = (self.isa, self.layout.packing, self.schedule.unpack);
        if !family.strategies(packing).any(|strategy| strategy == unpack) {
            return Err(SpecError::Strategy { isa, packing, unpack });
        }
        let needed = (family.frame.registers_needed)(&self.micro_kernel());
        if needed > family.registers {
            return Err(SpecError::Registers { isa, tile: self.tile, needed, available: family.registers });
        }
        Ok(())
    }

    /// Returns the spec of the machine code.
    ///
    /// For most strategies it is the spec itself. [`Unpack::Once`] and [`Unpack::Tiles`] have a kernel for the unpacked rows.
    /// Its row block is the tile, and its turns are as long in k.
    pub fn micro_kernel(&self) -> Self {
        match self.schedule.unpack {
            Unpack::Once => KernelSpec {
                layout: Layout { packing: Packing::Bytes, interleave: self.tile.panels() },
                tile: Tile { ku: self.tile.ku * self.layout.packing.groups(), ..self.tile },
                ..*self
            },
            // Its turns have as many steps as a tile has rows.
            Unpack::Ring => KernelSpec { tile: Tile { ku: TILE_STEPS, ..self.tile }, ..*self },
            Unpack::Tiles => KernelSpec {
                layout: Layout { packing: Packing::Bytes, interleave: self.tile.panels() },
                tile: Tile { ku: TILE_STEPS, ..self.tile },
                schedule: Schedule { prefetch: Prefetch::NONE, ..self.schedule },
                ..*self
            },
            _ => *self,
        }
    }

    /// Returns the number of pair sums that fit an `i16`. Unpacked rows have ternary codes in their bytes.
    pub(crate) fn pair_sums(&self) -> usize {
        match self.schedule.unpack {
            Unpack::Once | Unpack::Tiles => Packing::Bits2.pair_sums(),
            _ => self.layout.packing.pair_sums(),
        }
    }

    /// Returns the same kernel for `mr` tokens.
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
                prefetch: match prefetch.strip_prefix('p') {
                    Some(distances) => distances.parse()?,
                    None => return Err(syntax("prefetch", prefetch, "p8192")),
                },
            },
            epilogue: epilogue.parse()?,
        };
        spec.validate()?;
        Ok(spec)
    }
}
