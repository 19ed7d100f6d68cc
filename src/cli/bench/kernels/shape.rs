//! Shapes of weight matrices.

use std::str::FromStr;

use tercet_codegen::packing::MAX_K;

/// Rows and columns of a weight matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Rows: output features.
    pub(super) n: usize,
    /// Columns: input features.
    pub(super) k: usize,
}

/// More rows than any layer has, but few enough for the weights to fit the memory.
const MOST_ROWS: usize = 65_536;

/// The shapes of BitNet b1.58 2B-4T: q and o, k and v, gate and up, down.
pub(super) const SHAPES: [Shape; 4] = [
    Shape { n: 2560, k: 2560 },
    Shape { n: 640, k: 2560 },
    Shape { n: 6912, k: 2560 },
    Shape { n: 2560, k: 6912 },
];

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('x').and_then(|(n, k)| Some((n.parse().ok()?, k.parse().ok()?)));
        match numbers {
            Some((n @ 1..=MOST_ROWS, k @ 1..=MAX_K)) => Ok(Shape { n, k }),
            _ => Err(format!("expected rows x columns such as 6912x2560, at most {MOST_ROWS}x{MAX_K}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_rows_by_columns() {
        assert_eq!("6912x2560".parse(), Ok(Shape { n: 6912, k: 2560 }));
        for text in ["", "12", "0x5", "5x0", "x", "1x2x3", "-1x5", "1x40000", "70000x5"] {
            assert!(text.parse::<Shape>().is_err(), "{text:?}");
        }
    }
}
