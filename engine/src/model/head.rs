//! The output head: exact logits of the tokens that a sampler can choose, without a read of every row.
//!
//! A copy of the head with seven bits per weight is multiplied first. By the Cauchy-Schwarz inequality,
//! each product gives bounds on the row's logit. Rows that cannot matter are skipped. The logits of the
//! others are computed from the stored rows, so the sampler chooses the same token as with the whole
//! head.

mod bounds;
mod candidates;
#[cfg(test)]
mod tests;

use std::ops::Range;

use tercet_autotune::{Planner, Problem};
use tercet_codegen::{Activations, ColumnsMut, Epilogue, Gemm, KernelCache, KernelSpec, PackedMatrix};
use tercet_formats::Floats;
use tercet_grammar::Mask;
use tercet_pool::Pool;

use crate::error::Result;
use crate::packed::{PackedFile, Part, PartKind};
use crate::pool::{self, Team};
use crate::vectors::dot::dot_stored;
use bounds::{Input, RowBound, quantize_row};
pub use candidates::{Candidates, Rule};

/// The rows of a head, in their stored format.
pub(super) trait Rows: Sync {
    /// Returns the weights of `token`'s row.
    fn row(&self, token: usize) -> Floats<'_>;

    /// Releases the memory of rows that are mapped from a file. The next read loads them again.
    fn release(&self, _: Range<usize>) {}
}

/// The quantized copy of a head, which screens its rows.
#[derive(Debug)]
pub(super) struct Screen {
    quantized: PackedMatrix,
    /// The kernels for one token and for several.
    gemms: [Gemm; 2],
    rows: Vec<RowBound>,
}

/// Names of the parts in a packed file.
const QUANTIZED: &str = "head";
const BOUNDS: &str = "head.bounds";

/// Buffers, allocated once.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    acts: Activations,
    inputs: Vec<Input>,
    /// The input's remainder d.
    rest: Vec<f64>,
    /// The remainder rounded to f32.
    rounded: Vec<f32>,
    /// q·a₁ of every row, then q·a₂ of every row, for each token.
    sums: Vec<i32>,
    /// For each token that is chosen for at the same time.
    selections: Vec<Selection>,
}

/// The buffers of one token's choice.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Lower and upper bound of each row's logit.
    bounds: Vec<(f32, f32)>,
    ranking: Vec<f32>,
    maxima: Vec<f32>,
    chosen: Vec<(u32, f32)>,
}

/// One token's part of a head's work.
struct Job<'a> {
    input: &'a Input,
    /// q·a₁ of every row, then q·a₂ of every row.
    sums: &'a [i32],
    x: &'a [f32],
    candidates: Candidates<'a>,
    selection: &'a mut Selection,
    logits: &'a mut [f32],
}

/// Rows per task.
const ROWS: usize = 512;

impl Scratch {
    /// Returns the buffers of one token.
    pub(super) fn selection(&mut self) -> &mut Selection {
        if self.selections.is_empty() {
            self.selections.push(Selection::default());
        }
        &mut self.selections[0]
    }
}

impl Selection {
    /// Writes the logits of all tokens of `allowed` for the input `x`, and -∞ for all other tokens.
    pub(super) fn compute_allowed(
        &mut self,
        team: Team<'_>,
        rows: &impl Rows,
        x: &[f32],
        allowed: &Mask,
        logits: &mut [f32],
    ) {
        self.chosen.clear();
        self.chosen.extend(allowed.iter().map(|token| (token, 0.0)));
        compute(team, rows, x, &mut self.chosen);
        self.write(logits);
    }

    /// Writes the logits of the chosen tokens, and -∞ for all other tokens.
    fn write(&self, logits: &mut [f32]) {
        logits.fill(f32::NEG_INFINITY);
        for &(token, logit) in &self.chosen {
            logits[token as usize] = logit;
        }
    }
}

/// Writes the logits of the tokens in `chosen` for the input `x`.
fn compute(team: Team<'_>, rows: &impl Rows, x: &[f32], chosen: &mut [(u32, f32)]) {
    team.chunks(chosen, 16, |_, chosen| {
        for (token, logit) in chosen {
            *logit = dot_stored(x, rows.row(*token as usize));
        }
    });
}

impl Screen {
    /// Quantizes the `n` rows of a head, `k` wide. `planner` must plan for [`Packing::Bytes`].
    ///
    /// # Errors
    /// Fails if the rows cannot be packed, or the kernel cannot be made.
    pub(super) fn new(
        rows: &impl Rows,
        (n, k): (usize, usize),
        planner: Planner,
        cache: &KernelCache,
        pool: &Pool,
    ) -> Result<Self> {
        let layout = planner.layout();
        let mut bounds = vec![RowBound::default(); n];
        let quantized = PackedMatrix::fill(layout, n, k, |blocks| {
            let (rows_each, blocks_each) = (layout.block_rows(), layout.row_block_len(k));
            let parts = bounds.chunks_mut(rows_each).zip(blocks.chunks_exact_mut(blocks_each));
            let mut parts: Vec<_> = parts.map(|(bounds, blocks)| (bounds, blocks, Ok(()))).collect();
            pool.chunks(&mut parts, 1, |i, part| {
                let (bounds, blocks, outcome) = &mut part[0];
                let (mut weights, mut row) = (vec![0i8; bounds.len() * k], vec![0.0; k]);
                for ((j, bound), q) in bounds.iter_mut().enumerate().zip(weights.chunks_exact_mut(k)) {
                    rows.row(i * rows_each + j).read(0, &mut row);
                    quantize_row(&row, q);
                    *bound = RowBound::new(&row, q);
                }
                rows.release(i * rows_each..i * rows_each + bounds.len());
                *outcome = layout.pack_rows(k, &weights, blocks);
            });
            parts.into_iter().try_for_each(|(.., outcome)| outcome)
        })?;
        Self::of(quantized, bounds, planner, cache, pool)
    }

    /// Reads the [parts](Screen::parts) of a screen from a packed file.
    ///
    /// # Errors
    /// Fails if a part is damaged or has another shape, or the kernel cannot be made.
    pub(super) fn read(
        packed: &PackedFile,
        (n, k): (usize, usize),
        planner: Planner,
        cache: &KernelCache,
        pool: &Pool,
    ) -> Result<Self> {
        let quantized = packed.matrix(QUANTIZED, planner.layout(), (n, k), pool)?;
        let bounds = packed.bytes(BOUNDS, n * RowBound::BYTES, pool)?;
        let bounds = bounds.as_chunks().0.iter().map(RowBound::from_bytes).collect();
        Self::of(quantized, bounds, planner, cache, pool)
    }

    fn of(
        quantized: PackedMatrix,
        rows: Vec<RowBound>,
        planner: Planner,
        cache: &KernelCache,
        pool: &Pool,
    ) -> Result<Self> {
        let (n, k) = (quantized.n(), quantized.k());
        let gemm = |m| {
            let plan = planner.plan(&Problem { n, k, m, threads: pool.threads() });
            Gemm::new(cache, KernelSpec { epilogue: Epilogue::I32, ..plan.spec })
        };
        Ok(Screen { quantized, gemms: [gemm(2)?, gemm(16)?], rows })
    }

    /// Returns the parts of a packed file that hold this screen.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let bounds = self.rows.iter().flat_map(|bound| bound.to_bytes()).collect();
        vec![
            Part { name: QUANTIZED.to_owned(), kind: PartKind::Matrix(&self.quantized) },
            Part { name: BOUNDS.to_owned(), kind: PartKind::Bytes(bounds) },
        ]
    }

    /// Returns the bytes that are read for every token.
    pub(super) fn bytes(&self) -> usize {
        self.quantized.bytes() + size_of_val(&self.rows[..])
    }

    /// Writes the candidates' logits for each input in `x` to its row of `logits`, and -∞ for all other
    /// tokens.
    pub(super) fn logits(
        &self,
        team: Team<'_>,
        rows: &impl Rows,
        x: &[f32],
        candidates: &[Candidates<'_>],
        scratch: &mut Scratch,
        logits: &mut [f32],
    ) {
        let (n, k) = (self.quantized.n(), self.quantized.k());
        self.multiply(team, x, scratch);
        let Scratch { inputs, sums, selections, .. } = scratch;
        selections.resize_with(selections.len().max(candidates.len()), Selection::default);
        let of_token = inputs.iter().zip(sums.chunks_exact(2 * n)).zip(x.chunks_exact(k)).zip(candidates);
        let buffers = selections.iter_mut().zip(logits.chunks_exact_mut(n));
        let jobs = of_token.zip(buffers).map(|((((input, sums), x), candidates), (selection, logits))| Job {
            input,
            sums,
            x,
            candidates: *candidates,
            selection,
            logits,
        });
        // A choice has parts that threads cannot share. With enough tokens each thread chooses for one.
        if candidates.len() < team.threads().max(2) {
            return jobs.for_each(|job| self.choose(team, rows, job));
        }
        let mut jobs: Vec<Option<Job<'_>>> = jobs.map(Some).collect();
        team.chunks(&mut jobs, 1, |_, job| {
            if let Some(job) = job[0].take() {
                self.choose(team, rows, job);
            }
        });
    }

    /// Writes the candidates' logits for one token, and -∞ for all other tokens.
    fn choose(&self, team: Team<'_>, rows: &impl Rows, job: Job<'_>) {
        let Job { input, sums, x, candidates, selection, logits } = job;
        if let Some(allowed) = candidates.few(self.quantized.n()) {
            return selection.compute_allowed(team, rows, x, allowed, logits);
        }
        self.bound(&team, input, sums, &mut selection.bounds);
        candidates::choose(candidates, selection, |chosen| compute(team, rows, x, chosen));
        selection.write(logits);
    }

    /// Writes approximate logits for each input in `x` to its row of `logits`: the middles of the bounds.
    pub(super) fn approximate(&self, team: Team<'_>, x: &[f32], scratch: &mut Scratch, logits: &mut [f32]) {
        let n = self.quantized.n();
        self.multiply(team, x, scratch);
        scratch.selection();
        let Scratch { inputs, sums, selections, .. } = scratch;
        let bounds = &mut selections[0].bounds;
        for ((input, sums), logits) in
            inputs.iter().zip(sums.chunks_exact(2 * n)).zip(logits.chunks_exact_mut(n))
        {
            self.bound(&team, input, sums, bounds);
            for (logit, (lower, upper)) in logits.iter_mut().zip(bounds.iter()) {
                *logit = lower + 0.5 * (upper - lower);
            }
        }
    }

    /// Computes the integer sums of every token, into `scratch`.
    fn multiply(&self, team: Team<'_>, x: &[f32], scratch: &mut Scratch) {
        let (n, k) = (self.quantized.n(), self.quantized.k());
        let rows = 2 * x.len() / k;
        let Scratch { acts, inputs, rest, rounded, sums, .. } = scratch;
        acts.reset(rows, k);
        inputs.clear();
        let mut vectors = acts.rows_mut();
        inputs.extend(x.chunks_exact(k).map(|x| Input::new(x, vectors.by_ref().take(2), rest, rounded)));
        drop(vectors);
        sums.resize(rows * n, 0);
        let grain = self.quantized.layout().block_rows() * 4;
        let gemm = &self.gemms[usize::from(rows > 2)];
        pool::for_columns(team, ColumnsMut::new(sums, rows, n), grain, k, |columns| {
            gemm.compute(&self.quantized, acts, columns);
        });
    }

    /// Computes the bounds of each of a token's logits, from the sums of all rows.
    fn bound(&self, pool: &Pool, input: &Input, sums: &[i32], bounds: &mut Vec<(f32, f32)>) {
        let n = self.quantized.n();
        let (first, second) = sums.split_at(n);
        bounds.resize(n, (0.0, 0.0));
        pool.chunks(bounds, ROWS, |chunk, bounds| {
            for (i, bound) in bounds.iter_mut().enumerate() {
                let row = chunk * ROWS + i;
                *bound = input.bounds(&self.rows[row], first[row], second[row]);
            }
        });
    }
}
