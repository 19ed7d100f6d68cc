//! One token's products with a screen, and the bounds that follow from them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tercet_codegen::Activations;
use tercet_pool::Pool;

use super::bounds::Input;
use super::candidates::matters;
use super::planes::{LOW_PLANES, Planes};
use super::rows::RowBounds;
use crate::vectors::estimate::Estimate;

/// One token's products.
pub(super) struct Screened<'a> {
    pub(super) planes: &'a Planes,
    pub(super) rows: &'a RowBounds,
    pub(super) input: &'a Input,
    /// a₁. It holds no other token if [`Screened::refine`] shall read low planes.
    pub(super) first: &'a Activations,
    /// h·a₁ of every row, then h·a₂ of every row.
    pub(super) high: &'a [i32],
    /// The products of every row of each low plane that was multiplied, with a₁.
    pub(super) low: [&'a [i32]; LOW_PLANES],
    /// The low planes that were multiplied.
    pub(super) depth: usize,
}

/// The low planes that a choice needed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needed {
    /// The low planes that most rows needed.
    pub(super) depth: usize,
    /// Rows that were read from low planes in blocks, over all planes.
    pub(super) rows: usize,
}

/// Rows per task: whole blocks of a low plane.
const ROWS: usize = 512;

/// A block of a low plane is read if more than one in so many of its rows can matter. A stored row has as many bytes as eight
/// rows of a low plane. But it lies alone in memory, and may have to be read from a file.
const RARE: usize = 16;

impl Screened<'_> {
    /// Estimates every row's logit from the planes that were multiplied.
    pub(super) fn estimate(&self, pool: &Pool, estimates: &mut Vec<Estimate>) {
        let n = self.rows.len();
        estimates.resize(n, Estimate::default());
        pool.chunks(estimates, ROWS, |chunk, estimates| {
            let first = chunk * ROWS;
            let high = [first, n + first].map(|at| &self.high[at..][..estimates.len()]);
            self.input.estimate(self.rows, first, high, estimates);
            for (plane, low) in self.low.iter().enumerate().take(self.depth) {
                self.input.narrow(self.rows, first, plane, &low[first..], estimates);
            }
        });
    }

    /// Narrows estimates with the other low planes, in blocks where many rows can matter beside a logit of `least`.
    pub(super) fn refine(&self, pool: &Pool, estimates: &mut [Estimate], least: f32) -> Needed {
        let mut needed = Needed { depth: self.depth, rows: 0 };
        for plane in self.depth..self.planes.low_planes() {
            let read = self.refine_by(plane, pool, estimates, least);
            if read == 0 {
                break;
            }
            needed.rows += read;
            if read * 2 > self.rows.len() {
                needed.depth = plane + 1;
            }
        }
        needed
    }

    /// Narrows estimates with low plane `plane`. Returns the number of rows that it read.
    fn refine_by(&self, plane: usize, pool: &Pool, estimates: &mut [Estimate], least: f32) -> usize {
        let many = |block: &[Estimate]| {
            let matter = block.iter().filter(|estimate| matters(estimate.upper, least));
            matter.count() * RARE > block.len()
        };
        let all = AtomicUsize::new(0);
        pool.chunks(estimates, ROWS, |chunk, estimates| {
            let (mut sums, mut rest) = ([0; ROWS], estimates);
            let mut row = chunk * ROWS;
            // Adjacent blocks are read in one go.
            while !rest.is_empty() {
                let blocks = rest.chunks(self.planes.block_rows());
                let read = blocks.clone().next().is_some_and(many);
                let len = blocks.take_while(|block| many(block) == read).map(<[_]>::len).sum();
                let (run, others) = rest.split_at_mut(len);
                if read {
                    let sums = &mut sums[..len];
                    self.planes.multiply_low_rows(plane, row..row + len, self.first, sums);
                    self.input.narrow(self.rows, row, plane, sums, run);
                    all.fetch_add(len, Ordering::Relaxed);
                }
                (row, rest) = (row + len, others);
            }
        });
        all.into_inner()
    }
}
