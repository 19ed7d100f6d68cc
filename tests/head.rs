//! Compares the exact head with the full `bf16` head: both give the same text for every sampler.

mod common;

use std::ops::ControlFlow;

use tercet::codegen::Isa;
use tercet::cpu::Cpu;
use tercet::formats::ModelFiles;
use tercet::{
    Candidates, Generator, HeadMode, Logits, Model, Request, Rule, Runtime, RuntimeOptions, SamplerOptions,
};

fn ids(model: &Model, path: &str, prompt: &[u32], sampler: SamplerOptions) -> Vec<u32> {
    let tokenizer = common::tokenizer(path, model);
    let request = Request { max_tokens: 60, sampler, ..Request::default() };
    let mut generator = Generator::new(model, &tokenizer, 128).unwrap();
    generator.generate(prompt, &request, |_| ControlFlow::Continue(())).unwrap().ids
}

#[test]
fn the_exact_head_and_the_full_head_choose_the_same_tokens() {
    let default = SamplerOptions::default();
    let warm = SamplerOptions { temperature: 0.9, ..default.clone() };
    let samplers = [
        default.clone(),
        SamplerOptions { repetition_penalty: 1.4, ..default.clone() },
        warm.clone(),
        SamplerOptions { temperature: 3.0, ..default.clone() },
        SamplerOptions { top_k: 5, ..warm.clone() },
        SamplerOptions { top_k: 40, repetition_penalty: 0.8, ..warm.clone() },
        SamplerOptions { top_p: 0.9, seed: 3, ..warm.clone() },
        SamplerOptions { min_p: 0.1, repetition_penalty: 1.2, seed: 4, ..warm.clone() },
        SamplerOptions { frequency_penalty: 0.7, presence_penalty: -0.2, ..default.clone() },
        SamplerOptions { logit_bias: vec![(17, 6.0), (40, -6.0)], frequency_penalty: 0.5, ..default.clone() },
        SamplerOptions { logit_bias: vec![(9, 4.0)], presence_penalty: 1.0, top_k: 5, ..warm },
    ];
    for path in [common::TINY, common::FAIRY_TALES] {
        let files = ModelFiles::open(&common::path(path)).unwrap();
        let model = |head, isa| {
            let options =
                RuntimeOptions { head, isa_cap: Some(isa), threads: Some(2), ..RuntimeOptions::default() };
            Model::load(&files, &Runtime::new(&options)).unwrap()
        };
        let whole = model(HeadMode::Bf16, Isa::best(Cpu::host()));
        assert_eq!(whole.memory_use().screen, 0);
        for isa in Isa::available(Cpu::host()) {
            let exact = model(HeadMode::Exact, isa);
            assert!(exact.memory_use().screen > 0);
            for sampler in &samplers {
                let expected = ids(&whole, path, &[1, 17, 40], sampler.clone());
                assert_eq!(
                    ids(&exact, path, &[1, 17, 40], sampler.clone()),
                    expected,
                    "{path} {isa} {sampler:?}"
                );
            }
        }
    }
}

#[test]
fn the_last_positions_have_candidates_of_their_own() {
    let runtime = Runtime::new(&RuntimeOptions { threads: Some(2), ..RuntimeOptions::default() });
    let model = common::load(common::FAIRY_TALES, &runtime);
    // More tokens than one pass takes, and wanted positions on both sides of the border.
    let prompt: Vec<u32> = (1..260).collect();
    let vocabulary = model.config().vocab_size;
    let all = model.forward(&mut model.new_state(512).unwrap(), &prompt, Logits::All).unwrap().to_vec();
    let wanted = [Rule::Best, Rule::Top(3), Rule::Best, Rule::Within(1.0), Rule::Best, Rule::Best]
        .map(|rule| Candidates { always: &[7], ..Candidates::by(rule) });
    let mut state = model.new_state(512).unwrap();
    let last = model.forward(&mut state, &prompt, Logits::LastCandidates(&wanted)).unwrap();
    assert_eq!(last.len(), wanted.len() * vocabulary);
    let expected = &all[all.len() - last.len()..];
    for (found, expected) in last.chunks(vocabulary).zip(expected.chunks(vocabulary)) {
        let best = (0..vocabulary).max_by(|&a, &b| expected[a].total_cmp(&expected[b])).unwrap();
        assert_eq!(found[best].to_bits(), expected[best].to_bits());
        assert_eq!(found[7].to_bits(), expected[7].to_bits());
        assert!(found.iter().all(|logit| *logit <= found[best]));
    }
}

#[test]
fn the_quantized_head_is_close_to_the_full_head_on_every_isa() {
    for path in [common::TINY, common::FAIRY_TALES] {
        let files = ModelFiles::open(&common::path(path)).unwrap();
        let logits = |head, isa| {
            let options =
                RuntimeOptions { head, isa_cap: Some(isa), threads: Some(2), ..RuntimeOptions::default() };
            let model = Model::load(&files, &Runtime::new(&options)).unwrap();
            let prompt: Vec<u32> = (1..100).collect();
            let mut state = model.new_state(prompt.len()).unwrap();
            model.forward(&mut state, &prompt, Logits::All).unwrap().to_vec()
        };
        let stored = logits(HeadMode::Bf16, Isa::best(Cpu::host()));
        let mut quantized = Vec::new();
        for isa in Isa::available(Cpu::host()) {
            let found = logits(HeadMode::Int8, isa);
            assert!(quantized.is_empty() || found == quantized, "{path} {isa}");
            quantized = found;
        }
        assert_ne!(quantized, stored);
        let vocabulary = stored.len() / 99;
        let best = |logits: &[f32]| (0..vocabulary).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
        let positions = stored.chunks(vocabulary).zip(quantized.chunks(vocabulary));
        let agreeing = positions.filter(|(stored, quantized)| best(stored) == best(quantized)).count();
        println!("{path}: {agreeing} of 99 positions have the same best token");
        assert!(agreeing >= 90, "{path}: {agreeing}");
        let scale = stored.iter().fold(0f32, |most, logit| most.max(logit.abs()));
        let worst = stored.iter().zip(&quantized).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(worst < 0.05 * scale, "{path}: {worst} of {scale}");
    }
}
