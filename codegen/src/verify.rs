//! Compares micro-kernels with the plain reference, bit for bit.

use tercet_kernels_ref::gemm::gemm as reference;
use tercet_kernels_ref::random::SplitMix;

use crate::activations::Activations;
use crate::cache::KernelCache;
use crate::columns::ColumnsMut;
use crate::emit;
use crate::gemm::Gemm;
use crate::isa::Isa;
use crate::kernel::KernelError;
use crate::packing::{Layout, PANEL_ROWS, PackedMatrix, Packing};
use crate::spec::{Epilogue, KernelSpec, Prefetch, Schedule, Tile};

/// Sizes at the edges of vectors, panels, steps and row blocks, and sizes of real models.
pub const AWKWARD_SIZES: [usize; 12] = [1, 3, 15, 16, 17, 64, 100, 640, 2560, 3200, 6912, 8640];

/// Scale of the matrices that [`Expected::pack`] makes.
pub const SCALE: f32 = 0.71;

/// The operands of one product and the reference's result.
#[derive(Debug)]
pub struct Expected {
    n: usize,
    k: usize,
    weights: Vec<i8>,
    acts: Vec<i8>,
    sums: Vec<i32>,
}

impl Expected {
    /// Returns seeded operands for `m` tokens. Some rows have only the least weight, only the largest or only 0. Some tokens
    /// have only -128, only 0 or only 127.
    pub fn new(packing: Packing, n: usize, k: usize, m: usize) -> Self {
        let mut random = SplitMix(0x7e2c_e700 ^ (n as u64) << 32 ^ k as u64);
        let (least, most) = packing.weights().into_inner();
        let values = (most - least) as u64 + 1;
        let mut weights: Vec<i8> = (0..n * k).map(|_| least + (random.next_u64() % values) as i8).collect();
        for (row, weights) in weights.chunks_mut(k).enumerate() {
            match row % 7 {
                2 => weights.fill(most),
                3 => weights.fill(least),
                5 => weights.fill(0),
                _ => {}
            }
        }
        let mut acts: Vec<i8> = (0..m * k).map(|_| random.next_u64() as i8).collect();
        for (token, acts) in acts.chunks_mut(k).enumerate() {
            match token % 8 {
                1 => acts.fill(-128),
                3 => acts.fill(127),
                6 => acts.fill(0),
                _ => {}
            }
        }
        let sums = reference(&weights, &acts, n, k, m);
        Expected { n, k, weights, acts, sums }
    }

    /// Packs the weights in `layout`.
    pub fn pack(&self, layout: Layout) -> PackedMatrix {
        PackedMatrix::pack(layout, self.n, self.k, &self.weights)
            .expect("the weights are the packing's")
            .with_scale(SCALE)
    }

    /// Multiplies the first `m` tokens with `gemm`, and returns the first difference.
    pub fn judge(&self, gemm: &Gemm, packed: &PackedMatrix, m: usize) -> Option<Mismatch> {
        let (acts, spec) = (self.activations(m), *gemm.spec());
        let found: Vec<u32> = match spec.epilogue {
            Epilogue::I32 => {
                let mut out = vec![i32::MIN; m * self.n];
                gemm.compute(packed, &acts, ColumnsMut::new(&mut out, m, self.n));
                out.into_iter().map(|sum| sum as u32).collect()
            }
            Epilogue::F32 => {
                let mut out = vec![f32::NAN; m * self.n];
                gemm.compute(packed, &acts, ColumnsMut::new(&mut out, m, self.n));
                out.into_iter().map(f32::to_bits).collect()
            }
        };
        self.compare(&spec, m, &found)
    }

    /// Returns the first `m` tokens, each with a factor of its own.
    pub(crate) fn activations(&self, m: usize) -> Activations {
        let mut acts = Activations::with_capacity(m, self.k);
        for (token, (mut row, values)) in acts.rows_mut().zip(self.acts.chunks(self.k)).enumerate() {
            row.set(|to| {
                to.copy_from_slice(values);
                factor(token)
            });
        }
        acts
    }

    /// Returns the first error in `found`, the bits of the m × n outputs of the kernels of `spec`.
    pub(crate) fn compare(&self, spec: &KernelSpec, m: usize, found: &[u32]) -> Option<Mismatch> {
        let Self { n, k, .. } = *self;
        assert_eq!(found.len(), m * n);
        let expected = |i: usize| match spec.epilogue {
            Epilogue::I32 => self.sums[i] as u32,
            Epilogue::F32 => (self.sums[i] as f32 * (SCALE * factor(i / n))).to_bits(),
        };
        let at = (0..found.len()).find(|&i| found[i] != expected(i));
        at.map(|i| Mismatch { spec: *spec, n, k, m, token: i / n, row: i % n })
    }
}

/// Returns the factor of a token.
fn factor(token: usize) -> f32 {
    0.37 + token as f32
}

/// The place of a kernel's first error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{spec}: {n} x {k}, {m} token(s): wrong at token {token}, row {row}")]
pub struct Mismatch {
    /// The kernel.
    pub spec: KernelSpec,
    /// Output features.
    pub n: usize,
    /// Input features.
    pub k: usize,
    /// Tokens in the product.
    pub m: usize,
    /// First wrong token.
    pub token: usize,
    /// First wrong row.
    pub row: usize,
}

/// Variants of each strategy in [`specs`].
const VARIANTS: usize = 3;

/// Returns characteristic kernels of the family for `packing`, numbered by variant. Each strategy has wide and narrow
/// tiles, and both epilogues.
pub fn specs(isa: Isa, packing: Packing) -> Vec<(usize, KernelSpec)> {
    let family = emit::family(isa);
    let variants: [_; VARIANTS] = [
        (family.interleave, family.interleave * PANEL_ROWS, 2, 4096, Epilogue::F32),
        (family.interleave, PANEL_ROWS, 3, 0, Epilogue::I32),
        (2, 2 * PANEL_ROWS, 1, 512, Epilogue::I32),
    ];
    let mut specs = Vec::new();
    for unpack in family.strategies(packing) {
        for (variant, (interleave, nr, ku, prefetch, epilogue)) in variants.into_iter().enumerate() {
            let layout = Layout { packing, interleave };
            let schedule = Schedule { unpack, prefetch: Prefetch::near(prefetch) };
            let spec = KernelSpec { isa, layout, tile: Tile { mr: 1, nr, ku }, schedule, epilogue };
            let widest =
                (1..=Tile::MAX_MR).rev().map(|mr| spec.with_tokens(mr)).find(|s| s.validate().is_ok());
            specs.extend(widest.map(|spec| (variant, spec)));
        }
    }
    specs
}

/// The result of [`run`] for one family and packing.
#[derive(Clone, Debug)]
pub struct Report {
    /// The family.
    pub isa: Isa,
    /// The packing.
    pub packing: Packing,
    /// Number of products.
    pub cases: usize,
    /// Wrong products.
    pub failures: Vec<Mismatch>,
}

/// Multiplies an n × k matrix with each number of `tokens`, and compares with the reference.
///
/// It uses the [`specs`] of every family in `isas`. Large matrices take only the first spec of each strategy.
///
/// # Errors
/// Fails if a kernel cannot be made.
pub fn run(
    cache: &KernelCache,
    isas: &[Isa],
    (n, k): (usize, usize),
    tokens: &[usize],
) -> Result<Vec<Report>, KernelError> {
    const LARGE: usize = 1 << 20;
    let most = tokens.iter().copied().max().unwrap_or(0);
    let ternary = Expected::new(Packing::Bits2, n, k, most);
    let others =
        [Packing::Bits4, Packing::Bytes].map(|packing| (packing, Expected::new(packing, n, k, most)));
    let families = isas.iter().flat_map(|&isa| Packing::ALL.map(|packing| (isa, packing)));
    let judge = |(isa, packing)| {
        let mut report = Report { isa, packing, cases: 0, failures: Vec::new() };
        let other = others.iter().find(|(other, _)| *other == packing);
        let expected = other.map_or(&ternary, |(_, expected)| expected);
        let variants = if n * k < LARGE { VARIANTS } else { 1 };
        for spec in
            specs(isa, packing).into_iter().filter(|(variant, _)| *variant < variants).map(|(_, spec)| spec)
        {
            let (gemm, packed) = (Gemm::new(cache, spec)?, expected.pack(spec.layout));
            report.cases += tokens.len();
            report.failures.extend(tokens.iter().filter_map(|&m| expected.judge(&gemm, &packed, m)));
        }
        Ok(report)
    };
    families.map(judge).collect()
}

impl Report {
    /// Adds up the reports of several matrices, all with the same families.
    pub fn sum(matrices: impl IntoIterator<Item = Vec<Report>>) -> Vec<Report> {
        let mut matrices = matrices.into_iter();
        let mut sum = matrices.next().unwrap_or_default();
        for reports in matrices {
            for (sum, report) in sum.iter_mut().zip(reports) {
                sum.cases += report.cases;
                sum.failures.extend(report.failures);
            }
        }
        sum
    }
}
