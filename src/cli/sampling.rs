//! How a text is continued: flags over the suggestions of the model's authors.

use std::fmt;

use clap::Args;

use tercet_engine::Request;
use tercet_engine::{SamplerOptions, SamplingChoices};
use tercet_formats::GenerationDefaults;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Continuation")]
pub(super) struct Continuation {
    /// Most tokens to generate; by default 128, and in a chat what the context has left
    #[arg(short = 'n', long = "tokens", value_name = "N")]
    tokens: Option<usize>,
    /// End the text before this string; may be repeated
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Go on after the model's end tokens
    #[arg(long)]
    ignore_eos: bool,
    #[command(flatten)]
    sampling: Sampling,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sampling (by default as generation_config.json suggests, or greedy)")]
struct Sampling {
    /// Always take the most probable token
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p"])]
    greedy: bool,
    /// Flatten the probabilities (above 1) or sharpen them (below 1); 0 is greedy
    #[arg(short, long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Choose among this many of the most probable tokens; 0 among all
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Choose among the fewest tokens that together have this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Choose among tokens at least this probable relative to the best
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// Make tokens that already occurred less probable (above 1)
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    repetition_penalty: Option<f32>,
    /// Seed of the random choices: same seed, same text, on any CPU and any number of threads
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
}

impl Continuation {
    /// The request for at most `tokens` tokens, unless the flags say otherwise.
    pub(super) fn request(&self, defaults: &GenerationDefaults, tokens: usize) -> Request {
        Request {
            max_tokens: self.tokens.unwrap_or(tokens),
            sampler: self.sampling.choices().over(defaults),
            eos: if self.ignore_eos { Vec::new() } else { defaults.eos_token_ids.clone() },
            stop: self.stop.clone(),
        }
    }
}

impl Sampling {
    fn choices(&self) -> SamplingChoices {
        let Sampling { greedy, temperature, top_k, top_p, min_p, repetition_penalty, seed } = *self;
        SamplingChoices {
            greedy,
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            seed,
            ..SamplingChoices::default()
        }
    }
}

/// Sampler options in a summary: `greedy`, or `temperature 0.8, top-p 0.95, seed 0`.
pub(super) struct Described<'a>(pub(super) &'a SamplerOptions);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SamplerOptions { temperature, top_k, top_p, min_p, repetition_penalty, seed, .. } = *self.0;
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
        }
        Ok(())
    }
}
