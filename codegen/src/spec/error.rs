//! Errors of specs.

use super::{Tile, Unpack};
use crate::isa::Isa;
use crate::packing::Packing;

/// An error of a kernel spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A part of the text cannot be parsed.
    #[error("kernel spec: {part} {text:?} cannot be read, expected for example {expected}")]
    Syntax {
        /// Part of the spec.
        part: &'static str,
        /// The given value.
        text: String,
        /// An example of the right form.
        expected: &'static str,
    },
    /// A number outside its range.
    #[error("kernel spec: {part} is {found}, allowed are {allowed}")]
    Range {
        /// Part of the spec.
        part: &'static str,
        /// The given value.
        found: usize,
        /// Allowed values.
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
    /// The strategy reads another packing, or the family does not have it.
    #[error("kernel spec: {isa} kernels cannot read {packing} weights with strategy {unpack}")]
    Strategy {
        /// Instruction set.
        isa: Isa,
        /// Packing of the layout.
        packing: Packing,
        /// Strategy of the spec.
        unpack: Unpack,
    },
    /// The tile does not fit the register file.
    #[error("kernel spec: tile {tile} needs {needed} vector registers, {isa} has {available}")]
    Registers {
        /// Instruction set.
        isa: Isa,
        /// The tile.
        tile: Tile,
        /// Registers that the tile takes.
        needed: usize,
        /// Registers of the family.
        available: usize,
    },
}

/// Returns the error of a part that cannot be read, with an example of the right form.
pub(super) fn syntax(part: &'static str, text: &str, expected: &'static str) -> SpecError {
    SpecError::Syntax { part, text: text.to_owned(), expected }
}
