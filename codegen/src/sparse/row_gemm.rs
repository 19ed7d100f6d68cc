//! Products with a matrix that is packed row by row.

use std::cell::Cell;
use std::ops::Range;

use super::{QUAD, RowInput, RowMatrix, UnpackArgs, VisitArgs};
use crate::activations::Activations;
use crate::cache::KernelCache;
use crate::columns::{ColumnsMut, Element};
use crate::gemm::Gemm;
use crate::kernel::{Code, KernelError};
use crate::packing::{BLOCK_BYTES, Block, Layout, PANEL_ROWS, Packing};
use crate::spec::KernelSpec;
use crate::view::View;

/// The kernels for one [`RowMatrix`], and for those of the same shape.
#[derive(Debug)]
pub struct RowGemm {
    lines: usize,
    /// 32-bit lanes of a vector.
    lanes: usize,
    /// The kernel for i + 1 tokens has index i.
    dots: Vec<Code>,
    unpack: Code,
    many: Gemm,
}

impl RowGemm {
    /// The most blocks in a row, because kernels have no loop over them.
    pub const MOST_LINES: usize = 16;

    /// Makes the kernels for k columns. That of `spec` multiplies many tokens.
    ///
    /// # Errors
    /// See [`KernelError`].
    ///
    /// # Panics
    /// If [`ColumnGemm::exists_for`](super::ColumnGemm::exists_for) or
    /// [`ColumnGemm::can_use`](super::ColumnGemm::can_use) is false, or k is no number of lines from 1 to
    /// [`RowGemm::MOST_LINES`].
    pub fn new(cache: &KernelCache, spec: KernelSpec, k: usize) -> Result<Self, KernelError> {
        let lines = k / super::LINE;
        assert!(k.is_multiple_of(super::LINE) && (1..=Self::MOST_LINES).contains(&lines), "{k} columns");
        assert!(super::ColumnGemm::can_use(&spec), "the kernel does not unpack rows");
        let (isa, panels, frame) = (spec.isa, spec.tile.panels(), super::frame(spec.isa));
        let dots = (1..=frame.most_tokens)
            .map(|tokens| cache.publish(&format!("{isa}/rows/k{k}/m{tokens}"), &(frame.dots)(tokens, lines)));
        let unpack = format!("{isa}/rows/k{k}/unpack/x{panels}");
        Ok(RowGemm {
            lines,
            lanes: frame.lanes,
            dots: dots.collect::<Result<_, _>>()?,
            unpack: cache.publish(&unpack, &(frame.unpack_rows)(panels, lines))?,
            many: Gemm::new(cache, spec)?,
        })
    }

    /// Returns the most tokens that [`RowGemm::multiply`] takes.
    pub fn most_tokens(&self) -> usize {
        self.dots.len()
    }

    /// Returns the room that [`RowGemm::multiply`] needs for a quad of rows and a token.
    pub fn quad_room(&self) -> usize {
        self.lanes
    }

    /// Computes Σ code · activation of the rows of some quads of `input`, for every token. A code is the weight plus 1.
    ///
    /// The start of `out` gets tokens × 4 sums for each quad. It has room for tokens × [`RowGemm::quad_room`].
    ///
    /// # Panics
    /// If the operands are of another k, there are fewer quads or more than [`RowGemm::most_tokens`] tokens, or `out` has
    /// another length.
    pub fn multiply(&self, weights: &RowMatrix, input: &RowInput, quads: Range<usize>, out: &mut [i32]) {
        let tokens = input.tokens();
        assert_eq!((weights.lines(), weights.k()), (self.lines, input.k()), "another k");
        assert!(quads.start <= quads.end && quads.end <= input.quads(), "the input has fewer quads");
        assert!(
            input.rows().last().is_none_or(|row| (*row as usize) < weights.n()),
            "the matrix has fewer rows"
        );
        assert_eq!(out.len(), quads.len() * tokens * self.lanes, "the output has another length");
        if quads.is_empty() {
            return;
        }
        let mut args = VisitArgs {
            weights: weights.blocks().as_ptr().cast(),
            offsets: input.offsets(quads.start).as_ptr(),
            acts: input.acts().as_ptr(),
            quads: quads.len(),
            out: out.as_mut_ptr(),
        };
        // SAFETY:
        // - the code was emitted for these tokens and lines, and this CPU can run or interpret it (`new`);
        // - every offset of a quad is that of one of the n rows (assertion on the last, as rows ascend), each of which has
        //   `lines` blocks;
        // - the quads' offsets are followed by those of prefetches, which do not fault;
        // - there are k activations of each token (`RowInput::set`);
        // - `out` is an exclusively borrowed vector for each quad and token.
        unsafe { self.dots[tokens - 1].call(&mut args) }
        for i in 0..quads.len() * tokens {
            // Every 128 bits have a part of each row's 3·A - B.
            let (parts, _) = out[i * self.lanes..][..self.lanes].as_chunks::<QUAD>();
            let add = |sums: [i32; QUAD], part: &[i32; QUAD]| {
                std::array::from_fn(|row| sums[row].wrapping_add(part[row]))
            };
            let sums = parts.iter().fold([0; QUAD], add);
            out[i * QUAD..][..QUAD].copy_from_slice(&sums.map(|sum| sum >> 8));
        }
    }

    /// Computes the given columns of Y = X·Wᵀ for many tokens, as [`Gemm::compute`] does. They start at a multiple of 64.
    ///
    /// # Panics
    /// If the operands differ in k, tokens or n, or `T` is not stored by the kernel.
    pub fn compute<T: Element>(&self, weights: &RowMatrix, acts: &Activations, mut out: ColumnsMut<'_, T>) {
        let (columns, tile) = (out.columns(), self.many.spec().tile);
        assert_eq!(weights.lines(), self.lines, "another k");
        assert_eq!(out.tokens(), acts.tokens(), "output and activations differ in tokens");
        assert!(columns.end <= weights.n(), "output is wider than the weights");
        assert!(columns.start.is_multiple_of(RowMatrix::GROUP), "columns must start at a multiple of 64");
        for first in columns.clone().step_by(tile.nr) {
            let rows = first..columns.end.min(first + tile.nr);
            self.with_rows(weights, first, |unpacked| self.many.multiply(unpacked, 0, acts, &mut out, rows));
        }
    }

    /// Unpacks the rows of a tile from `first` on, and passes them to `multiply`.
    fn with_rows(&self, weights: &RowMatrix, first: usize, multiply: impl FnOnce(View<'_>)) {
        thread_local! {
            /// The buffer of all calls of a thread. So it stays in the core's cache.
            static ROWS: Cell<Vec<Block>> = const { Cell::new(Vec::new()) };
        }
        let KernelSpec { tile, schedule, .. } = *self.many.spec();
        let multiple = schedule.unpack.unpacked_multiple().unwrap_or(1);
        let steps = (weights.k() / QUAD).next_multiple_of(multiple);
        let panels = tile.panels();
        let mut rows = ROWS.take();
        rows.resize(steps * panels, Block([0; BLOCK_BYTES]));
        for panel in 0..panels {
            let start = (first + panel * PANEL_ROWS) * self.lines;
            let packed = &weights.blocks()[start..][..PANEL_ROWS * self.lines];
            let unpacked = &mut rows[panel..];
            assert!(unpacked.len() > (weights.k() / QUAD - 1) * panels);
            let mut args = UnpackArgs {
                weights: packed.as_ptr().cast(),
                quads: 1,
                out: unpacked.as_mut_ptr().cast(),
                out_stride: 0,
            };
            // SAFETY:
            // - the code was emitted for these panels and lines, and this CPU can run or interpret it (`new`);
            // - it reads 16 rows of `lines` blocks, which `packed` has;
            // - it writes every `panels`th block of k / 4 steps from the first of `unpacked` on, which are there (assertion).
            //   `rows` is borrowed exclusively.
            unsafe { self.unpack.call(&mut args) }
        }
        multiply(View {
            layout: Layout { packing: Packing::Bytes, interleave: panels },
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::samples::{product, specs, weights};
    use tercet_cpu::Cpu;

    /// Returns the kernels of every family for k columns: interpreted, and those that this CPU can run.
    fn kernels(k: usize) -> impl Iterator<Item = (KernelSpec, RowGemm)> {
        specs().flat_map(move |spec| {
            let native = spec.isa.runs_on(Cpu::host());
            let native = native.then(|| RowGemm::new(&KernelCache::default(), spec, k).unwrap());
            let emulated = RowGemm::new(&KernelCache::emulating(), spec, k).unwrap();
            [Some(emulated), native].into_iter().flatten().map(move |kernels| (spec, kernels))
        })
    }

    fn acts(tokens: usize, k: usize) -> Activations {
        let mut acts = Activations::with_capacity(tokens, k);
        acts.reset(tokens, k);
        for (token, mut row) in acts.rows_mut().enumerate() {
            row.set(|values| {
                let value = |i: usize| [-128, 127, 1, -1, 77, 0][(i * 7 + i / 5 + token) % 6];
                values.iter_mut().enumerate().for_each(|(i, act)| *act = value(i));
                1.0
            });
        }
        acts
    }

    #[test]
    fn rows_with_a_gate_have_their_products() {
        for (tokens, n, k, period) in
            [(1, 37, 320, 3), (1, 4, 640, 1), (2, 30, 640, 5), (3, 9, 960, 2), (4, 21, 320, 4)]
        {
            let (weights, acts) = (weights(n, k), acts(tokens, k));
            let matrix = RowMatrix::pack(n, k, &weights).unwrap();
            let gate = |i: usize| match (i / n + i % n).is_multiple_of(period) {
                true if i.is_multiple_of(2) => f32::NAN,
                true => 0.5,
                false => -((i % 2) as f32),
            };
            let gates: Vec<f32> = (0..tokens * n).map(gate).collect();
            let wanted = |row: &usize| (0..tokens).any(|token| (token + row).is_multiple_of(period));
            for (spec, kernels) in kernels(k).filter(|(_, kernels)| tokens <= kernels.most_tokens()) {
                let mut input = RowInput::default();
                input.set(&matrix, &gates, &acts, 0..tokens);
                let expected: Vec<u32> = (0..n).filter(wanted).map(|row| row as u32).collect();
                assert_eq!(input.rows(), expected);
                let (numbers, middle) = (tokens * kernels.quad_room(), input.quads() / 2);
                let mut sums = vec![77; input.quads() * numbers];
                let (first, second) = sums.split_at_mut(middle * numbers);
                kernels.multiply(&matrix, &input, 0..middle, first);
                kernels.multiply(&matrix, &input, middle..input.quads(), second);
                let numbers = tokens * QUAD;
                let found =
                    first[..middle * numbers].chunks_exact(numbers).chain(second.chunks_exact(numbers));
                for (sums, rows) in found.zip(input.rows().chunks(QUAD)) {
                    for (token, sums) in sums.chunks_exact(QUAD).enumerate() {
                        for (sum, row) in sums.iter().zip(rows) {
                            let expected = product(&weights[*row as usize * k..][..k], acts.row(token), 1);
                            assert_eq!(*sum, expected, "{spec}: {token}, row {row}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn unpacked_rows_give_the_whole_products() {
        for (tokens, n, k) in [(3, 70, 320), (1, 16, 640), (5, 131, 960)] {
            let (weights, acts) = (weights(n, k), acts(tokens, k));
            let matrix = RowMatrix::pack(n, k, &weights).unwrap();
            for (spec, kernels) in kernels(k) {
                let mut out = vec![0i32; tokens * n];
                kernels.compute(&matrix, &acts, ColumnsMut::new(&mut out, tokens, n));
                for (token, row) in (0..tokens).flat_map(|token| (0..n).map(move |row| (token, row))) {
                    let expected = product(&weights[row * k..][..k], acts.row(token), 0);
                    assert_eq!(out[token * n + row], expected, "{spec}: token {token}, row {row}");
                }
            }
        }
    }
}
