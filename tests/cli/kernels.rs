//! `tercet dump` and `tercet verify`.

use std::collections::BTreeSet;

use tercet::autotune::{Planner, Problem, packing_by_rule};
use tercet::codegen::{FAMILIES, Isa, KernelSpec, Packing};
use tercet::cpu::Cpu;

use crate::harness::{Scratch, assert_fields, json, output, usable_isas};

#[test]
fn the_list_has_every_family_packing_and_strategy() {
    let list = json(&["dump", "--list"]);
    let kernels = list["kernels"].as_array().unwrap();
    let emitted = FAMILIES.iter().flat_map(|family| family.unpacks).map(|unpack| unpack.packings().len());
    // Every family unpacks ternary packings once.
    assert_eq!(kernels.len(), emitted.sum::<usize>() + FAMILIES.len() * Packing::TERNARY.len());
    let mut seen = BTreeSet::new();
    for kernel in kernels {
        assert_fields(
            kernel,
            &["isa", "packing", "unpack", "registers", "runs_here", "tiles", "decode", "prefill"],
        );
        let isa = kernel["isa"].as_str().unwrap();
        assert_eq!(kernel["runs_here"], usable_isas().contains(&isa));
        assert!(!kernel["tiles"].as_array().unwrap().is_empty());
        for plan in ["decode", "prefill"] {
            assert!(kernel[plan].as_str().unwrap().parse::<KernelSpec>().is_ok());
        }
        seen.insert((isa.to_owned(), kernel["packing"].to_string()));
    }
    assert_eq!(seen.len(), Isa::ALL.len() * Packing::ALL.len());
    let text = output(&["dump", "--list"]);
    assert!(Isa::ALL.iter().all(|isa| text.contains(isa.name())) && text.contains("runs here"));
}

#[test]
fn every_family_is_dumped_on_any_host() {
    for isa in Isa::ALL {
        for packing in Packing::TERNARY {
            for tokens in ["1", "8"] {
                let arguments =
                    ["dump", "--isa", isa.name(), "--packing", packing.name(), "--tokens", tokens];
                let dump = json(&arguments);
                assert_fields(
                    &dump,
                    &["kernel", "multiply_adds_per_turn", "weight_bytes_per_turn", "machine_code"],
                );
                let name = dump["kernel"].as_str().unwrap();
                let spec: KernelSpec = name.parse().unwrap();
                assert_eq!((spec.isa, spec.layout.packing), (isa, packing));
                assert!(output(&arguments).contains(name));
                let code = &dump["machine_code"];
                assert_eq!(code.is_null(), isa == Isa::Portable);
                if !code.is_null() {
                    assert_code(code);
                }
            }
        }
    }
}

fn assert_code(code: &serde_json::Value) {
    assert_fields(code, &["bytes", "loop_body", "instructions", "mix", "loop_mix", "bounds"]);
    let instructions = code["instructions"].as_array().unwrap();
    let hex: usize = instructions.iter().map(|line| line["bytes"].as_str().unwrap().len()).sum();
    assert_eq!(hex, 2 * code["bytes"].as_u64().unwrap() as usize);
    assert_fields(&instructions[0], &["offset", "bytes", "text", "label", "marks", "in_loop"]);
    assert_eq!(instructions[instructions.len() - 1]["text"], "ret");
    assert_eq!(code["mix"]["total"], instructions.len());
    assert!(code["loop_mix"]["dot_products"].as_u64().unwrap() > 0);
    for bound in code["bounds"].as_array().unwrap() {
        let fields = ["core", "cycles_per_turn", "limit", "multiply_adds_per_cycle", "percent_of_peak"];
        assert_fields(bound, &fields);
    }
}

#[test]
fn a_kernel_is_named_or_composed() {
    let name = "avx512-vnni/2bit/x4/m6n64u1/shift/p512/i32";
    assert_eq!(json(&["dump", "--kernel", name])["kernel"], name);
    let parts = [
        "dump",
        "--isa",
        "avx512-vnni",
        "--packing",
        "2bit",
        "--interleave",
        "4",
        "--tile",
        "m6n64u1",
        "--unpack",
        "shift",
        "--prefetch",
        "512",
        "--epilogue",
        "i32",
    ];
    assert_eq!(json(&parts)["kernel"], name);
    // A strategy implies its packing, and a tile that fits its registers.
    let implied = json(&["dump", "--isa", "avx512-vnni", "--unpack", "telescope", "--tokens", "15"]);
    assert!(implied["kernel"].as_str().unwrap().starts_with("avx512-vnni/1.6bit/"));
}

#[test]
fn without_options_it_is_the_kernel_planned_for_this_cpu() {
    let (cpu, isa) = (Cpu::host(), Isa::best(Cpu::host()));
    let planner = Planner::new(isa, packing_by_rule(isa, cpu, 1)).on(cpu);
    let plan = planner.plan(&Problem { n: 2560, k: 2560, m: 1, threads: 1 });
    assert_eq!(json(&["dump"])["kernel"], plan.spec.to_string());
}

#[test]
fn bounds_may_be_limited_to_a_core() {
    let dump = json(&["dump", "--isa", "avx512-vnni", "--core", "zen 5"]);
    let bounds = dump["machine_code"]["bounds"].as_array().unwrap();
    assert!(!bounds.is_empty());
    assert!(bounds.iter().all(|bound| bound["core"].as_str().unwrap().contains("Zen 5")));
}

#[test]
fn raw_code_is_the_listed_code() {
    let scratch = Scratch::new();
    let file = scratch.file("kernel.bin");
    let dump = json(&["dump", "--isa", "avx2", "--raw", &file]);
    let hex: String = std::fs::read(&file).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let listed = dump["machine_code"]["instructions"].as_array().unwrap();
    assert_eq!(listed.iter().map(|line| line["bytes"].as_str().unwrap()).collect::<String>(), hex);
}

#[test]
fn verify_checks_every_family_and_packing() {
    let verdict = json(&["verify", "--quick"]);
    assert_fields(&verdict, &["passed", "families", "model", "layer"]);
    assert_eq!(verdict["passed"], true);
    let entries = |packings: &[Packing]| usable_isas().len() * packings.len();
    assert_eq!(verdict["families"].as_array().unwrap().len(), entries(&Packing::ALL));
    for family in verdict["families"].as_array().unwrap() {
        assert_fields(family, &["isa", "packing", "cases", "failures", "first_failure"]);
        assert!(family["cases"].as_u64().unwrap() > 100);
        assert_eq!(family["failures"], 0);
    }
    assert_eq!(verdict["layer"].as_array().unwrap().len(), entries(&Packing::TERNARY));
    for layer in verdict["layer"].as_array().unwrap() {
        assert_fields(layer, &["isa", "packing", "identical", "mean_difference", "other_choices", "passed"]);
        assert_eq!(layer["passed"], true);
    }
    let capped = json(&["verify", "--isa", "portable", "-m", crate::harness::TINY]);
    assert_eq!(capped["families"].as_array().unwrap().len(), Packing::ALL.len());
    assert_eq!(capped["model"], "bitnet-tiny");
}
