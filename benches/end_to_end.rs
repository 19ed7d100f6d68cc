//! Measures prefill and decode of whole models in tokens per second, with the default number of threads.
//!
//! The fairy-tales model fits the caches. The second model has the shape of BitNet b1.58 2B-4T and
//! random weights; it does not fit.

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tercet::formats::ModelFiles;
use tercet::{Candidates, Logits, Model, Preset, Rule, Runtime, RuntimeOptions, State};

const FAIRY_TALES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/fairy-tales");
/// Numbers of tokens: of the prompt, and generated after it.
const PROMPT: usize = 128;
const GENERATED: usize = 8;

/// The logits that greedy decoding needs.
const BEST: Logits<'static> = Logits::Candidates(Candidates::by(Rule::Best));

/// Returns `count` tokens that are spread over the vocabulary.
fn tokens(model: &Model, count: usize) -> Vec<u32> {
    let vocabulary = model.config().vocab_size;
    (1..=count).map(|i| (i * 7919 % vocabulary) as u32).collect()
}

fn forward(model: &Model, state: &mut State, tokens: &[u32]) {
    model.forward(state, tokens, BEST).expect("the context holds these tokens");
}

fn measure(criterion: &mut Criterion, model: &Model) {
    let mut group = criterion.benchmark_group(model.name());
    group.sample_size(10);
    let mut state = model.new_state(PROMPT + GENERATED).expect("the model allows such a context");
    let (prompt, generated) = (tokens(model, PROMPT), tokens(model, GENERATED));
    group.throughput(Throughput::Elements(PROMPT as u64));
    group.bench_function(format!("prefill {PROMPT} tokens"), |bencher| {
        bencher.iter(|| {
            state.truncate(0);
            forward(model, &mut state, &prompt);
        });
    });
    group.throughput(Throughput::Elements(GENERATED as u64));
    group.bench_function(format!("decode {GENERATED} tokens after {PROMPT}"), |bencher| {
        state.truncate(0);
        forward(model, &mut state, &prompt);
        bencher.iter(|| {
            state.truncate(PROMPT);
            generated.iter().for_each(|token| forward(model, &mut state, &[*token]));
        });
    });
    group.finish();
}

fn end_to_end(criterion: &mut Criterion) {
    let runtime = Runtime::new(&RuntimeOptions::default());
    let files = ModelFiles::open(Path::new(FAIRY_TALES)).expect("the model is part of the repository");
    measure(criterion, &Model::load(&files, &runtime).expect("the model is whole"));
    let preset = Preset::find("bitnet-2b-4t").expect("it is a preset");
    measure(criterion, &Model::synthetic(&preset, &runtime).expect("there is memory for it"));
}

criterion_group!(benches, end_to_end);
criterion_main!(benches);
