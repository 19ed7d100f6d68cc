//! The continuation of a text: flags override the defaults of the model's authors.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Deserializer, de};
use tercet_engine::{Draft, Request, SamplerOptions, SamplingChoices, Session};

use crate::cli::config;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Continuation")]
pub(in crate::cli) struct ContinuationArgs {
    /// Maximum number of tokens; by default 128, or the rest of the context in a chat
    #[arg(short = 'n', long = "tokens", value_name = "N")]
    tokens: Option<usize>,
    /// End the text before this string; may be repeated
    ///
    /// The string may spell special tokens, such as <|eot_id|>, and lie across tokens.
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// End the text before these tokens, besides the model's end tokens
    #[arg(long, value_name = "IDS", value_delimiter = ',', hide_short_help = true)]
    stop_id: Vec<u32>,
    /// Continue after the model's end tokens
    #[arg(long, hide_short_help = true)]
    ignore_eos: bool,
    /// Source of drafts: tokens that may come next, which one pass checks. By default lookup
    ///
    /// No source changes a text.
    #[arg(long, value_name = "SOURCE", value_parser = draft(), hide_short_help = true)]
    draft: Option<Draft>,
    /// Smaller model that makes drafts instead, in the forms of --model
    ///
    /// It must have the same tokens. The number of drafted tokens follows from their success and the measured
    /// times: none where they do not pay.
    #[arg(long, value_name = "MODEL", conflicts_with = "draft", hide_short_help = true)]
    draft_model: Option<PathBuf>,
    /// Sample as the configuration file's preset NAME says
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    preset: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
}

/// Choices of sampling: by flags, or in a table of the configuration file.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[command(next_help_heading = "Sampling (defaults: the model's generation_config.json, or else greedy)")]
#[serde(default, deny_unknown_fields)]
pub(in crate::cli) struct SamplingArgs {
    /// Always take the most probable token
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p"])]
    greedy: bool,
    /// Flatten the probabilities (above 1) or sharpen them (below 1); 0 is greedy
    #[arg(short, long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Choose among the K most probable tokens; 0 means all; by default 50, as in transformers
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Choose among the fewest tokens with a total probability of P
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Choose among tokens with at least P times the probability of the best
    #[arg(long, value_name = "P", allow_negative_numbers = true, hide_short_help = true)]
    min_p: Option<f32>,
    /// Make tokens that already occurred less probable (above 1)
    #[arg(long, value_name = "R", allow_negative_numbers = true, hide_short_help = true)]
    repetition_penalty: Option<f32>,
    /// Apply the repetition penalty to the last N tokens only; 0 means all
    #[arg(long, value_name = "N", hide_short_help = true)]
    repetition_window: Option<usize>,
    /// Take P from the logits of tokens that were generated before
    #[arg(long, value_name = "P", allow_negative_numbers = true, hide_short_help = true)]
    presence_penalty: Option<f32>,
    /// Take P from the logits of generated tokens for each time that they occurred
    #[arg(long, value_name = "P", allow_negative_numbers = true, hide_short_help = true)]
    frequency_penalty: Option<f32>,
    /// Add BIAS to the logit of token ID; may be repeated
    #[arg(long, value_name = "ID=BIAS", value_parser = bias, hide_short_help = true)]
    #[serde(skip)]
    logit_bias: Vec<(u32, f32)>,
    /// Seed of the random choices, or `random`; by default 0, and random in a chat at a terminal
    ///
    /// The same seed gives the same text, on any CPU and with any number of threads.
    #[arg(long, value_name = "N", value_parser = seed, allow_negative_numbers = true)]
    #[serde(deserialize_with = "seed_of_file")]
    seed: Option<u64>,
}

impl ContinuationArgs {
    /// Returns the sampling of the flags, or else of the preset, or else of the configuration file. The seed is `seed` unless
    /// one of them sets another.
    ///
    /// # Errors
    /// Fails if the configuration file cannot be read, or has no such preset.
    pub(in crate::cli) fn choices(&self, seed: u64) -> Result<SamplingChoices> {
        Ok(self.choices_over(&config::current()?.sampling(self.preset.as_deref())?, seed))
    }

    /// Returns the sampling of the flags, or else of `others`.
    pub(in crate::cli) fn choices_over(&self, others: &SamplingArgs, seed: u64) -> SamplingChoices {
        self.sampling.or(others).choices(seed)
    }

    /// Returns the model that makes drafts, if there is one.
    pub(in crate::cli) fn draft_model(&self) -> Option<&Path> {
        self.draft_model.as_deref()
    }

    /// Returns the request for at most `tokens` tokens, unless the flags set another limit.
    pub(in crate::cli) fn request(
        &self,
        choices: &SamplingChoices,
        session: &Session,
        tokens: usize,
    ) -> Request {
        let suggested = session.request_with(choices);
        Request {
            max_tokens: self.tokens.unwrap_or(tokens),
            eos: if self.ignore_eos { Vec::new() } else { suggested.eos.clone() },
            stop: self.stop.clone(),
            stop_id: self.stop_id.clone(),
            draft: self.draft.clone().unwrap_or_else(|| suggested.draft.clone()),
            ..suggested
        }
    }
}

impl SamplingArgs {
    /// Returns these choices, and those of `others` where these say nothing. Greed and chance exclude each other: who asks for
    /// one of them takes nothing of the other.
    pub(in crate::cli) fn or(&self, others: &SamplingArgs) -> SamplingArgs {
        SamplingArgs {
            greedy: self.greedy || others.greedy && !self.asks_for_chance(),
            temperature: self.temperature.or(others.temperature),
            top_k: self.top_k.or(others.top_k),
            top_p: self.top_p.or(others.top_p),
            min_p: self.min_p.or(others.min_p),
            repetition_penalty: self.repetition_penalty.or(others.repetition_penalty),
            repetition_window: self.repetition_window.or(others.repetition_window),
            presence_penalty: self.presence_penalty.or(others.presence_penalty),
            frequency_penalty: self.frequency_penalty.or(others.frequency_penalty),
            logit_bias: [&self.logit_bias[..], &others.logit_bias].concat(),
            seed: self.seed.or(others.seed),
        }
    }

    fn asks_for_chance(&self) -> bool {
        let SamplingArgs { temperature, top_k, top_p, min_p, .. } = self;
        temperature.is_some() || top_k.is_some() || top_p.is_some() || min_p.is_some()
    }

    /// Returns the choices, with the seed `seed` unless they set one.
    pub(in crate::cli) fn choices(&self, seed: u64) -> SamplingChoices {
        SamplingChoices {
            greedy: self.greedy,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            repetition_window: self.repetition_window,
            presence_penalty: self.presence_penalty.unwrap_or_default(),
            frequency_penalty: self.frequency_penalty.unwrap_or_default(),
            logit_bias: self.logit_bias.clone(),
            seed: self.seed.unwrap_or(seed),
        }
    }
}

fn draft() -> impl TypedValueParser<Value = Draft> {
    let lookup = "The tokens after the same tokens before, where that saves time";
    let sources = [(Draft::Lookup, lookup), (Draft::None, "No drafts")];
    let values = sources.clone().map(|(source, help)| PossibleValue::new(source.name()).help(help));
    let named = move |name: String| sources.iter().find(|(source, _)| source.name() == name).cloned();
    PossibleValuesParser::new(values).map(move |name| named(name).unwrap_or_default().0)
}

/// Reads a seed: a number, or `random`.
pub(in crate::cli) fn seed(text: &str) -> Result<u64, String> {
    match text {
        "random" => Ok(random_seed()),
        number => number.parse().map_err(|_| "use a number from 0, or random".to_owned()),
    }
}

/// Reads the seed of a configuration file, in the forms of [`seed`].
fn seed_of_file<'de, D: Deserializer<'de>>(file: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(u64),
        Word(String),
    }
    match Form::deserialize(file) {
        Ok(Form::Number(number)) => Ok(Some(number)),
        Ok(Form::Word(word)) => seed(&word).map(Some).map_err(de::Error::custom),
        Err(_) => Err(de::Error::custom("use a number from 0, or \"random\"")),
    }
}

/// Returns another seed at every call. It is short enough to be typed again.
pub(in crate::cli) fn random_seed() -> u64 {
    // The standard library seeds its hash maps with the system's random numbers.
    RandomState::new().hash_one(0) % 1_000_000
}

/// Reads a token and its bias, as in `13=-2.5`.
fn bias(text: &str) -> Result<(u32, f32), String> {
    let parts = text.split_once('=').and_then(|(id, bias)| Some((id.parse().ok()?, bias.parse().ok()?)));
    parts.ok_or_else(|| "use the number of a token and its bias, as in 13=-2.5".to_owned())
}

/// Formats sampler options for a summary: `greedy`, or `temperature 0.8, top-p 0.95, seed 0`.
pub(in crate::cli) struct Described<'a>(pub(in crate::cli) &'a SamplerOptions);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SamplerOptions { temperature, top_k, top_p, min_p, seed, .. } = *self.0;
        let SamplerOptions { repetition_penalty, repetition_window, .. } = *self.0;
        let SamplerOptions { presence_penalty, frequency_penalty, ref logit_bias, .. } = *self.0;
        if temperature == 0.0 {
            write!(f, "greedy")?;
        } else {
            write!(f, "temperature {temperature}")?;
            if top_k > 0 {
                write!(f, ", top-k {top_k}")?;
            }
            if top_p < 1.0 {
                write!(f, ", top-p {top_p}")?;
            }
            if min_p > 0.0 {
                write!(f, ", min-p {min_p}")?;
            }
            write!(f, ", seed {seed}")?;
        }
        if repetition_penalty != 1.0 {
            write!(f, ", repetition penalty {repetition_penalty}")?;
            if repetition_window > 0 {
                write!(f, " within {repetition_window} tokens")?;
            }
        }
        if presence_penalty != 0.0 {
            write!(f, ", presence penalty {presence_penalty}")?;
        }
        if frequency_penalty != 0.0 {
            write!(f, ", frequency penalty {frequency_penalty}")?;
        }
        if !logit_bias.is_empty() {
            write!(f, ", {} biased", crate::cli::report::count(logit_bias.len(), "token"))?;
        }
        Ok(())
    }
}
