//! The exact head against the whole one: the same text for every way of sampling.

mod common;

use std::ops::ControlFlow;

use tercet::codegen::Cpu;
use tercet::{Generator, HeadMode, Model, ModelFiles, Request, Runtime, RuntimeOptions, SamplerOptions};

fn ids(model: &Model, path: &str, prompt: &[u32], sampler: SamplerOptions) -> Vec<u32> {
    let tokenizer = common::tokenizer(path, model);
    let request = Request { max_tokens: 60, sampler, ..Request::default() };
    let mut generator = Generator::new(model, &tokenizer, 128).unwrap();
    generator.generate(prompt, &request, |_| ControlFlow::Continue(())).unwrap().ids
}

#[test]
fn both_heads_choose_the_same_tokens() {
    let default = SamplerOptions::default();
    let warm = SamplerOptions { temperature: 0.9, ..default.clone() };
    let samplers = [
        default.clone(),
        SamplerOptions { repetition_penalty: 1.4, ..default.clone() },
        warm.clone(),
        SamplerOptions { temperature: 3.0, ..default },
        SamplerOptions { top_k: 5, ..warm.clone() },
        SamplerOptions { top_k: 40, repetition_penalty: 0.8, ..warm.clone() },
        SamplerOptions { top_p: 0.9, seed: 3, ..warm.clone() },
        SamplerOptions { min_p: 0.1, repetition_penalty: 1.2, seed: 4, ..warm },
    ];
    for path in [common::TINY, common::FAIRY_TALES] {
        let files = ModelFiles::open(&common::path(path)).unwrap();
        let model = |head, isa| {
            let options =
                RuntimeOptions { head, isa_cap: Some(isa), threads: Some(2), ..RuntimeOptions::default() };
            Model::load(&files, &Runtime::new(&options)).unwrap()
        };
        let whole = model(HeadMode::Bf16, Cpu::host().best());
        assert_eq!(whole.memory_use().screen, 0);
        for isa in Cpu::host().isas() {
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
