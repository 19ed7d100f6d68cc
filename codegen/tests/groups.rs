//! Matrices with a scale for each group of a row, on every kernel that this CPU can run.

use tercet_codegen::verify::specs;
use tercet_codegen::{
    Activations, ColumnsMut, Epilogue, Gemm, Isa, KernelCache, KernelSpec, PackedMatrix, Packing,
};
use tercet_cpu::Cpu;

/// Operands of one product: n × k trits, and int8 activations of some tokens.
struct Product {
    n: usize,
    k: usize,
    /// Columns that share a scale.
    size: usize,
    tokens: usize,
}

impl Product {
    fn groups(&self) -> usize {
        self.k.div_ceil(self.size)
    }

    fn trits(&self) -> Vec<i8> {
        (0..self.n * self.k).map(|i| (i * i % 11 % 3) as i8 - 1).collect()
    }

    fn scales(&self) -> Vec<f32> {
        (0..self.n * self.groups()).map(|i| 0.001 * (1 + i * 7 % 13) as f32).collect()
    }

    fn act(&self, token: usize, column: usize) -> i8 {
        ((token * 31 + column * 17) % 255) as i8
    }

    fn factor(&self, token: usize, group: usize) -> f32 {
        0.5 + (token * 3 + group) as f32 * 0.25
    }

    fn activations(&self) -> Activations {
        let mut acts = Activations::default();
        acts.reset_groups(self.tokens, self.k, self.size);
        for (i, mut row) in acts.rows_mut().enumerate() {
            let (token, group) = (i % self.tokens, i / self.tokens);
            row.set(|out| {
                let columns = group * self.size..self.k.min((group + 1) * self.size);
                assert_eq!(out.len(), columns.len());
                out.iter_mut().zip(columns).for_each(|(out, column)| *out = self.act(token, column));
                self.factor(token, group)
            });
        }
        acts
    }

    /// Computes the product of one token and row in plain arithmetic.
    fn expected(&self, token: usize, row: usize) -> f32 {
        let (trits, scales) = (self.trits(), self.scales());
        (0..self.groups()).fold(0.0, |y, group| {
            let columns = group * self.size..self.k.min((group + 1) * self.size);
            let product = |c: usize| i32::from(trits[row * self.k + c]) * i32::from(self.act(token, c));
            let sum: i32 = columns.map(product).sum();
            y + sum as f32 * (scales[row * self.groups() + group] * self.factor(token, group))
        })
    }
}

#[test]
fn products_are_those_of_plain_arithmetic_on_every_kernel() {
    let cache = KernelCache::default();
    for (n, k, size, tokens) in
        [(1, 5, 2, 1), (70, 300, 128, 1), (130, 256, 64, 7), (33, 96, 96, 40), (16, 1000, 20, 3)]
    {
        let product = Product { n, k, size, tokens };
        let expected: Vec<f32> = (0..tokens * n).map(|at| product.expected(at / n, at % n)).collect();
        let kernels = Isa::available(Cpu::host())
            .into_iter()
            .flat_map(|isa| Packing::TERNARY.map(|packing| (isa, packing)));
        for (_, spec) in kernels.flat_map(|(isa, packing)| specs(isa, packing)) {
            let spec = KernelSpec { epilogue: Epilogue::I32, ..spec };
            let matrix =
                PackedMatrix::pack_groups(spec.layout, (n, k), &product.trits(), size, &product.scales())
                    .unwrap();
            let mut out = vec![f32::NAN; tokens * n];
            let gemm = Gemm::new(&cache, spec).unwrap();
            gemm.compute_groups(&matrix, &product.activations(), ColumnsMut::new(&mut out, tokens, n));
            assert_eq!(out, expected, "{spec}, {n}x{k}/{size}, {tokens} tokens");
        }
    }
}

#[test]
fn rows_are_read_with_their_scales() {
    let product = Product { n: 40, k: 300, size: 128, tokens: 1 };
    let (trits, scales) = (product.trits(), product.scales());
    for packing in Packing::TERNARY {
        let layout = tercet_codegen::Layout { packing, interleave: 2 };
        let matrix = PackedMatrix::pack_groups(layout, (40, 300), &trits, 128, &scales).unwrap();
        assert_eq!(matrix.unpack(), trits);
        for row in [0, 17, 39] {
            let mut found = vec![f32::NAN; 300];
            matrix.read_row(row, &mut found);
            let weight = |c: usize| scales[row * 3 + c / 128] * f32::from(trits[row * 300 + c]);
            assert_eq!(found, (0..300).map(weight).collect::<Vec<_>>());
        }
    }
}

/// Kept tokens keep their values in every group.
#[test]
fn the_last_tokens_are_kept() {
    let product = Product { n: 20, k: 100, size: 40, tokens: 5 };
    let mut acts = product.activations();
    acts.keep_last(2);
    assert_eq!(acts.tokens(), 2);
    let cache = KernelCache::default();
    let spec =
        KernelSpec { epilogue: Epilogue::I32, ..specs(Isa::available(Cpu::host())[0], Packing::Bits2)[0].1 };
    let matrix =
        PackedMatrix::pack_groups(spec.layout, (20, 100), &product.trits(), 40, &product.scales()).unwrap();
    let mut out = vec![f32::NAN; 40];
    Gemm::new(&cache, spec).unwrap().compute_groups(&matrix, &acts, ColumnsMut::new(&mut out, 2, 20));
    let expected: Vec<f32> = (0..40).map(|at| product.expected(3 + at / 20, at % 20)).collect();
    assert_eq!(out, expected);
}
