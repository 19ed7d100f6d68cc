//! Sampling settings that a model's authors suggest.

use super::Config;
use crate::ModelFiles;
use crate::error::Result;
use crate::json::{self, Object};

const FILE: &str = "generation_config.json";

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
    /// Reads a model's suggestions. Without the file, only the tokens in `config` are known.
    ///
    /// # Errors
    /// The errors of [`ModelFiles::try_get`] and [`GenerationDefaults::parse`].
    pub fn load(files: &ModelFiles, config: &Config) -> Result<Self> {
        let bytes = files.try_get(FILE)?;
        let bytes = bytes.as_deref().unwrap_or(b"{}");
        json::warn_of_absent_tokens(files, FILE, bytes, config.vocab_size);
        Self::parse(bytes, &files.label(FILE), config)
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
