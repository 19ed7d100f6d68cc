//! The output head: exact logits of the tokens that a sampler can choose, without a read of every row.
//!
//! A quantized copy of the head is multiplied first. By the Cauchy-Schwarz inequality, each product gives bounds on the row's
//! logit. Rows that cannot matter are skipped. The logits of the others are computed from the stored rows, so the sampler
//! chooses the same token as with the whole head.
//!
//! The copy has [planes](planes). For one token, the high plane gives coarse bounds. Where these leave many rows, low planes
//! narrow them. Several tokens share a read of all planes.

mod bounds;
mod candidates;
mod depth;
mod planes;
mod rows;
mod screened;
#[cfg(test)]
mod tests;

use std::ops::Range;

use tercet_codegen::{Activations, KernelCache};
use tercet_formats::Floats;
use tercet_grammar::Mask;
use tercet_pool::Pool;

use crate::error::Result;
use crate::packed::{PackedFile, Part, PartKind};
use crate::pool::Team;
use crate::vectors::dot::dot_stored_before;
use crate::vectors::estimate::Estimate;
use bounds::Input;
pub use candidates::{Candidates, Rule};
use depth::Depth;
pub(super) use planes::Plans;
use planes::{LOW_PLANES, Planes};
use rows::{RowBound, RowBounds};
use screened::{Needed, Screened};

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
    planes: Planes,
    rows: RowBounds,
}

/// The name of the bounds in a packed file.
const BOUNDS: &str = "head.bounds";

/// Buffers, allocated once.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// a₁ and a₂ of each token.
    vectors: Activations,
    /// a₁ of each token.
    first: Activations,
    inputs: Vec<Input>,
    /// The input's remainder.
    rest: Vec<f64>,
    /// The remainder rounded to f32.
    rounded: Vec<f32>,
    /// h·a₁ of every row, then h·a₂ of every row, for each token.
    high: Vec<i32>,
    /// The products of every row of each low plane with a₁, for each token.
    low: [Vec<i32>; LOW_PLANES],
    depth: Depth,
    /// For each token that is chosen for at the same time.
    selections: Vec<Selection>,
}

/// The buffers of one token's choice.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Each row's logit, as far as it is known.
    estimates: Vec<Estimate>,
    ranking: Vec<f32>,
    /// The largest lower bound of each block of tokens.
    maxima: Vec<f32>,
    /// A word for each block: its tokens that can matter.
    marks: Vec<u64>,
    chosen: Vec<(u32, f32)>,
    /// The low planes that were needed.
    needed: Needed,
}

/// One token's part of a head's work.
struct Job<'a> {
    screened: Screened<'a>,
    x: &'a [f32],
    candidates: Candidates<'a>,
    selection: &'a mut Selection,
    logits: &'a mut [f32],
}

impl Scratch {
    /// Returns the buffers of one token.
    pub(super) fn selection(&mut self) -> &mut Selection {
        if self.selections.is_empty() {
            self.selections.push(Selection::default());
        }
        &mut self.selections[0]
    }

    /// Returns the number of rows that were computed for the first `tokens` tokens.
    pub(super) fn chosen(&self, tokens: usize) -> usize {
        self.selections.iter().take(tokens).map(|selection| selection.chosen.len()).sum()
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
///
/// Rows lie alone in memory, so each is prefetched while the one before is multiplied.
fn compute(team: Team<'_>, rows: &impl Rows, x: &[f32], chosen: &mut [(u32, f32)]) {
    team.chunks(chosen, 16, |_, chosen| {
        for i in 0..chosen.len() {
            let row = rows.row(chosen[i].0 as usize);
            let next = chosen.get(i + 1).map_or(row, |next| rows.row(next.0 as usize));
            chosen[i].1 = dot_stored_before(x, row, next);
        }
    });
}

impl Screen {
    /// Quantizes the rows of a head.
    ///
    /// # Errors
    /// Fails if the rows cannot be packed, or a kernel cannot be made.
    pub(super) fn new(rows: &impl Rows, plans: &Plans, cache: &KernelCache, pool: &Pool) -> Result<Self> {
        let (planes, rows) = Planes::new(rows, plans, cache, pool)?;
        Ok(Screen { planes, rows })
    }

    /// Reads the [parts](Screen::parts) of a screen from a packed file.
    ///
    /// # Errors
    /// Fails if a part is damaged or has another shape, or a kernel cannot be made.
    pub(super) fn read(packed: &PackedFile, plans: &Plans, cache: &KernelCache, pool: &Pool) -> Result<Self> {
        let planes = Planes::read(packed, plans, cache, pool)?;
        let bounds = packed.bytes(BOUNDS, planes.shape().0 * RowBound::BYTES, pool)?;
        let rows = bounds.as_chunks().0.iter().map(RowBound::from_bytes).collect();
        let rows = RowBounds::new(rows, planes.low_planes());
        Ok(Screen { planes, rows })
    }

    /// Returns the parts of a packed file that hold this screen.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let bounds = self.rows.iter().flat_map(RowBound::to_bytes).collect();
        let bounds = Part { name: BOUNDS.to_owned(), kind: PartKind::Bytes(bounds) };
        self.planes.parts().chain([bounds]).collect()
    }

    /// Returns the bytes of the copy and its bounds.
    pub(super) fn bytes(&self) -> usize {
        self.planes.bytes() + self.rows.bytes()
    }

    /// Writes the candidates' logits for each input in `x` to its row of `logits`, and -∞ for all other
    /// tokens. Returns the bytes of the screen that were read.
    pub(super) fn logits(
        &self,
        team: Team<'_>,
        rows: &impl Rows,
        x: &[f32],
        candidates: &[Candidates<'_>],
        scratch: &mut Scratch,
        logits: &mut [f32],
    ) -> usize {
        let (n, k) = self.planes.shape();
        scratch.selections.resize_with(scratch.selections.len().max(candidates.len()), Selection::default);
        let depth = if candidates.len() > 1 { self.planes.low_planes() } else { scratch.depth.next() };
        let screened = self.multiply(team, x, depth, scratch);
        let of_token = screened.zip(x.chunks_exact(k)).zip(candidates).zip(logits.chunks_exact_mut(n));
        let jobs = of_token.map(|((((screened, selection), x), candidates), logits)| Job {
            screened,
            x,
            candidates: *candidates,
            selection,
            logits,
        });
        // A choice has parts that threads cannot share. With enough tokens each thread chooses for one.
        if candidates.len() < team.threads().max(2) {
            jobs.for_each(|job| job.choose(team, rows));
        } else {
            let mut jobs: Vec<Option<Job<'_>>> = jobs.map(Some).collect();
            team.chunks(&mut jobs, 1, |_, job| {
                if let Some(job) = job[0].take() {
                    job.choose(team, rows);
                }
            });
        }
        if candidates.len() == 1 {
            scratch.depth.learn(scratch.selections[0].needed.depth);
        }
        let selections = scratch.selections.iter().take(candidates.len());
        let rows = selections.map(|selection| selection.needed.rows).sum();
        self.rows.bytes() + self.planes.bytes_read(depth, rows)
    }

    /// Writes approximate logits for each input in `x` to its row of `logits`. Returns the bytes of the screen.
    pub(super) fn approximate(
        &self,
        team: Team<'_>,
        x: &[f32],
        scratch: &mut Scratch,
        logits: &mut [f32],
    ) -> usize {
        let (n, k) = self.planes.shape();
        scratch.selections.resize_with(scratch.selections.len().max(x.len() / k), Selection::default);
        let tokens = self.multiply(team, x, self.planes.low_planes(), scratch);
        for ((screened, selection), logits) in tokens.zip(logits.chunks_exact_mut(n)) {
            screened.estimate(&team, &mut selection.estimates);
            for (logit, estimate) in logits.iter_mut().zip(&selection.estimates) {
                *logit = estimate.middle();
            }
        }
        self.bytes()
    }

    /// Multiplies each input in `x` with the high plane and with `depth` low planes. Returns each token's products with the
    /// buffers of its choice. There must be as many selections.
    fn multiply<'a>(
        &'a self,
        team: Team<'_>,
        x: &[f32],
        depth: usize,
        scratch: &'a mut Scratch,
    ) -> impl Iterator<Item = (Screened<'a>, &'a mut Selection)> {
        let (n, k) = self.planes.shape();
        let tokens = x.len() / k;
        let Scratch { vectors, first, inputs, rest, rounded, high, low, selections, .. } = scratch;
        vectors.reset(2 * tokens, k);
        first.reset(tokens, k);
        inputs.clear();
        let (mut pairs, firsts) = (vectors.rows_mut(), first.rows_mut());
        let split = |(x, mut first)| Input::new(x, pairs.by_ref().take(2), &mut first, rest, rounded);
        inputs.extend(x.chunks_exact(k).zip(firsts).map(split));
        drop(pairs);
        high.resize(2 * tokens * n, 0);
        self.planes.multiply_high(team, vectors, high);
        for (plane, low) in low.iter_mut().enumerate().take(depth) {
            low.resize(tokens * n, 0);
            self.planes.multiply_low(team, plane, first, low);
        }
        let (first, low) = (&*first, &*low);
        let tokens = inputs.iter().zip(high.chunks_exact(2 * n)).zip(selections).enumerate();
        tokens.map(move |(i, ((input, high), selection))| {
            let low = low.each_ref().map(|low| low.get(i * n..(i + 1) * n).unwrap_or_default());
            (Screened { planes: &self.planes, rows: &self.rows, input, first, high, low, depth }, selection)
        })
    }
}

impl Job<'_> {
    /// Writes the candidates' logits, and -∞ for all other tokens.
    fn choose(self, team: Team<'_>, rows: &impl Rows) {
        let Job { screened, x, candidates, selection, logits } = self;
        selection.needed = Needed::default();
        if let Some(allowed) = candidates.few(logits.len()) {
            return selection.compute_allowed(team, rows, x, allowed, logits);
        }
        screened.estimate(&team, &mut selection.estimates);
        let mut needed = Needed::default();
        let refine = |estimates: &mut [Estimate], least| needed = screened.refine(&team, estimates, least);
        candidates::choose(&team, candidates, selection, refine, |chosen| compute(team, rows, x, chosen));
        selection.needed = needed;
        selection.write(logits);
    }
}
