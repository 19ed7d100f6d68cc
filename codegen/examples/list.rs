//! Lists what can be emitted, and marks what this CPU runs: `cargo run -p tercet-codegen --example list`.

use tercet_codegen::{FAMILIES, Isa, Packing, verify};
use tercet_cpu::Cpu;

pub(crate) fn main() {
    println!("the best for this CPU is {}", Isa::best(Cpu::host()));
    for family in &FAMILIES {
        let mark = if family.isa.runs_on(Cpu::host()) { "runs here" } else { "emitted only" };
        println!("{} ({mark}, {} registers)", family.isa, family.registers);
        for packing in Packing::ALL {
            // The first variant of every strategy has the widest tile.
            for (_, spec) in verify::specs(family.isa, packing).iter().filter(|(variant, _)| *variant == 0) {
                println!("  {spec}");
            }
        }
    }
}
