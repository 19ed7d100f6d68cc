//! Runs the bodies of the fuzz targets on mutations of valid inputs. The mutations are the same in
//! every run.
//!
//! With `FUZZ_SECONDS=N`, each body runs for N seconds on new mutations. An input that fails is
//! written to the temporary directory.

mod common;
mod fuzz_bodies;

use common::mutations::{Random, mutate_bytes};
use tercet::codegen::{Isa, Packing, verify};

/// Runs `body` on the seeds and on `times` mutations of them.
fn mutate(seeds: &[Vec<u8>], times: usize, body: fn(&[u8])) {
    let start = std::time::Instant::now();
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|seconds| seconds.parse::<u64>().unwrap());
    let seed = seconds.map_or(0x7e2c_e700, |_| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    let mut random = Random::new(seed);
    seeds.iter().for_each(|seed| body(seed));
    let mut runs = 0;
    while seconds.map_or(runs < times, |seconds| start.elapsed().as_secs() < seconds) {
        runs += 1;
        let mut input = random.pick(seeds).clone();
        for _ in 0..=random.below(3) {
            mutate_bytes(&mut input, &mut random);
        }
        let outcome = std::panic::catch_unwind(|| body(&input));
        if outcome.is_err() {
            let path = std::env::temp_dir().join(format!("tercet-fuzz-{seed}-{runs}"));
            std::fs::write(&path, &input).unwrap();
            panic!("{} fails", path.display());
        }
    }
    println!("{runs} inputs in {:.0} s", start.elapsed().as_secs_f64());
}

/// Returns the seeds of a target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = std::fs::read_dir(common::path("fuzz/seeds").join(target)).unwrap();
    let mut paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn mutated_safetensors_are_read_or_refused() {
    mutate(&seeds("safetensors"), 60_000, fuzz_bodies::safetensors);
}

#[test]
fn mutated_shard_indexes_are_read_or_refused() {
    mutate(&seeds("index"), 60_000, fuzz_bodies::index);
}

#[test]
fn mutated_gguf_files_are_read_or_refused() {
    mutate(&seeds("gguf"), 2_500, fuzz_bodies::gguf);
}

#[test]
fn mutated_configurations_are_read_or_refused() {
    mutate(&seeds("config"), 60_000, fuzz_bodies::config);
}

#[test]
fn mutated_tokenizers_are_read_or_refused() {
    mutate(&seeds("tokenizer"), 3_000, fuzz_bodies::tokenizer);
}

#[test]
fn mutated_chat_templates_render_or_are_refused() {
    mutate(&seeds("chat"), 2_000, fuzz_bodies::chat);
}

#[test]
fn mutated_grammars_hold_texts_or_are_refused() {
    mutate(&seeds("grammar"), 100, fuzz_bodies::grammar);
}

#[test]
#[cfg(feature = "cli")]
fn mutated_requests_are_answered_or_refused() {
    mutate(&seeds("request"), 1_500, fuzz_bodies::request);
}

#[test]
fn mutated_headers_of_packed_models_are_read_or_refused() {
    mutate(&seeds("packed"), 60_000, fuzz_bodies::packed);
}

#[test]
fn mutated_kernel_specs_are_emitted_or_refused() {
    let families =
        Isa::ALL.into_iter().flat_map(|isa| Packing::ALL.map(|packing| verify::specs(isa, packing)));
    let mut seeds = seeds("kernel_spec");
    seeds.extend(families.flatten().map(|(_, spec)| spec.to_string().into_bytes()));
    mutate(&seeds, 60_000, fuzz_bodies::kernel_spec);
}
