//! Sampling settings that a model's authors suggest.

use serde_json::Value;

use super::Config;
use crate::ModelFiles;
use crate::error::Result;
use crate::json::{self, Object};

const FILE: &str = "generation_config.json";

/// Settings of transformers that change texts and that Tercet does not have, each with the number that switches it off.
/// No number does so where it is NaN.
const IGNORED: [(&str, f64); 19] = [
    ("bad_words_ids", f64::NAN),
    ("begin_suppress_tokens", f64::NAN),
    ("epsilon_cutoff", 0.0),
    ("eta_cutoff", 0.0),
    ("exponential_decay_length_penalty", f64::NAN),
    ("forced_bos_token_id", f64::NAN),
    ("forced_eos_token_id", f64::NAN),
    ("guidance_scale", 1.0),
    ("min_length", 0.0),
    ("min_new_tokens", 0.0),
    ("no_repeat_ngram_size", 0.0),
    ("num_beams", 1.0),
    ("penalty_alpha", 0.0),
    ("sequence_bias", f64::NAN),
    ("stop_strings", f64::NAN),
    ("suppress_tokens", f64::NAN),
    ("top_h", 1.0),
    ("typical_p", 1.0),
    ("watermarking_config", f64::NAN),
];

/// The suggestions of `generation_config.json`. `None` stands for no suggestion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationDefaults {
    /// The token that starts a sequence. Defaults to the [`Config`]'s.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a sequence. Default to the [`Config`]'s.
    pub eos_token_ids: Vec<u32>,
    /// True to sample, false for greedy decoding.
    pub do_sample: Option<bool>,
    /// Temperature, at least 0.
    pub temperature: Option<f32>,
    /// Number of candidates. 0 stands for all.
    pub top_k: Option<usize>,
    /// Total probability of the candidates, in (0, 1].
    pub top_p: Option<f32>,
    /// Lowest probability of a candidate, relative to the best candidate's, in [0, 1].
    pub min_p: Option<f32>,
    /// Divisor of the positive logits of tokens that occurred already, above 0.
    pub repetition_penalty: Option<f32>,
}

impl GenerationDefaults {
    /// The number of candidates where neither the file nor the caller gives one, as in transformers
    /// (`GenerationConfig._get_default_generation_params`).
    pub const TOP_K: usize = 50;

    /// Reads a model's suggestions. Without the file, only the tokens in `config` are known.
    ///
    /// # Errors
    /// The errors of [`ModelFiles::try_get`] and [`GenerationDefaults::parse`].
    pub fn load(files: &ModelFiles, config: &Config) -> Result<Self> {
        let bytes = files.try_get(FILE)?;
        let bytes = bytes.as_deref().unwrap_or(b"{}");
        json::warn_of_absent_tokens(files, FILE, bytes, config.vocab_size);
        let (label, fields) = (files.label(FILE), json::parse(bytes, &files.label(FILE))?);
        let ignored: Vec<&str> = IGNORED
            .iter()
            .filter(|(name, off)| changes_texts(fields.get(*name), *off))
            .map(|(name, _)| *name)
            .collect();
        if !ignored.is_empty() {
            files.warn(format!(
                "{label}: settings that Tercet does not have are ignored: {}",
                ignored.join(", ")
            ));
        }
        Self::parse(bytes, &label, config)
    }

    /// Validates the `generation_config.json` in `bytes`. Messages call it `label`.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) names the field whose value is out of range.
    pub fn parse(bytes: &[u8], label: &str, config: &Config) -> Result<Self> {
        let map = json::parse(bytes, label)?;
        let root = Object::new(label, &map);
        let ids = |name| root.token_ids(name, config.vocab_size);
        Ok(GenerationDefaults {
            bos_token_id: ids("bos_token_id")?.and_then(|ids| ids.first().copied()).or(config.bos_token_id),
            eos_token_ids: ids("eos_token_id")?.unwrap_or_else(|| config.eos_token_ids.clone()),
            do_sample: root.flag("do_sample")?,
            temperature: root.number("temperature", "a number of at least 0", |n| n >= 0.0)?,
            top_k: root
                .number("top_k", "a whole number of at least 0", |n| n >= 0.0 && n.fract() == 0.0)?
                .map(|n| n as usize),
            top_p: root.number("top_p", "a number above 0 and at most 1", |n| n > 0.0 && n <= 1.0)?,
            min_p: root.number("min_p", "a number from 0 to 1", |n| (0.0..=1.0).contains(&n))?,
            repetition_penalty: root.number("repetition_penalty", "a number above 0", |n| n > 0.0)?,
        })
    }
}

/// Returns true unless `value`, or the number `off`, switches a setting off.
fn changes_texts(value: Option<&Value>, off: f64) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
        Some(value) => value.as_f64() != Some(off),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns the warnings about a file with these fields.
    fn warnings(fields: Value) -> Vec<String> {
        let config = include_bytes!("../../../tests/fixtures/bitnet-tiny/config.json");
        let text: &'static [u8] = fields.to_string().into_bytes().leak();
        let files = Box::leak(Box::new([("config.json", &config[..]), (FILE, text)]));
        let files = ModelFiles::embedded("m".into(), files);
        GenerationDefaults::load(&files, &Config::load(&files).unwrap()).unwrap();
        files.warnings()
    }

    #[test]
    fn settings_that_change_texts_are_named_unless_they_are_off() {
        for (name, off) in IGNORED {
            for value in [json!(2), json!("x"), json!([1]), json!({ "a": 1 }), json!(true)] {
                let warnings = warnings(json!({ name: value, "max_new_tokens": 7, "top_k": 5 }));
                assert_eq!(warnings.len(), 1, "{name} is {value}: {warnings:?}");
                assert!(warnings[0].ends_with(&format!("are ignored: {name}")), "{warnings:?}");
            }
            for value in [json!(null), json!(false), json!([]), json!({})] {
                assert_eq!(warnings(json!({ name: value })), [""; 0], "{name}");
            }
            assert!(off.is_nan() || warnings(json!({ name: off })).is_empty(), "{name}");
        }
    }
}
