//! Multiplies with a kernel for this CPU, and checks the product: `cargo run -p tercet-codegen --example run`.

use std::error::Error;

use tercet_codegen::{Activations, ColumnsMut, Gemm, Isa, KernelCache, PackedMatrix, Packing, verify};
use tercet_cpu::Cpu;

/// Output features, input features and tokens.
const SIZES: (usize, usize, usize) = (6, 40, 3);

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (n, k, m) = SIZES;
    // A kernel that stores integer sums.
    let specs = verify::specs(Isa::best(Cpu::host()), Packing::Bits2);
    let (_, spec) = specs.into_iter().find(|(variant, _)| *variant == 1).ok_or("no kernel")?;
    println!("{spec}");

    // Ternary weights n × k, packed as the kernel reads them.
    let weights: Vec<i8> = (0..n * k).map(|i| (i * 7 % 3) as i8 - 1).collect();
    let packed = PackedMatrix::pack(spec.layout, n, k, &weights)?;
    println!("{} bytes instead of {} as int8", packed.bytes(), weights.len());

    // Activations m × k in int8. A row's factor multiplies float results; integer sums do without.
    let mut x = Activations::with_capacity(m, k);
    x.reset(m, k);
    for (token, mut row) in x.rows_mut().enumerate() {
        row.set(|values| {
            values.iter_mut().enumerate().for_each(|(i, value)| *value = (i + token) as i8);
            1.0
        });
    }

    // Y = X·Wᵀ, m × n.
    let mut y = vec![0; m * n];
    Gemm::new(&KernelCache::default(), spec)?.compute(&packed, &x, ColumnsMut::new(&mut y, m, n));
    for (token, sums) in y.chunks(n).enumerate() {
        println!("{sums:?}");
        for (row, sum) in weights.chunks(k).zip(sums) {
            let expected: i32 = row.iter().zip(0..).map(|(w, i)| i32::from(*w) * (i + token as i32)).sum();
            assert_eq!(*sum, expected);
        }
    }
    Ok(())
}
