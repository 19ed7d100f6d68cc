//! Times every strategy of the best family on one core: `cargo run --release -p tercet-codegen --example time`.

use std::error::Error;
use std::time::{Duration, Instant};

use tercet_codegen::{Activations, ColumnsMut, Gemm, Isa, KernelCache, PackedMatrix, Packing, verify};
use tercet_cpu::Cpu;

/// Output and input features, as in a layer of BitNet b1.58 2B-4T.
const SHAPE: (usize, usize) = (2560, 2560);
/// Runs of a kernel, of which the fastest counts.
const RUNS: usize = 10;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (n, k) = SHAPE;
    let (cache, isa) = (KernelCache::default(), Isa::best(Cpu::host()));
    let weights: Vec<i8> = (0..n * k).map(|i| (i * 7 % 3) as i8 - 1).collect();
    for packing in Packing::TERNARY {
        for (_, spec) in verify::specs(isa, packing).into_iter().filter(|(variant, _)| *variant == 0) {
            // One token, as in decode. The first variant stores floats.
            let spec = spec.with_tokens(1);
            let (gemm, packed) = (Gemm::new(&cache, spec)?, PackedMatrix::pack(spec.layout, n, k, &weights)?);
            let mut x = Activations::with_capacity(1, k);
            x.reset(1, k);
            let mut y = vec![0.0f32; n];
            let time = (0..RUNS).map(|_| {
                let start = Instant::now();
                gemm.compute(&packed, &x, ColumnsMut::new(&mut y, 1, n));
                start.elapsed()
            });
            let time = time.min().unwrap_or(Duration::ZERO);
            println!("{:6.1} µs  {:5.1} GB/s  {spec}", time.as_secs_f64() * 1e6, rate(packed.bytes(), time));
        }
    }
    Ok(())
}

/// Returns GB per second.
fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}
