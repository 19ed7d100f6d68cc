//! Ternary matrices whose scale differs from group to group of a row.

use tercet_codegen::{Activations, ColumnsMut, Gemm, Layout, PackedMatrix};
use tercet_pool::Pool;

use super::ops;
use crate::error::Result;
use crate::pool;

/// One packed matrix for each group of columns. A row's product is the sum over the groups, in their order, of the group's
/// integer sum times its scale: exact but for one rounding of each and of each addition.
#[derive(Debug)]
pub(super) struct GroupedMatrix {
    size: usize,
    groups: Vec<PackedMatrix>,
    /// group × n.
    scales: Vec<f32>,
}

impl GroupedMatrix {
    /// Packs the row-major n × k `trits`, of which every `size` in a row share one of the row-major `scales`.
    ///
    /// # Errors
    /// Those of [`PackedMatrix::pack`].
    pub(super) fn pack(
        layout: Layout,
        (n, k): (usize, usize),
        trits: &[i8],
        size: usize,
        scales: &[f32],
    ) -> Result<Self> {
        let count = k.div_ceil(size);
        let pack = |group: usize| {
            let columns = group * size..k.min((group + 1) * size);
            let trits: Vec<i8> =
                trits.chunks_exact(k).flat_map(|row| row[columns.clone()].iter().copied()).collect();
            PackedMatrix::pack(layout, n, columns.len(), &trits)
        };
        Ok(GroupedMatrix {
            size,
            groups: (0..count).map(pack).collect::<Result<_, _>>()?,
            scales: (0..count).flat_map(|group| scales.iter().skip(group).step_by(count).copied()).collect(),
        })
    }

    /// Rows.
    pub(super) fn n(&self) -> usize {
        self.groups[0].n()
    }

    /// Columns that share a scale.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Size of packed weights and scales.
    pub(super) fn bytes(&self) -> usize {
        self.groups.iter().map(PackedMatrix::bytes).sum::<usize>() + size_of_val(&self.scales[..])
    }

    /// Writes the weights of a row to `out`, k long.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        for (group, (weights, out)) in self.groups.iter().zip(out.chunks_mut(self.size)).enumerate() {
            let scale = self.scales[group * self.n() + row];
            out.iter_mut().zip(weights.row(row)).for_each(|(out, trit)| *out = scale * f32::from(trit));
        }
    }

    /// Multiplies every token of `acts`, a matrix for each group, into `out`, token-major. `gemm` stores integer sums.
    ///
    /// # Panics
    /// If the activations have other groups, or `out` is not tokens × n.
    pub(super) fn multiply(&self, pool: &Pool, gemm: &Gemm, acts: &[Activations], out: &mut [f32]) {
        assert_eq!(acts.len(), self.groups.len(), "activations and weights differ in groups");
        let (tokens, n) = (acts[0].tokens(), self.n());
        let grain = self.grain(pool.threads(), tokens);
        pool::for_columns(pool, ColumnsMut::new(out, tokens, n), grain, |mut out| {
            let rows = out.columns();
            let mut sums = vec![0; tokens * rows.len()];
            (0..tokens).for_each(|token| out.row_mut(token).fill(0.0));
            for ((weights, acts), scales) in self.groups.iter().zip(acts).zip(self.scales.chunks_exact(n)) {
                gemm.compute(weights, acts, ColumnsMut::window(&mut sums, tokens, rows.clone()));
                for (token, sums) in sums.chunks_exact(rows.len()).enumerate() {
                    let factor = acts.factors()[token];
                    ops::add_scaled(out.row_mut(token), sums, &scales[rows.clone()], factor);
                }
            }
        });
    }

    /// Rows per task: whole row blocks whose sums stay in a core's nearest caches, and enough tasks for all threads.
    fn grain(&self, threads: usize, tokens: usize) -> usize {
        const TASKS_PER_THREAD: usize = 4;
        const SUMS: usize = 1 << 14;
        let layout = self.groups[0].layout();
        let fair = layout.row_blocks(self.n()).div_ceil(threads * TASKS_PER_THREAD);
        let near = (SUMS / (tokens * layout.block_rows())).max(1);
        fair.min(near) * layout.block_rows()
    }
}

#[cfg(test)]
mod tests {
    use tercet_autotune::{Planner, Problem};
    use tercet_codegen::{Cpu, Epilogue, KernelCache, KernelSpec, Packing};

    use super::*;
    use crate::model::random_trits;

    #[test]
    fn products_are_those_of_plain_arithmetic_on_every_kernel() {
        let (cache, pool) = (KernelCache::default(), Pool::new(2).unwrap());
        for (n, k, size, tokens) in [(1, 5, 2, 1), (70, 300, 128, 1), (130, 256, 64, 7), (33, 96, 96, 40)] {
            let trits = random_trits(n * k, 3);
            let count = k.div_ceil(size);
            let scales: Vec<f32> = (0..n * count).map(|i| 0.001 * (1 + i * 7 % 13) as f32).collect();
            let act = |token: usize, column: usize| ((token * 31 + column * 17) % 255) as i8;
            let factor = |token: usize, group: usize| 0.5 + (token * 3 + group) as f32 * 0.25;
            let acts: Vec<Activations> = (0..count)
                .map(|group| {
                    let columns = group * size..k.min((group + 1) * size);
                    let mut acts = Activations::with_capacity(tokens, columns.len());
                    for (token, mut row) in acts.rows_mut().enumerate() {
                        row.set(|out| {
                            out.iter_mut()
                                .zip(columns.clone())
                                .for_each(|(a, column)| *a = act(token, column));
                            factor(token, group)
                        });
                    }
                    acts
                })
                .collect();
            let expected: Vec<f32> = (0..tokens * n)
                .map(|at| {
                    let (token, row) = (at / n, at % n);
                    (0..count).fold(0.0, |y, group| {
                        let columns = group * size..k.min((group + 1) * size);
                        let product = |c: usize| i32::from(trits[row * k + c]) * i32::from(act(token, c));
                        let sum: i32 = columns.map(product).sum();
                        y + sum as f32 * (scales[row * count + group] * factor(token, group))
                    })
                })
                .collect();
            for (isa, packing) in
                Cpu::host().isas().into_iter().flat_map(|isa| Packing::TERNARY.map(|packing| (isa, packing)))
            {
                let planner = Planner::new(isa, packing);
                let plan = planner.plan(&Problem { n, k: size, m: tokens, threads: 2 });
                let gemm = Gemm::new(&cache, KernelSpec { epilogue: Epilogue::I32, ..plan.spec }).unwrap();
                let matrix = GroupedMatrix::pack(planner.layout(), (n, k), &trits, size, &scales).unwrap();
                let mut out = vec![f32::NAN; tokens * n];
                matrix.multiply(&pool, &gemm, &acts, &mut out);
                assert_eq!(out, expected, "{isa} {packing} {n}x{k}/{size}, {tokens} tokens");
                let mut row = vec![f32::NAN; k];
                matrix.read_row(n - 1, &mut row);
                let weight =
                    |c: usize| scales[(n - 1) * count + c / size] * f32::from(trits[(n - 1) * k + c]);
                assert_eq!(row, (0..k).map(weight).collect::<Vec<_>>());
            }
        }
    }
}
