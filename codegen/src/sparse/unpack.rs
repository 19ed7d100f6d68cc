//! Kernels that unpack rows into bytes, one code each, for products of many tokens.

use std::cell::Cell;

use super::{ColumnMatrix, DIGITS, QUAD};
use crate::cache::KernelCache;
use crate::isa::Isa;
use crate::kernel::{Code, KernelError};
use crate::packing::{BLOCK_BYTES, Block, Layout, PANEL_ROWS, Packing};
use crate::view::View;

/// The arguments of a kernel. Emitted code reads the fields at their offsets.
#[repr(C)]
pub(crate) struct UnpackArgs {
    /// The blocks of consecutive columns, four for each turn; or those of 16 rows.
    pub(crate) weights: *const u8,
    /// Number of quads of columns. It is at least 1. Kernels for rows ignore it.
    pub(crate) quads: usize,
    /// The first row block of the unpacked rows.
    pub(crate) out: *mut u8,
    /// Bytes from one row block to the next. Kernels for rows write to one row block.
    pub(crate) out_stride: usize,
}

/// The kernels that unpack the rows of each digit into row blocks of some panels.
#[derive(Debug)]
pub(super) struct Unpackers {
    panels: usize,
    /// By digit.
    kernels: [Code; DIGITS],
}

/// Panels of the rows that share a digit.
const PANELS: usize = BLOCK_BYTES / PANEL_ROWS;

impl Unpackers {
    /// Makes the kernels of `isa` for row blocks of `panels` panels: 1, 2 or 4.
    pub(super) fn new(cache: &KernelCache, isa: Isa, panels: usize) -> Result<Self, KernelError> {
        assert!(PANELS.is_multiple_of(panels), "row blocks of 1, 2 or 4 panels");
        let emit = super::frame(isa).unpack;
        let code =
            |digit| cache.publish(&format!("{isa}/columns/unpack/x{panels}/{digit}"), &emit(panels, digit));
        Ok(Unpackers { panels, kernels: [code(0)?, code(1)?, code(2)?, code(3)?, code(4)?] })
    }

    /// Unpacks the 64 rows of one digit of a strip, and passes them to `multiply`.
    ///
    /// The steps are padded to a multiple of `multiple` with any bytes. Their activations are 0.
    pub(super) fn with_rows(
        &self,
        weights: &ColumnMatrix,
        (strip, digit): (usize, usize),
        multiple: usize,
        multiply: impl FnOnce(View<'_>),
    ) {
        thread_local! {
            /// The buffer of all calls of a thread. So it stays in the core's cache.
            static ROWS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
        }
        let steps = weights.k().div_ceil(QUAD).next_multiple_of(multiple);
        let mut rows = ROWS.take();
        rows.resize(steps * PANELS, Block([0; BLOCK_BYTES]));
        let (quads, rest) = weights.strip(strip).as_chunks::<QUAD>();
        let mut padded = [Block([0; BLOCK_BYTES]); QUAD];
        padded[..rest.len()].copy_from_slice(rest);
        self.unpack(digit, quads, 0, &mut rows);
        if !rest.is_empty() {
            self.unpack(digit, &[padded], quads.len(), &mut rows);
        }
        multiply(View {
            layout: Layout { packing: Packing::Bytes, interleave: self.panels },
            k: weights.k(),
            groups: 1,
            steps,
            is_grouped: false,
            zero_point: Packing::Trits5.zero_point(),
            scale: weights.scale(),
            blocks: &rows,
        });
        ROWS.set(rows);
    }

    /// Unpacks consecutive columns into the steps from `first` on. `rows` has the same number of steps in each row block.
    fn unpack(&self, digit: usize, quads: &[[Block; QUAD]], first: usize, rows: &mut [Block]) {
        if quads.is_empty() {
            return;
        }
        let stride = rows.len() / (PANELS / self.panels);
        assert!((first + quads.len()) * self.panels <= stride, "row blocks have too few steps");
        let mut args = UnpackArgs {
            weights: quads.as_ptr().cast(),
            quads: quads.len(),
            out: rows[first * self.panels..].as_mut_ptr().cast(),
            out_stride: stride * BLOCK_BYTES,
        };
        // SAFETY:
        // - the code was emitted for these panels, and this CPU can run or interpret it (`new`);
        // - it reads four blocks for each quad, which `quads` has;
        // - it writes as many steps of `panels` blocks to each row block, from step `first` on;
        // - a row block is `stride` blocks long, which is room enough (assertion), and `rows` is borrowed exclusively.
        unsafe { self.kernels[digit].call(&mut args) }
    }
}
