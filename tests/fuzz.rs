//! Runs the bodies of the fuzz targets on mutations of valid inputs. The mutations are the same in
//! every run.
//!
//! With `FUZZ_SECONDS=N`, each body runs for N seconds on new mutations. An input that fails is
//! written to the temporary directory.

mod common;
mod fuzz_bodies;

use tercet::codegen::{Isa, Packing, verify};

/// Runs `body` on the seeds and on `times` mutations of them.
fn mutate(seeds: &[Vec<u8>], times: usize, body: fn(&[u8])) {
    let start = std::time::Instant::now();
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|seconds| seconds.parse::<u64>().unwrap());
    let seed = seconds.map_or(0x7e2c_e700, |_| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    let mut random = Random(seed);
    seeds.iter().for_each(|seed| body(seed));
    let mut runs = 0;
    while seconds.map_or(runs < times, |seconds| start.elapsed().as_secs() < seconds) {
        runs += 1;
        let mut input = random.pick(seeds).clone();
        for _ in 0..=random.below(3) {
            mutation(&mut input, &mut random);
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

/// Applies one random change: to a bit, a byte or a number, or it deletes, appends or inserts a
/// copy of a piece.
fn mutation(input: &mut Vec<u8>, random: &mut Random) {
    const NUMBERS: [&str; 12] = [
        "0",
        "1",
        "-1",
        "2",
        "7",
        "64",
        "1e400",
        "0.5",
        "null",
        "65536",
        "4294967296",
        "18446744073709551615",
    ];
    let at = random.below(input.len() + 1);
    let end = at + random.below(16).min(input.len() - at);
    match random.below(6) {
        0 if at < end => input[at] ^= 1 << random.below(8),
        1 if at < end => input[at] = random.below(256) as u8,
        2 => drop(input.drain(at..end)),
        3 => input.extend_from_within(at..end),
        4 => {
            let piece = input[at..end].to_vec();
            let to = random.below(input.len() + 1);
            input.splice(to..to, piece);
        }
        _ => {
            let Some(start) = (at..input.len()).find(|&i| input[i].is_ascii_digit()) else { return };
            let end = (start..input.len()).find(|&i| !input[i].is_ascii_digit()).unwrap_or(input.len());
            input.splice(start..end, random.pick(&NUMBERS).bytes());
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
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
    mutate(&seeds("gguf"), 5_000, fuzz_bodies::gguf);
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
