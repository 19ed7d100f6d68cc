//! Helpers for the integration tests.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses some of the helpers")]

pub mod mutations;
mod reference;

use std::path::{Path, PathBuf};

use tercet::codegen::{Isa, Packing};
use tercet::cpu::Cpu;
use tercet::formats::ModelFiles;
use tercet::{CacheType, Generator, Logits, Model, Request, Runtime, RuntimeOptions, Tokenizer};

pub use reference::{FAMILIES, Golden, Reference, argmax, margin, mean_difference};

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

/// A temporary directory. Dropping the value deletes it.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tercet-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
