//! Measures what random weights leave out of a token's work, on a small shape.

use super::super::sparsity::Zeros;
use super::super::{Logits, Model, Part as Tokens};
use super::presets::Preset;
use crate::prediction::Spread;
use crate::runtime::{Runtime, RuntimeOptions};
use tercet_codegen::{ColumnGemm, Isa};
use tercet_cpu::Cpu;
use tercet_formats::config::LLAMA;

fn small() -> Preset {
    let whole = Preset::find("bitnet-2b-4t").unwrap();
    let (heads, head_dim) = ((4, 2), 64);
    Preset { vocab_size: 16_384, widths: (512, 2048), layers: 6, heads, head_dim, ..whole }
}

/// Runs tokens from all over the vocabulary, or only such with long rows, which texts consist of. Returns the zeros of each
/// layer, and the mean of the best logits in deviations.
fn measured(preset: &Preset, stride: u32) -> (Vec<Zeros>, f64) {
    let options = RuntimeOptions { threads: Some(2), ..RuntimeOptions::default() };
    let model = Model::synthetic(preset, &Runtime::new(&options)).unwrap();
    let tokens: Vec<u32> = (0..48).map(|i| i * 67 * stride % 16_384).collect();
    let mut state = model.new_state(tokens.len()).unwrap();
    let mut part = Tokens { state: &mut state, tokens: &tokens, wanted: tokens.len() };
    let parts = std::slice::from_mut(&mut part);
    let (best, work) = model.counting(|| model.forward_parts(parts, |_, logits| Spread::of(logits).best));
    let best = best.unwrap();
    (work.layers, best.iter().sum::<f64>() / best.len() as f64)
}

#[test]
fn gates_and_logits_are_those_of_trained_models() {
    for (density, peak, down) in [(0.37, 9.0, 0.72..0.84), (0.3, 8.0, 0.76..0.87), (0.5, 10.0, 0.62..0.74)] {
        let preset = small().with_gate_density(density).unwrap().with_head_peak(peak).unwrap();
        for stride in [1, 64] {
            let (zeros, best) = measured(&preset, stride);
            println!("{density} {peak} {stride}: {zeros:?} {best}");
            assert!((best - peak).abs() < 0.7, "{best} is not {peak}");
            for zeros in zeros {
                let share = |count: u64| count as f64 / zeros.elements as f64;
                let (gates, inputs) = (share(zeros.gates), share(zeros.inputs));
                assert!((gates - (1.0 - density)).abs() < 0.05, "{gates} is not 1 - {density}");
                assert!(down.contains(&inputs), "{density}: {inputs}");
            }
        }
    }
}

/// Widths of whole strips and lines, so that `up` and `down` can skip rows and columns.
#[test]
fn what_is_skipped_changes_no_logit() {
    let preset = Preset { vocab_size: 512, widths: (640, 1280), layers: 3, heads: (10, 5), ..small() };
    let logits = |isa, threads| {
        let options =
            RuntimeOptions { isa_cap: Some(isa), threads: Some(threads), ..RuntimeOptions::default() };
        let model = Model::synthetic(&preset, &Runtime::new(&options)).unwrap();
        let mut state = model.new_state(64).unwrap();
        let mut bits = Vec::new();
        let ((), work) = model.counting(|| {
            for tokens in [1, 3, 20, 2, 1, 7, 1] {
                let tokens: Vec<u32> = (0..tokens).map(|i| (i * 67 + bits.len() as u32) % 512).collect();
                let logits = model.forward(&mut state, &tokens, Logits::All).unwrap();
                bits.extend(logits.iter().map(|logit| logit.to_bits()));
            }
        });
        (bits, work.zeros().skipped_bytes)
    };
    let mut isas = Isa::available(Cpu::host());
    isas.retain(|isa| ColumnGemm::exists_for(*isa));
    println!("ISAs that skip: {isas:?}");
    if isas.is_empty() {
        return;
    }
    let (expected, skipped) = logits(Isa::Portable, 1);
    assert_eq!(skipped, 0);
    for isa in isas {
        for threads in [1, 2, 3] {
            let (found, skipped) = logits(isa, threads);
            assert!(found == expected, "{isa} on {threads} threads");
            assert!(skipped > 0, "{isa}");
        }
    }
}

#[test]
fn what_no_model_can_have_is_refused() {
    let refused = |preset: crate::Result<Preset>| preset.unwrap_err().to_string();
    assert!(refused(small().with_gate_density(1.0)).contains("use 0.01 to 0.99"));
    assert!(refused(small().with_gate_density(f64::NAN)).contains("out of range"));
    assert!(refused(small().with_head_peak(4.0)).contains("use 5 to 16"));
    let other = Preset { family: &LLAMA, ..small() };
    assert!(refused(other.with_gate_density(0.3)).contains("no gates of zero"));
    assert_eq!((other.gate_density(), small().gate_density()), (None, Some(0.37)));
}
