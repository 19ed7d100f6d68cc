//! Every instruction set, packing, number of threads and split of the prompt gives the same bits.

mod common;

use std::collections::HashMap;
use std::ops::ControlFlow;

use tercet::codegen::{Isa, Packing};
use tercet::cpu::Cpu;
use tercet::{
    ActivationType, Event, Generator, HeadMode, Logits, Mode, Model, Request, Runtime, RuntimeOptions,
    SamplerOptions, Scheduler, SchedulerOptions, Session, Tokenizer,
};

const THREADS: [usize; 3] = [1, 2, 3];
const PROMPT: usize = 60;
/// More tokens than one batch of the engine, which is 256.
const LONG_PROMPT: usize = 300;

/// All settings of this CPU that must not change a result.
fn settings() -> impl Iterator<Item = (Isa, Packing, usize)> {
    let packed = Isa::available(Cpu::host())
        .into_iter()
        .flat_map(|isa| Packing::TERNARY.map(|packing| (isa, packing)));
    packed.flat_map(|(isa, packing)| THREADS.map(|threads| (isa, packing, threads)))
}

/// Returns the bits of the logits of every position. Each forward pass gets `chunk` tokens.
fn logits(model: &Model, prompt: &[u32], chunk: usize) -> Vec<u32> {
    let mut state = model.new_state(prompt.len()).unwrap();
    let chunks = prompt.chunks(chunk);
    chunks.flat_map(|chunk| bits(model.forward(&mut state, chunk, Logits::All).unwrap())).collect()
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}

fn assert_same(found: &[u32], expected: &[u32], vocabulary: usize, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    if let Some(i) = (0..found.len()).find(|&i| found[i] != expected[i]) {
        panic!("{what}: differs first at position {}, token {}", i / vocabulary, i % vocabulary);
    }
}

/// Returns the first `tokens` tokens of a text.
fn prompt(tokenizer: &Tokenizer, tokens: usize) -> Vec<u32> {
    let text = std::fs::read_to_string(common::path("models/fairy-tales/valid.txt")).unwrap();
    let mut ids = tokenizer.encode(&text[..8192], true).unwrap();
    ids.truncate(tokens);
    assert_eq!(ids.len(), tokens);
    ids
}

fn logits_are_the_same_everywhere(name: &str) {
    let model = common::load(name, &common::best_runtime());
    let prompt = prompt(&common::tokenizer(name, &model), PROMPT);
    let expected = logits(&model, &prompt, PROMPT);
    let vocabulary = model.config().vocab_size;
    let last = &expected[expected.len() - vocabulary..];
    for (isa, packing, threads) in settings() {
        let model = common::load(name, &common::runtime(isa, packing, threads));
        for chunk in [1, 7, 32, PROMPT] {
            let what = format!("{isa}, {packing}, {threads} threads, chunks of {chunk} tokens");
            assert_same(&logits(&model, &prompt, chunk), &expected, vocabulary, &what);
        }
        let mut state = model.new_state(PROMPT).unwrap();
        let alone = bits(model.forward(&mut state, &prompt, Logits::Last).unwrap());
        assert_same(&alone, last, vocabulary, "only the last position's logits");
    }
}

#[test]
fn tiny_logits_are_the_same_everywhere() {
    logits_are_the_same_everywhere(common::TINY);
}

#[test]
fn fairy_tales_logits_are_the_same_everywhere() {
    logits_are_the_same_everywhere(common::FAIRY_TALES);
}

#[test]
fn exact_logits_are_the_same_everywhere() {
    let exact = |isa, threads| {
        let mode = Mode::Exact(ActivationType::Int8);
        Runtime::new(&RuntimeOptions {
            mode,
            isa_cap: Some(isa),
            threads: Some(threads),
            ..Default::default()
        })
    };
    let best = common::load(common::FAIRY_TALES, &exact(Isa::best(Cpu::host()), 2));
    let prompt = prompt(&common::tokenizer(common::FAIRY_TALES, &best), PROMPT);
    let expected = logits(&best, &prompt, PROMPT);
    for (threads, chunk) in [(1, 7), (3, 1), (2, 32)] {
        let model = common::load(common::FAIRY_TALES, &exact(Isa::Portable, threads));
        let what = format!("{threads} threads, chunks of {chunk} tokens");
        assert_same(&logits(&model, &prompt, chunk), &expected, model.config().vocab_size, &what);
    }
}

#[test]
fn a_prompt_longer_than_a_batch_is_the_same_everywhere() {
    let best = common::load(common::FAIRY_TALES, &common::best_runtime());
    let prompt = prompt(&common::tokenizer(common::FAIRY_TALES, &best), LONG_PROMPT);
    let expected = logits(&best, &prompt, 1);
    for isa in Isa::available(Cpu::host()) {
        let model = common::load(common::FAIRY_TALES, &common::runtime(isa, Packing::Bits2, 2));
        for chunk in [LONG_PROMPT, 256, 255] {
            let what = format!("{isa}, chunks of {chunk} tokens");
            assert_same(&logits(&model, &prompt, chunk), &expected, model.config().vocab_size, &what);
        }
    }
}

#[test]
fn a_seed_gives_the_same_text_everywhere() {
    let sampler = SamplerOptions {
        temperature: 0.9,
        top_k: 50,
        top_p: 0.95,
        repetition_penalty: 1.1,
        seed: 7,
        ..Default::default()
    };
    let request = Request { max_tokens: 40, sampler, ..Request::default() };
    let sample = |model: &Model, split: usize| {
        let tokenizer = common::tokenizer(common::FAIRY_TALES, model);
        let prompt = prompt(&tokenizer, PROMPT);
        let mut generator = Generator::new(model, &tokenizer, 128).unwrap();
        let (first, rest) = prompt.split_at(split);
        if !first.is_empty() {
            generator.generate(first, &Request::default(), |_| ControlFlow::Continue(())).unwrap();
        }
        generator.generate(rest, &request, |_| ControlFlow::Continue(())).unwrap().ids
    };
    let expected = sample(&common::load(common::FAIRY_TALES, &common::best_runtime()), 0);
    assert_eq!(expected.len(), 40);
    for ((isa, packing, threads), split) in settings().zip([0, 1, 31].into_iter().cycle()) {
        let model = common::load(common::FAIRY_TALES, &common::runtime(isa, packing, threads));
        assert_eq!(sample(&model, split), expected, "{isa}, {packing}, {threads} threads, split at {split}");
    }
}

#[test]
fn sequences_continue_the_same_way_together_and_alone() {
    let sampler = SamplerOptions { temperature: 0.9, top_k: 50, seed: 7, ..Default::default() };
    for head in HeadMode::ALL {
        let options = RuntimeOptions { head, threads: Some(2), ..Default::default() };
        let session = Session::new(tercet::fairy_tales(), Runtime::new(&options), None, &mut |_| {}).unwrap();
        let (model, tokenizer) = (session.model(), session.tokenizer());
        // More sequences than one pass of the head takes, with prompts and texts of different lengths.
        let requests: Vec<(Vec<u32>, Request)> = (0..19)
            .map(|i| {
                let sampler = SamplerOptions { seed: i, ..sampler.clone() };
                let request = Request { max_tokens: 10 + i as usize, sampler, ..Request::default() };
                (prompt(tokenizer, 1 + 17 * i as usize), request)
            })
            .collect();
        let mut scheduler = Scheduler::new(&session, SchedulerOptions::default());
        let jobs: Vec<_> = requests
            .iter()
            .map(|(prompt, request)| scheduler.submit(prompt.clone(), request.clone()).unwrap())
            .collect();
        let mut texts = HashMap::new();
        while !scheduler.is_idle() {
            for event in scheduler.round() {
                if let Event::Finished(job, generation) = event {
                    texts.insert(job, generation);
                }
            }
        }
        for ((prompt, request), job) in requests.iter().zip(jobs) {
            let mut alone = Generator::new(model, tokenizer, prompt.len() + request.max_tokens).unwrap();
            let alone = alone.generate(prompt, request, |_| ControlFlow::Continue(())).unwrap();
            let together = texts.remove(&job).unwrap();
            assert_eq!((together.ids, together.text), (alone.ids, alone.text), "{head:?}");
        }
    }
}
