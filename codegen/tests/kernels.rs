//! Every kernel that this CPU can run against the plain reference.

use tercet_codegen::verify::{self, AWKWARD_SIZES};
use tercet_codegen::{Cpu, KernelCache};

fn judge(sizes: &[usize], tokens: &[usize]) {
    let cache = KernelCache::default();
    for report in verify::run(&cache, &Cpu::host().isas(), sizes, tokens, |_, _| {}).unwrap() {
        assert!(report.cases > 0);
        assert!(report.failures.is_empty(), "{}: {} failures", report.failures[0], report.failures.len());
        println!("{} {}: {} products", report.isa, report.packing, report.cases);
    }
}

#[test]
fn families_equal_the_reference_on_a_thinned_grid() {
    judge(&AWKWARD_SIZES[..8], &[1, 2, 3, 5, 7, 8, 16, 33]);
}
