//! Published kernels that visit the listed columns of a strip.

use std::ops::Range;

use super::{ColumnInput, ColumnMatrix, QUAD, STRIP_ROWS};
use crate::cache::KernelCache;
use crate::isa::Isa;
use crate::kernel::{Code, KernelError};

/// The arguments of a kernel. Emitted code reads the fields at their offsets.
#[repr(C)]
pub(crate) struct VisitArgs {
    /// The strip's first block.
    pub(crate) weights: *const u8,
    /// Bytes from `weights` to the block of each column, a quad of u32 for each turn. [`FAR`](super::FAR) more follow.
    pub(crate) offsets: *const u32,
    /// The tokens' activations in each quad.
    pub(crate) acts: *const i8,
    /// Number of quads. It is at least 1.
    pub(crate) quads: usize,
    /// i32 sums: [`STRIP_ROWS`] for each token.
    pub(crate) out: *mut i32,
}

/// The kernels of one ISA, for every number of tokens up to the most that its registers hold.
#[derive(Debug)]
pub(super) struct Visitors {
    /// The kernel for i + 1 tokens has index i.
    kernels: Vec<Code>,
}

impl Visitors {
    /// Makes the kernels of `isa`.
    pub(super) fn new(cache: &KernelCache, isa: Isa) -> Result<Self, KernelError> {
        let frame = super::frame(isa);
        let kernels = (1..=frame.most_tokens)
            .map(|tokens| cache.publish(&format!("{isa}/columns/m{tokens}"), &(frame.visit)(tokens)));
        Ok(Visitors { kernels: kernels.collect::<Result<_, _>>()? })
    }

    /// Returns the most tokens of a kernel.
    pub(super) fn most_tokens(&self) -> usize {
        self.kernels.len()
    }

    /// Does [`ColumnGemm::visit`](super::ColumnGemm::visit).
    pub(super) fn visit(
        &self,
        weights: &ColumnMatrix,
        strip: usize,
        input: &ColumnInput,
        quads: Range<usize>,
        out: &mut [i32],
    ) {
        assert_eq!(weights.k(), input.k(), "weights and input differ in k");
        assert!(quads.start <= quads.end && quads.end <= input.quads(), "the input has fewer quads");
        assert_eq!(out.len(), input.tokens() * STRIP_ROWS, "the output is not tokens × rows");
        if quads.is_empty() {
            return out.fill(0);
        }
        let (blocks, offsets) = (weights.strip(strip), input.offsets(quads.start));
        let mut out = out;
        for (tokens, acts) in input.chunks(quads.start) {
            let (of_chunk, rest) = out.split_at_mut(tokens * STRIP_ROWS);
            assert!(acts.len() >= quads.len() * QUAD * tokens);
            let mut args = VisitArgs {
                weights: blocks.as_ptr().cast(),
                offsets: offsets.as_ptr(),
                acts: acts.as_ptr(),
                quads: quads.len(),
                out: of_chunk.as_mut_ptr(),
            };
            // SAFETY:
            // - the code was emitted for this number of tokens, and this CPU can run or interpret it (`new`);
            // - every offset of a quad is that of one of k columns (`ColumnInput::set`), and the strip has k blocks;
            // - the quads' offsets are followed by those of prefetches, which do not fault;
            // - there are four activations of each token for every quad (assertion);
            // - `of_chunk` is an exclusively borrowed region of tokens × rows.
            unsafe { self.kernels[tokens - 1].call(&mut args) };
            out = rest;
        }
    }
}
