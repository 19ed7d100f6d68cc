//! Layers whose outputs a gate multiplies: with a few tokens they compute only the rows with a positive gate.

use std::sync::Arc;

use tercet_codegen::sparse::{LINE, QUAD};
use tercet_codegen::{Activations, ColumnsMut, RowGemm, RowInput, RowMatrix};

use super::rivals::Rivals;
use crate::pool::{self, Team};

/// y = W x, for a ternary matrix W that is packed row by row.
#[derive(Debug)]
pub(super) struct RowLayer {
    pub(super) weights: RowMatrix,
    pub(super) kernels: Arc<Rivals<RowGemm>>,
}

/// Buffers for products of a few tokens.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    input: RowInput,
    /// Each task's `[quad of rows][token][row]`, and room.
    sums: Vec<i32>,
}

impl RowLayer {
    /// Returns true if rows of k weights can be packed.
    pub(super) fn suits(k: usize) -> bool {
        k.is_multiple_of(LINE) && k / LINE <= RowGemm::MOST_LINES
    }

    /// Writes the k weights of a row to `out`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        let weights = self.weights.row(row).map(|weight| self.weights.scale() * f32::from(weight));
        out.iter_mut().zip(weights).for_each(|(out, weight)| *out = weight);
    }

    /// Multiplies every token of `acts`. The products go to the start of `out`, token-major.
    ///
    /// # Panics
    /// If the activations are not k wide or have groups, or `out` holds fewer than tokens × n.
    pub(super) fn multiply(&self, team: Team<'_>, acts: &Activations, out: &mut [f32]) {
        let (tokens, n) = (acts.tokens(), self.weights.n());
        let columns = ColumnsMut::new(&mut out[..tokens * n], tokens, n);
        let grain = (n / (team.threads() * 8)).clamp(1, LINE).next_multiple_of(64);
        pool::for_columns(team, columns, grain, self.weights.k(), |columns| {
            let work = tokens * columns.columns().len() * self.weights.k();
            self.kernels.race(work, |kernels| kernels.compute(&self.weights, acts, columns));
        });
    }

    /// Does [`RowLayer::multiply`] for the rows whose gate is positive, or not a number, for some token. The others become 0.
    /// `gates` is tokens × n. Returns the bytes of the weights that it skips.
    ///
    /// # Panics
    /// As [`RowLayer::multiply`].
    pub(super) fn multiply_gated(
        &self,
        team: Team<'_>,
        acts: &Activations,
        gates: &[f32],
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> usize {
        let (tokens, n) = (acts.tokens(), self.weights.n());
        let out = &mut out[..tokens * n];
        out.fill(0.0);
        let (most, mut read) = (self.kernels.first().most_tokens(), 0);
        for first in (0..tokens).step_by(most) {
            scratch.input.set(&self.weights, gates, acts, first..tokens.min(first + most));
            let quads_of_task = self.multiply_listed(team, scratch);
            read += scratch.input.rows().len() * (self.weights.bytes() / n);
            for (token, out) in (first..).zip(out[first * n..].chunks_mut(n)).take(scratch.input.tokens()) {
                let factor = self.weights.scale() * acts.factors()[token];
                self.scatter(scratch, quads_of_task, token - first, |row, sum| {
                    out[row] = (sum - acts.sum(token)) as f32 * factor;
                });
            }
        }
        // Later tokens find some rows in a cache.
        self.weights.bytes().saturating_sub(read)
    }

    /// Calls `take` with every listed row and its sum for a token.
    fn scatter(
        &self,
        Scratch { input, sums }: &Scratch,
        quads_of_task: usize,
        token: usize,
        mut take: impl FnMut(usize, i32),
    ) {
        let room = input.tokens() * self.kernels.first().quad_room();
        let tasks = sums.chunks(quads_of_task * room).zip(input.rows().chunks(quads_of_task * QUAD));
        for (sums, rows) in tasks {
            for (sums, rows) in sums.chunks_exact(input.tokens() * QUAD).zip(rows.chunks(QUAD)) {
                rows.iter().zip(&sums[token * QUAD..]).for_each(|(row, sum)| take(*row as usize, *sum));
            }
        }
    }

    /// Multiplies the listed rows, in one job of the pool. Returns the quads of a task.
    fn multiply_listed(&self, team: Team<'_>, Scratch { input, sums }: &mut Scratch) -> usize {
        const TASKS_PER_THREAD: usize = 8;
        let (quads, numbers) = (input.quads(), input.tokens() * self.kernels.first().quad_room());
        let of_task = match team.threads() {
            1 => quads,
            threads => quads.div_ceil(threads * TASKS_PER_THREAD),
        }
        .max(1);
        sums.resize(quads * numbers, 0);
        team.chunks(sums, of_task * numbers, |task, sums| {
            if !team.is_cancelled() {
                let first = task * of_task;
                self.kernels.first().multiply(&self.weights, input, first..quads.min(first + of_task), sums);
            }
        });
        of_task
    }
}

#[cfg(test)]
mod tests {
    use tercet_codegen::{ColumnGemm, Isa, Packing};
    use tercet_cpu::Cpu;
    use tercet_formats::{Scales, Ternary};

    use super::super::input::{Input, Rounded};
    use super::super::packer::{Packer, Skipped};
    use crate::model::random_trits;
    use crate::pool::{self, Team};
    use crate::runtime::{Runtime, RuntimeOptions};

    const SHAPE: (usize, usize) = (333, 640);

    /// Returns gates of which some are negative, zero, or no numbers. Tokens have gates of their own.
    fn gates(tokens: usize) -> Vec<f32> {
        let gate = |i: usize| match i * i % 11 {
            0..5 => -1.0,
            5 => 0.0,
            6 => f32::NAN,
            _ => 2.0,
        };
        (0..tokens * SHAPE.0).map(gate).collect()
    }

    /// Returns products times their rectified gates.
    fn products((isa, packing): (Isa, Packing), threads: usize, gates: &[f32], skipped: Skipped) -> Vec<u32> {
        let (n, k) = SHAPE;
        let tokens = gates.len() / n;
        let options = RuntimeOptions {
            isa_cap: Some(isa),
            packing: Some(packing),
            threads: Some(threads),
            ..RuntimeOptions::default()
        };
        let runtime = Runtime::new(&options);
        let (packer, pool) = (Packer::new(&runtime), pool::start(threads).unwrap());
        let weights = Ternary { trits: random_trits(n * k, 7), scales: Scales::Tensor(0.25) };
        let layer = packer.skipping(skipped, (n, k), weights, None).unwrap();
        assert_eq!(packer.into_kernels().skips_rows((n, k)), skipped == Skipped::Rows, "{isa}");
        let x: Vec<f32> = (0..tokens * k).map(|i| (i as f32 * 0.7).sin()).collect();
        let (mut rounded, mut out) = (Rounded::new(tokens, k), vec![9.0; tokens * n]);
        Input::new(Team::new(&pool), &x, k, None, &mut rounded).multiply_gated(&layer, gates, &mut out);
        // As ReLU² has it: a gate that is no number counts.
        let rectified = |gate: f32| if gate <= 0.0 { 0.0 } else { gate };
        out.iter().zip(gates).map(|(y, gate)| (y * rectified(*gate) + 0.0).to_bits()).collect()
    }

    #[test]
    fn skipped_rows_change_no_bit_behind_the_gate() {
        let isas = Isa::available(Cpu::host());
        let (skipping, others): (Vec<Isa>, Vec<Isa>) =
            isas.into_iter().partition(|isa| ColumnGemm::exists_for(*isa));
        println!("no kernels skip rows on {others:?}");
        let kinds = skipping.into_iter().flat_map(|isa| Packing::TERNARY.map(|packing| (isa, packing)));
        for kind in kinds {
            for tokens in [1, 2, 3, 4, 5, 11, 17, 40] {
                let gates = gates(tokens);
                let expected = products(kind, 1, &gates, Skipped::Nothing);
                for threads in [1, 2, 3] {
                    let found = products(kind, threads, &gates, Skipped::Rows);
                    assert!(found == expected, "{kind:?}: {tokens} tokens on {threads} threads");
                }
            }
        }
    }
}
