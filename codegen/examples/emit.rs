//! Emits a kernel and prints its machine code, on any host: `cargo run -p tercet-codegen --example emit`.

use std::error::Error;

use tercet_codegen::{KernelSpec, Listing, emit};

/// The name of a kernel spells out everything that determines its code.
const KERNEL: &str = "avx512-vnni/2bit/x4/m1n64u2/planes/p8192/f32";

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let spec: KernelSpec = KERNEL.parse()?;

    // The code alone. The portable family has none: it is compiled Rust.
    let emitted = emit::emit(&spec)?.ok_or("no machine code")?;
    println!("{} bytes, of which the loop has {}", emitted.code.len(), emitted.loop_body.len());

    // The code with its disassembly, its instructions by kind, and bounds of its speed.
    print!("{}", Listing::new(&spec)?);
    Ok(())
}
