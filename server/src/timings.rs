//! llama-server's account of the time that a text took.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::Generation;

/// The tokens of a text, and the times that they took.
pub(crate) struct Times {
    /// Tokens of the prompt that were not read again, and those that were read.
    pub(crate) cached: usize,
    pub(crate) read: usize,
    pub(crate) prefill: Duration,
    pub(crate) generated: usize,
    pub(crate) decode: Duration,
}

/// Times and speeds, as llama-server tells them. The first token comes with the prompt, so that speeds count the others.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Timings {
    /// Tokens of the prompt that were not read again.
    cache_n: usize,
    /// Tokens of the prompt that were read.
    prompt_n: usize,
    prompt_ms: f64,
    prompt_per_token_ms: f64,
    prompt_per_second: f64,
    predicted_n: usize,
    predicted_ms: f64,
    predicted_per_token_ms: f64,
    predicted_per_second: f64,
    /// Tokens that were proposed by a guess, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    draft_n: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draft_n_accepted: Option<usize>,
}

impl From<Times> for Timings {
    fn from(times: Times) -> Self {
        let Times { cached, read, prefill, generated, decode } = times;
        let (prompts, decoded) = (read as f64, generated.saturating_sub(1) as f64);
        let (prompt_ms, predicted_ms) = (milliseconds(prefill), milliseconds(decode));
        Timings {
            cache_n: cached,
            prompt_n: read,
            prompt_ms,
            prompt_per_token_ms: per(prompt_ms, prompts),
            prompt_per_second: per(1e3 * prompts, prompt_ms),
            predicted_n: generated,
            predicted_ms,
            predicted_per_token_ms: per(predicted_ms, decoded),
            predicted_per_second: per(1e3 * decoded, predicted_ms),
            draft_n: None,
            draft_n_accepted: None,
        }
    }
}

impl From<&Generation> for Timings {
    fn from(generation: &Generation) -> Self {
        let &Generation {
            cached_tokens: cached,
            prompt_tokens: read,
            prefill,
            decode,
            drafted,
            accepted,
            ..
        } = generation;
        let timings = Timings::from(Times { cached, read, prefill, generated: generation.ids.len(), decode });
        let told = |tokens: usize| (drafted > 0).then_some(tokens);
        Timings { draft_n: told(drafted), draft_n_accepted: told(accepted), ..timings }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    1e3 * duration.as_secs_f64()
}

/// JSON has no word for a quotient by zero.
fn per(amount: f64, unit: f64) -> f64 {
    if unit > 0.0 { amount / unit } else { 0.0 }
}
