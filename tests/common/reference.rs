//! Outputs of Hugging Face transformers, and the distance that is allowed from them.

use safetensors::SafeTensors;
use tercet::{Logits, Model};

use super::path;

/// Models that cover the blocks, the checkpoint and the rotary embedding of every family: see
/// `tests/golden/families.py`.
pub const FAMILIES: [&str; 9] = [
    "llama-tiny",
    "falcon3-tiny",
    "master-tiny",
    "rms-norm-tiny",
    "qwen3-tiny",
    "gemma3-tiny",
    "one-bit-llm-tiny",
    "one-bit-llm-64-tiny",
    "bonsai-tiny",
];

/// The logits of a model in `tests/fixtures`, and bounds on the difference from them.
pub struct Reference {
    name: String,
    ids: Vec<u32>,
    /// Tokens of each sequence in `ids`.
    tokens: usize,
    logits: Vec<f32>,
    /// Bound on the mean difference.
    mean: f64,
    /// Below this margin, the second logit may become the largest.
    margin: f32,
}

impl Reference {
    pub fn read(name: &str) -> Self {
        let golden = Golden::read(&format!("tests/fixtures/{name}/golden.safetensors"));
        let (logits, mean, margin) =
            if name == "bitnet-tiny" { ("logits.f32_offline", 0.01, 0.0) } else { ("logits", 0.02, 0.02) };
        let ids = golden.ids("input_ids");
        let (tokens, logits) = (ids.len() / 2, golden.f32(logits));
        Reference { name: name.to_owned(), ids, tokens, logits, mean, margin }
    }

    /// Requires that `model` computes these logits. Messages call it `form`.
    pub fn assert_logits(&self, model: &Model, form: &str) {
        let (name, vocabulary) = (&self.name, model.config().vocab_size);
        for (ids, expected) in self.ids.chunks(self.tokens).zip(self.logits.chunks(self.tokens * vocabulary))
        {
            let mut state = model.new_state(self.tokens).unwrap();
            let logits = model.forward(&mut state, ids, Logits::All).unwrap();
            let mean = mean_difference(logits, expected);
            println!("{name}, {form}: mean |difference| {mean:.5}");
            assert!(mean < self.mean, "{name}, {form}: mean |difference| {mean}");
            for (found, expected) in logits.chunks(vocabulary).zip(expected.chunks(vocabulary)) {
                let same = argmax(found) == argmax(expected);
                assert!(same || margin(expected) < self.margin, "{name}, {form}");
            }
        }
    }
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
