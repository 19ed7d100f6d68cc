//! Layers whose input has many zeros: with a few tokens they read only the columns of the others.

use std::sync::Arc;

use tercet_codegen::sparse::STRIP_ROWS;
use tercet_codegen::{Activations, ColumnGemm, ColumnInput, ColumnMatrix, ColumnsMut};

use super::linear::planned_for;
use super::rivals::Rivals;
use crate::pool::{self, Team};

/// y = W x, for a ternary matrix W that is packed column by column.
#[derive(Debug)]
pub(super) struct ColumnLayer {
    pub(super) weights: ColumnMatrix,
    pub(super) kernels: Arc<Rivals<ColumnGemm>>,
}

/// Buffers for products of a few tokens.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    input: ColumnInput,
    /// `[strip][part of the columns][token][row]`.
    sums: Vec<i32>,
    /// Bytes of the weights that the last product skipped.
    pub(super) skipped_bytes: usize,
}

impl ColumnLayer {
    /// Returns true if n rows fill their strips well enough.
    pub(super) fn suits(n: usize) -> bool {
        n.next_multiple_of(STRIP_ROWS) <= n + n / 16
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
    pub(super) fn multiply(
        &self,
        team: Team<'_>,
        acts: &Activations,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let (tokens, n) = (acts.tokens(), self.weights.n());
        let out = &mut out[..tokens * n];
        if planned_for(tokens) == planned_for(usize::MAX) {
            let columns = ColumnsMut::new(out, tokens, n);
            let grain = if self.weights.strips() < 4 * team.threads() { STRIP_ROWS / 5 } else { STRIP_ROWS };
            return pool::for_columns(team, columns, grain, self.weights.k(), |columns| {
                let work = tokens * columns.columns().len() * self.weights.k();
                self.kernels.race(work, |kernels| kernels.compute(&self.weights, acts, columns));
            });
        }
        let Scratch { input, sums, skipped_bytes } = scratch;
        let kernels = self.kernels.first();
        input.set(acts, kernels.most_tokens());
        *skipped_bytes = self.weights.bytes().saturating_sub(self.weights.strips() * input.strip_bytes());
        let parts = self.parts(team.threads(), input.quads());
        sums.resize(self.weights.strips() * parts * tokens * STRIP_ROWS, 0);
        team.chunks(sums, tokens * STRIP_ROWS, |task, sums| {
            if !team.is_cancelled() {
                let (strip, part) = (task / parts, task % parts);
                let quads = part * input.quads() / parts..(part + 1) * input.quads() / parts;
                kernels.visit(&self.weights, strip, input, quads, sums);
            }
        });
        team.chunks(out, n, |token, out| {
            let strips = sums.chunks(parts * tokens * STRIP_ROWS);
            let factor = self.weights.scale() * acts.factors()[token];
            for (out, parts) in out.chunks_mut(STRIP_ROWS).zip(strips) {
                let parts = parts.chunks_exact(tokens * STRIP_ROWS);
                finish(parts.map(|part| &part[token * STRIP_ROWS..]), acts.sum(token), factor, out);
            }
        });
    }

    /// Returns the number of parts into which the columns are cut, so that every thread has a few tasks.
    fn parts(&self, threads: usize, quads: usize) -> usize {
        const TASKS_PER_THREAD: usize = 4;
        match threads {
            1 => 1,
            _ => (threads * TASKS_PER_THREAD).div_ceil(self.weights.strips()).min(quads).max(1),
        }
    }
}

/// Writes the rows of a strip: the sums of all parts less `sum`, times `factor`. A code is the weight plus 1, and `sum` is
/// that of the activations.
fn finish<'a>(parts: impl Iterator<Item = &'a [i32]> + Clone, sum: i32, factor: f32, out: &mut [f32]) {
    for (row, out) in out.iter_mut().enumerate() {
        let codes: i32 = parts.clone().map(|part| part[row]).sum();
        *out = (codes - sum) as f32 * factor;
    }
}

#[cfg(test)]
mod tests {
    use tercet_formats::{Scales, Ternary};

    use super::super::input::{Input, Rounded};
    use super::super::packer::{Packer, Skipped};
    use crate::model::random_trits;
    use crate::pool::{self, Team};
    use crate::runtime::{Runtime, RuntimeOptions};
    use tercet_codegen::{ColumnGemm, Isa, Packing};
    use tercet_cpu::Cpu;

    /// Returns the products of tokens with some zeros, by a layer that skips their columns or by another one.
    fn products((isa, packing): (Isa, Packing), threads: usize, tokens: usize, skips: bool) -> Vec<u32> {
        let (n, k) = (640, 333);
        let options = RuntimeOptions {
            isa_cap: Some(isa),
            packing: Some(packing),
            threads: Some(threads),
            ..RuntimeOptions::default()
        };
        let runtime = Runtime::new(&options);
        let (packer, pool) = (Packer::new(&runtime), pool::start(threads).unwrap());
        let weights = Ternary { trits: random_trits(n * k, 7), scales: Scales::Tensor(0.25) };
        let skipped = if skips { Skipped::Columns } else { Skipped::Nothing };
        let layer = packer.skipping(skipped, (n, k), weights, None).unwrap();
        assert_eq!(packer.into_kernels().skips_columns((n, k)), skips, "{isa}");
        let value = |i: usize| if i * i % 11 < 7 { 0.0 } else { (i as f32 * 0.7).sin() };
        let x: Vec<f32> = (0..tokens * k).map(value).collect();
        let (mut rounded, mut out) = (Rounded::new(tokens, k), vec![0.0; tokens * n]);
        Input::new(Team::new(&pool), &x, k, None, &mut rounded).multiply([(&layer, &mut out)]);
        out.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn skipped_columns_change_no_bit() {
        let isas = Isa::available(Cpu::host());
        let (skipping, others): (Vec<Isa>, Vec<Isa>) =
            isas.into_iter().partition(|isa| ColumnGemm::exists_for(*isa));
        println!("no kernels skip columns on {others:?}");
        for (isa, packing) in
            skipping.into_iter().flat_map(|isa| Packing::TERNARY.map(|packing| (isa, packing)))
        {
            for tokens in [1, 2, 3, 7, 16, 17, 40] {
                let expected = products((isa, packing), 1, tokens, false);
                for threads in [1, 2, 3] {
                    let found = products((isa, packing), threads, tokens, true);
                    assert!(found == expected, "{isa} {packing}: {tokens} tokens on {threads} threads");
                }
            }
        }
    }
}
