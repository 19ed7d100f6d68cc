//! Puts products Y = X·Wᵀ into the memory of an emulated program, and checks the outputs.

use super::elf::Program;
use super::emulator::{Calls, Outcome, run};
use crate::emit;
use crate::packing::{BLOCK_BYTES, PANEL_ROWS, PackedMatrix};
use crate::spec::{Epilogue, KernelArgs, KernelSpec};
use crate::verify::{Expected, Mismatch, SCALE};

/// The value of output bytes before the kernels run.
const UNTOUCHED: u8 = 0xEE;

/// One product of `m` tokens.
pub(super) struct Product<'a> {
    pub(super) expected: &'a Expected,
    pub(super) spec: KernelSpec,
    pub(super) n: usize,
    pub(super) m: usize,
}

impl Product<'_> {
    fn padded(&self) -> usize {
        self.n.next_multiple_of(self.spec.layout.block_rows())
    }

    /// Adds operands, outputs and calls to a program. `change` may edit the emitted code.
    ///
    /// Returns address and length of the outputs.
    fn add(&self, program: &mut Program, calls: &mut Calls, change: &dyn Fn(&mut [u8])) -> (u64, usize) {
        let (spec, m) = (&self.spec, self.m);
        let packed = self.expected.pack(spec.layout);
        let acts = self.expected.activations(m);
        let weights = program.data(&bytes(&packed), false);
        let rows: Vec<u8> = (0..m).flat_map(|token| acts.row(token).iter().map(|&a| a as u8)).collect();
        let rows = program.data(&rows, false);
        let zero_point = i32::from(spec.layout.packing.zero_point());
        let zero_points = acts.sums().iter().flat_map(|sum| (zero_point * sum).to_le_bytes());
        let zero_points = program.data(&zero_points.collect::<Vec<u8>>(), false);
        let factors: Vec<u8> = acts.factors().iter().flat_map(|f| (SCALE * f).to_le_bytes()).collect();
        let factors = if spec.epilogue == Epilogue::F32 { program.data(&factors, false) } else { 0 };
        let out_bytes = 4 * m * self.padded();
        let out = program.data(&vec![UNTOUCHED; out_bytes], true);
        let steps = packed.steps();

        let (mut arguments, mut kernels) = (Vec::new(), Vec::new());
        // With few tokens, one call computes all tiles, like in the macro-kernel.
        let chunks = m.div_ceil(spec.tile.mr);
        let few = chunks == 1 && spec.tile.nr == spec.layout.block_rows();
        let tiles = if few { self.padded() / spec.tile.nr } else { 1 };
        let tile_stride = steps * spec.layout.interleave * BLOCK_BYTES;
        for column in (0..self.padded()).step_by(tiles * spec.tile.nr) {
            for chunk in 0..chunks {
                let (token, end) = (chunk * m / chunks, (chunk + 1) * m / chunks);
                let block = spec.layout.block_index(column / PANEL_ROWS, 0, steps);
                let words: [u64; size_of::<KernelArgs>() / 8] = [
                    weights + (block * BLOCK_BYTES) as u64,
                    rows + (token * acts.stride()) as u64,
                    acts.stride() as u64,
                    steps as u64,
                    zero_points + 4 * token as u64,
                    if factors > 0 { factors + 4 * token as u64 } else { 0 },
                    out + 4 * (token * self.padded() + column) as u64,
                    4 * self.padded() as u64,
                    tiles as u64,
                    tile_stride as u64,
                    0,
                    0,
                    0,
                ];
                arguments.extend(words.iter().flat_map(|word| word.to_le_bytes()));
                kernels.push(spec.with_tokens(end - token));
            }
        }
        let first = program.data(&arguments, true);
        for (spec, argument) in kernels.into_iter().zip((first..).step_by(size_of::<KernelArgs>())) {
            calls.push(spec, argument, || {
                let mut code = emit::emit(&spec).unwrap().unwrap().code;
                change(&mut code);
                code
            });
        }
        (out, out_bytes)
    }

    /// Returns the first wrong output, and checks that the padding rows give zero.
    fn judge(&self, out: &[u8]) -> Option<Mismatch> {
        let words: Vec<u32> = out.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let found: Vec<u32> = words.chunks(self.padded()).flat_map(|row| row[..self.n].to_vec()).collect();
        let mismatch = self.expected.compare(&self.spec, self.m, &found);
        let padding = || words.chunks(self.padded()).flat_map(|row| &row[self.n..]);
        assert!(mismatch.is_some() || padding().all(|word| word << 1 == 0), "{}: padding", self.spec);
        mismatch
    }
}

/// Returns the bytes of the matrix in memory order.
fn bytes(packed: &PackedMatrix) -> Vec<u8> {
    packed.blocks().iter().flat_map(|block| block.0).collect()
}

/// Computes `products` on the CPU model `cpu`, and returns the mismatch of each product.
///
/// `change` may edit the emitted code. Returns `None` if there is no emulator.
///
/// # Panics
/// Panics if the program does not return.
pub(super) fn judge(
    cpu: &str,
    products: &[Product<'_>],
    change: &dyn Fn(&mut [u8]),
) -> Option<Vec<Option<Mismatch>>> {
    match execute(cpu, products, change)? {
        Outcome::Returned(mut out) => {
            let judged = products.iter().map(|product| {
                let rest = out.split_off(4 * product.m * product.padded());
                product.judge(&std::mem::replace(&mut out, rest))
            });
            Some(judged.collect())
        }
        outcome => panic!("{cpu}, {} and others: {outcome:?}", products[0].spec),
    }
}

/// Computes `products` and returns the bytes of their outputs. `None` if there is no emulator.
pub(super) fn execute(cpu: &str, products: &[Product<'_>], change: &dyn Fn(&mut [u8])) -> Option<Outcome> {
    let (mut program, mut calls) = (Program::new(), Calls::default());
    let outputs: Vec<_> =
        products.iter().map(|product| product.add(&mut program, &mut calls, change)).collect();
    run(cpu, program, &calls, &outputs)
}
