//! llama-server's account of the time that a text took.

use std::time::Duration;

use serde_json::{Value, json};
use tercet_engine::Generation;

/// The tokens of a text, and the times that they took.
pub(crate) struct Timings {
    /// Tokens of the prompt that were not read again, and those that were read.
    pub(crate) cached: usize,
    pub(crate) read: usize,
    pub(crate) prefill: Duration,
    pub(crate) generated: usize,
    pub(crate) decode: Duration,
}

impl Timings {
    /// Returns `timings`. The first token comes with the prompt, so that speeds count the others.
    pub(crate) fn json(&self) -> Value {
        let prompt_n = self.read as f64;
        let decoded = self.generated.saturating_sub(1) as f64;
        let (prompt_ms, predicted_ms) = (milliseconds(self.prefill), milliseconds(self.decode));
        json!({
            "cache_n": self.cached,
            "prompt_n": self.read,
            "prompt_ms": prompt_ms,
            "prompt_per_token_ms": per(prompt_ms, prompt_n),
            "prompt_per_second": per(1e3 * prompt_n, prompt_ms),
            "predicted_n": self.generated,
            "predicted_ms": predicted_ms,
            "predicted_per_token_ms": per(predicted_ms, decoded),
            "predicted_per_second": per(1e3 * decoded, predicted_ms),
        })
    }
}

/// Returns the `timings` of a text that has ended.
pub(crate) fn timings(generation: &Generation) -> Value {
    let &Generation { cached_tokens: cached, prompt_tokens: read, prefill, decode, .. } = generation;
    let generated = generation.ids.len();
    let mut timings = Timings { cached, read, prefill, generated, decode }.json();
    if generation.drafted > 0 {
        timings["draft_n"] = generation.drafted.into();
        timings["draft_n_accepted"] = generation.accepted.into();
    }
    timings
}

fn milliseconds(duration: Duration) -> f64 {
    1e3 * duration.as_secs_f64()
}

/// JSON has no word for a quotient by zero.
fn per(amount: f64, unit: f64) -> f64 {
    if unit > 0.0 { amount / unit } else { 0.0 }
}
