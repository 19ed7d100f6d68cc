//! Helpers for the integration tests.
#![allow(dead_code, unreachable_pub, reason = "each test uses some of the helpers")]

pub mod mutations;

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use tercet::codegen::{Isa, Packing};
use tercet::cpu::Cpu;
use tercet::formats::ModelFiles;
use tercet::{CacheType, Generator, Logits, Model, Request, Runtime, RuntimeOptions, Tokenizer};

pub fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

pub const TINY: &str = "tests/fixtures/bitnet-tiny";
pub const FAIRY_TALES: &str = "models/fairy-tales";

pub fn runtime(isa: Isa, packing: Packing, threads: usize) -> Runtime {
    let options = RuntimeOptions {
        isa_cap: Some(isa),
        threads: Some(threads),
        packing: Some(packing),
        ..Default::default()
    };
    let runtime = Runtime::new(&options);
    assert_eq!(runtime.isa(), isa);
    runtime
}

pub fn best_runtime() -> Runtime {
    runtime(Isa::best(Cpu::host()), Packing::Bits2, 2)
}

/// The best kernels, with a KV cache in `f32`. The reference outputs were computed without rounding
/// keys and values.
pub fn full_precision_runtime() -> Runtime {
    Runtime::new(&RuntimeOptions { cache_type: Some(CacheType::F32), threads: Some(2), ..Default::default() })
}

pub fn load(model: &str, runtime: &Runtime) -> Model {
    Model::load(&ModelFiles::open(&path(model)).unwrap(), runtime).unwrap()
}

pub fn tokenizer(model: &str, of: &Model) -> Tokenizer {
    let files = ModelFiles::open(&path(model)).unwrap();
    Tokenizer::load(&files, of.config().vocab_size).unwrap()
}

/// Returns the logits of every position of `prompt`, and its greedy continuation of `tokens` tokens.
pub fn logits_and_greedy(
    model: &Model,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    tokens: usize,
) -> (Vec<f32>, Vec<u32>) {
    let context = model.config().max_positions;
    let mut state = model.new_state(context).unwrap();
    let logits = model.forward(&mut state, prompt, Logits::All).unwrap().to_vec();
    let request = Request { max_tokens: tokens, ..Request::default() };
    let mut generator = Generator::new(model, tokenizer, context).unwrap();
    let generation = generator.generate(prompt, &request, |_| std::ops::ControlFlow::Continue(())).unwrap();
    (logits, generation.ids)
}

/// A file of reference outputs.
pub struct Golden(Vec<u8>);

impl Golden {
    pub fn read(relative: &str) -> Self {
        Golden(std::fs::read(path(relative)).unwrap())
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let data = file.tensor(name).unwrap().data().to_vec();
        data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    pub fn ids(&self, name: &str) -> Vec<u32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let data = file.tensor(name).unwrap().data().to_vec();
        data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect()
    }
}

pub fn argmax(logits: &[f32]) -> usize {
    let best = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).fold(0, best)
}

/// Returns the difference between the largest and the second largest logit.
pub fn margin(logits: &[f32]) -> f32 {
    let best = argmax(logits);
    let second =
        logits.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, &l)| l).fold(f32::MIN, f32::max);
    logits[best] - second
}

pub fn mean_difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / a.len() as f64
}
