//! Judges every x86-64 family against the reference, and the emulator against this CPU.

mod amx;
#[cfg(target_arch = "x86_64")]
mod host;

use crate::cache::KernelCache;
use crate::emit::FAMILIES;
use crate::isa::{Architecture, Isa};
use crate::verify::{self, AWKWARD_SIZES, Report};

fn x86_isas() -> impl Iterator<Item = Isa> {
    let families = FAMILIES.iter().filter(|family| family.architecture == Some(Architecture::X86_64));
    families.map(|family| family.isa)
}

#[test]
fn every_x86_family_equals_the_reference_on_a_thinned_grid() {
    let cache = KernelCache::emulating();
    let isas: Vec<Isa> = x86_isas().collect();
    let sizes = &AWKWARD_SIZES[..7];
    let matrices = sizes.iter().flat_map(|&n| sizes.iter().map(move |&k| (n, k))).chain([(17, 640)]);
    let tokens = [1, 2, 3, 5, 7, 8, 16, 33];
    let reports = matrices.map(|shape| verify::run(&cache, &isas, shape, &tokens).unwrap());
    for report in Report::sum(reports) {
        assert!(report.cases > 0);
        assert!(report.failures.is_empty(), "{}: {} failures", report.failures[0], report.failures.len());
        println!("{} {}: {} products", report.isa, report.packing, report.cases);
    }
}
