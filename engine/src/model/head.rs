//! The output head: exact logits of the tokens that a sampler can choose, without a read of every row.
//!
//! A copy of the head with seven bits per weight is multiplied first. By the Cauchy-Schwarz inequality,
//! each product gives bounds on the row's logit. Rows that cannot matter are skipped. The logits of the
//! others are computed from the stored rows, so the sampler chooses the same token as with the whole
//! head.
//!
//! The bounds: a row is w = s·q + e, with the quantized weights q and their error e. The input is
//! x = t₁·a₁ + t₂·a₂ + d, with two int8 vectors a₁ and a₂ and the remainder d. Then
//!
//! ```text
//! |w·x - s·(t₁·q·a₁ + t₂·q·a₂)| ≤ ‖s·q‖·‖d‖ + ‖e‖·‖x‖
//! ```
//!
//! The float sum that computes w·x is off by at most γ·‖w‖·‖x‖ (Higham 2002, §3.1).

use std::cmp::Ordering;
use std::ops::Range;

use tercet_autotune::{Planner, Problem};
use tercet_codegen::activations::RowMut;
use tercet_codegen::{
    Activations, ColumnsMut, Epilogue, Gemm, KernelCache, KernelSpec, PackedMatrix, Packing,
};
use tercet_pool::Pool;

use crate::error::Result;
use crate::packed::{PackedFile, Part, PartKind};
use crate::pool::{self, Team};
use crate::vectors::dot::{LANES, dot_stored};
use crate::vectors::ops;
use tercet_formats::Floats;
use tercet_grammar::Mask;

/// A rule that selects tokens by their logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// The token with the largest logit.
    Best,
    /// This number of tokens with the largest logits.
    Top(usize),
    /// Tokens with logits at most this much below the largest.
    Within(f32),
}

/// The tokens with logits that matter to a caller. The logits of all others may be -∞.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidates<'a> {
    /// Selects tokens by their logits. It does not count those in `always`.
    pub rule: Rule,
    /// Tokens that always matter. Tokens outside the vocabulary are ignored.
    pub always: &'a [u32],
    /// The only tokens that can matter at all; none means all tokens.
    pub allowed: Option<&'a Mask>,
}

impl Candidates<'_> {
    /// Returns the candidates that `rule` selects among all tokens.
    pub const fn by(rule: Rule) -> Self {
        Candidates { rule, always: &[], allowed: None }
    }

    /// Returns the allowed tokens if it takes less to read their rows of a head with `n` rows than to screen all of them.
    /// A stored row has twice the bytes of a screened one, and a screen does not spare all rows.
    pub(super) fn few(&self, n: usize) -> Option<&Mask> {
        self.allowed.filter(|allowed| allowed.len() * 4 <= n)
    }
}

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

/// One row's part of the bounds.
#[derive(Clone, Copy, Debug, Default)]
struct RowBound {
    /// s.
    scale: f32,
    /// An upper bound of ‖w‖ and ‖s·q‖.
    norm: f32,
    /// An upper bound of ‖e‖.
    error: f32,
}

impl RowBound {
    const BYTES: usize = 12;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let [a, b, c] = [self.scale, self.norm, self.error].map(f32::to_le_bytes);
        std::array::from_fn(|i| [a, b, c][i / 4][i % 4])
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let float = |i: usize| f32::from_le_bytes(std::array::from_fn(|j| bytes[4 * i + j]));
        RowBound { scale: float(0), norm: float(1), error: float(2) }
    }
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
    /// Lower and upper bound of each row's logit, for one token.
    bounds: Vec<(f32, f32)>,
    ranking: Vec<f32>,
    chosen: Vec<(u32, f32)>,
}

/// Covers the rounding errors of the bounds themselves, which are about 1e-7.
const SLACK: f64 = 1.0 + 1e-5;

/// Rows per task.
const ROWS: usize = 512;

impl Scratch {
    /// Chooses all tokens of `allowed`.
    pub(super) fn choose_all(&mut self, allowed: &Mask) {
        self.chosen.clear();
        self.chosen.extend(allowed.iter().map(|token| (token, 0.0)));
    }

    /// Writes the logits of the chosen tokens for the input `x`, and -∞ for all other tokens.
    pub(super) fn compute(&mut self, team: Team<'_>, rows: &impl Rows, x: &[f32], logits: &mut [f32]) {
        team.chunks(&mut self.chosen, 16, |_, chosen| {
            for (token, logit) in chosen {
                *logit = dot_stored(x, rows.row(*token as usize));
            }
        });
        logits.fill(f32::NEG_INFINITY);
        for &(token, logit) in &self.chosen {
            logits[token as usize] = logit;
        }
    }
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
        let tokens = x.chunks_exact(k).zip(candidates).zip(logits.chunks_exact_mut(n));
        for (token, ((x, candidates), logits)) in tokens.enumerate() {
            match candidates.few(n) {
                Some(allowed) => scratch.choose_all(allowed),
                None => {
                    self.bound(&team, token, scratch);
                    choose(*candidates, scratch);
                }
            }
            scratch.compute(team, rows, x, logits);
        }
    }

    /// Writes approximate logits for each input in `x` to its row of `logits`: the middles of the bounds.
    pub(super) fn approximate(&self, team: Team<'_>, x: &[f32], scratch: &mut Scratch, logits: &mut [f32]) {
        self.multiply(team, x, scratch);
        for (token, logits) in logits.chunks_exact_mut(self.quantized.n()).enumerate() {
            self.bound(&team, token, scratch);
            for (logit, (lower, upper)) in logits.iter_mut().zip(&scratch.bounds) {
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

    /// Computes the bounds of each of the token's logits, into `scratch`.
    fn bound(&self, pool: &Pool, token: usize, scratch: &mut Scratch) {
        let n = self.quantized.n();
        let input = &scratch.inputs[token];
        let (first, second) = scratch.sums[2 * token * n..][..2 * n].split_at(n);
        scratch.bounds.resize(n, (0.0, 0.0));
        pool.chunks(&mut scratch.bounds, ROWS, |chunk, bounds| {
            for (i, bound) in bounds.iter_mut().enumerate() {
                let row = chunk * ROWS + i;
                *bound = input.bounds(&self.rows[row], first[row], second[row]);
            }
        });
    }
}

impl RowBound {
    fn new(w: &[f32], q: &[i8]) -> Self {
        let scale = scale(w);
        let (product, error) = ops::quantized_norms(q, w, scale);
        let (product, error) = (product.sqrt(), error.sqrt());
        RowBound { scale, norm: ((product + error) * SLACK) as f32, error: (error * SLACK) as f32 }
    }
}

/// Returns the value of one step of the quantized weights.
fn scale(w: &[f32]) -> f32 {
    ops::largest(w) / f32::from(*Packing::Bytes.weights().end())
}

fn quantize_row(w: &[f32], q: &mut [i8]) {
    let scale = scale(w);
    if scale > 0.0 {
        ops::quantize_weights(q, w, scale);
    }
}

/// The factors and norms of an input, which is split into two int8 vectors.
#[derive(Debug)]
struct Input {
    /// t₁ and t₂.
    scales: [f64; 2],
    /// An upper bound of ‖d‖.
    rest: f64,
    /// An upper bound of ‖x‖.
    norm: f64,
    /// γ.
    rounding: f64,
}

impl Input {
    /// Splits `x` and writes the two vectors to `vectors`.
    fn new<'a>(
        x: &[f32],
        vectors: impl Iterator<Item = RowMut<'a>>,
        rest: &mut Vec<f64>,
        rounded: &mut Vec<f32>,
    ) -> Self {
        let mut scales = [0.0; 2];
        rest.clear();
        rest.extend(x.iter().map(|&x| f64::from(x)));
        let norm = norm(rest);
        for (mut row, scale) in vectors.zip(&mut scales) {
            row.set(|a| {
                rounded.clear();
                rounded.extend(rest.iter().map(|&rest| rest as f32));
                let step = ops::quantize(a, rounded);
                *scale = f64::from(step);
                rest.iter_mut().zip(&*a).for_each(|(rest, &a)| *rest -= *scale * f64::from(a));
                step
            });
        }
        // Roundings of one lane's fused multiply-adds, then of the additions of lanes.
        let roundings = (x.len() / LANES + 8) as f64;
        Input { scales, rest: self::norm(rest), norm, rounding: roundings * f64::from(f32::EPSILON) }
    }

    /// Returns the bounds of a row's logit from its two integer sums.
    fn bounds(&self, row: &RowBound, first: i32, second: i32) -> (f32, f32) {
        let [coarse, fine] = self.scales;
        let middle = f64::from(row.scale) * (coarse * f64::from(first) + fine * f64::from(second));
        let norm = f64::from(row.norm);
        let error = norm * self.rest + f64::from(row.error) * self.norm + self.rounding * norm * self.norm;
        let error = error * SLACK + middle.abs() * f64::from(f32::EPSILON);
        ((middle - error) as f32, (middle + error) as f32)
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt() * SLACK
}

/// Chooses the tokens that can matter by their bounds, into `scratch`. Tokens with NaN bounds are
/// chosen too.
fn choose(candidates: Candidates<'_>, scratch: &mut Scratch) {
    let Scratch { bounds, ranking, chosen, .. } = scratch;
    for &token in candidates.always {
        if let Some(bounds) = bounds.get_mut(token as usize) {
            *bounds = (f32::NEG_INFINITY, f32::INFINITY);
        }
    }
    let is_allowed = |token: usize| candidates.allowed.is_none_or(|allowed| allowed.contains(token as u32));
    ranking.clear();
    let lower = |(token, (lower, _)): (usize, &(f32, f32))| {
        if is_allowed(token) { *lower } else { f32::NEG_INFINITY }
    };
    ranking.extend(bounds.iter().enumerate().map(lower));
    let largest = ranking.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = match candidates.rule {
        Rule::Best => largest,
        Rule::Within(distance) => largest - distance,
        Rule::Top(count) if (1..ranking.len()).contains(&count) => {
            *ranking.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1
        }
        Rule::Top(_) => f32::NEG_INFINITY,
    };
    chosen.clear();
    // A NaN bound says nothing, so the token can matter.
    let matters = |(_, (_, upper)): &(usize, &(f32, f32))| upper.partial_cmp(&least) != Some(Ordering::Less);
    let chosen_tokens = bounds.iter().enumerate().filter(matters).map(|(token, _)| token);
    chosen.extend(chosen_tokens.filter(|token| is_allowed(*token)).map(|token| (token as u32, 0.0)));
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use tercet_codegen::Isa;
    use tercet_cpu::Cpu;

    use super::*;

    struct Matrix {
        bytes: Vec<u8>,
        width: usize,
    }

    impl Rows for Matrix {
        fn row(&self, token: usize) -> Floats<'_> {
            Floats::Bf16(&self.bytes).slice(token * self.width, self.width)
        }
    }

    /// Returns rows of very different sizes: some are equal, and one is all zeros.
    fn matrix(n: usize, width: usize) -> Matrix {
        let element = |i: usize| {
            let row = i / width % (n - 3);
            let size = if row == 7 { 0.0 } else { 1.0 + (row % 5) as f32 };
            bf16::from_f32(size * ((i % width * (row + 3)) as f32 * 0.77).sin())
        };
        Matrix { bytes: (0..n * width).flat_map(|i| element(i).to_le_bytes()).collect(), width }
    }

    #[test]
    fn bounds_hold_and_candidates_are_exact() {
        let (n, width) = (300, 83);
        let matrix = matrix(n, width);
        let (cache, pool) = (KernelCache::default(), Pool::new(2).unwrap());
        for isa in Isa::available(Cpu::host()) {
            let planner = Planner::new(isa, Packing::Bytes);
            let screen = Screen::new(&matrix, (n, width), planner, &cache, &pool).unwrap();
            let mut scratch = Scratch::default();
            for seed in 0..20 {
                let outlier = if seed % 3 == 0 { 500.0 } else { 1.0 };
                let input =
                    |i: usize| ((i * i + seed) as f32 * 0.31).cos() * if i == 5 { outlier } else { 1.0 };
                let x: Vec<f32> = (0..width).map(input).collect();
                let exact: Vec<f32> = (0..n).map(|token| dot_stored(&x, matrix.row(token))).collect();
                screen.multiply(Team::new(&pool), &x, &mut scratch);
                screen.bound(&pool, 0, &mut scratch);
                for (exact, (lower, upper)) in exact.iter().zip(&scratch.bounds) {
                    assert!(lower <= exact && exact <= upper, "{exact} is not in {lower}..{upper}");
                }
                let best = exact.iter().copied().fold(f32::MIN, f32::max);
                let mut sorted = exact.clone();
                sorted.sort_by(|a, b| b.total_cmp(a));
                for (rule, least) in [
                    (Rule::Best, best),
                    (Rule::Top(10), sorted[9]),
                    (Rule::Within(2.5), best - 2.5),
                    (Rule::Top(0), f32::MIN),
                ] {
                    let candidates = Candidates { always: &[7, 11, u32::MAX], ..Candidates::by(rule) };
                    let mut logits = vec![0.0; n];
                    screen.logits(Team::new(&pool), &matrix, &x, &[candidates], &mut scratch, &mut logits);
                    for (token, (logit, exact)) in logits.iter().zip(&exact).enumerate() {
                        let wanted = *exact >= least || [7, 11].contains(&token);
                        assert!(logit == exact || !wanted && *logit == f32::NEG_INFINITY, "{rule:?} {token}");
                    }
                    // A mask excludes tokens, whether it leaves many or few.
                    for every in [2, 9] {
                        let allowed: Vec<u32> = (0..n as u32).filter(|token| token % every == 0).collect();
                        let mask = Mask::of(&allowed);
                        let candidates = Candidates { allowed: Some(&mask), ..Candidates::by(rule) };
                        screen.logits(
                            Team::new(&pool),
                            &matrix,
                            &x,
                            &[candidates],
                            &mut scratch,
                            &mut logits,
                        );
                        let mut left: Vec<f32> = allowed.iter().map(|&token| exact[token as usize]).collect();
                        left.sort_by(|a, b| b.total_cmp(a));
                        let least = match rule {
                            Rule::Best => left[0],
                            Rule::Top(count) => *left.get(count.wrapping_sub(1)).unwrap_or(&f32::MIN),
                            Rule::Within(distance) => left[0] - distance,
                        };
                        for (token, (logit, exact)) in logits.iter().zip(&exact).enumerate() {
                            let wanted = mask.contains(token as u32) && *exact >= least;
                            let may = mask.contains(token as u32) && logit == exact;
                            assert!(may || !wanted && *logit == f32::NEG_INFINITY, "{rule:?} {token}");
                        }
                    }
                }
            }
            screen.multiply(Team::new(&pool), &vec![1.0; width], &mut scratch);
            screen.bound(&pool, 0, &mut scratch);
            choose(Candidates::by(Rule::Best), &mut scratch);
            assert!(
                scratch.chosen.len() < n / 4,
                "{} of {n} rows are computed exactly",
                scratch.chosen.len()
            );
        }
    }
}
