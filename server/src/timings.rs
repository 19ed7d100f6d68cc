//! llama-server's account of the time that a text took.

use std::time::Duration;

use serde_json::{Value, json};
use tercet_engine::Generation;

/// Returns the `timings` of a text. The first token comes with the prompt, so that speeds count the others.
pub(crate) fn timings(generation: &Generation) -> Value {
    let prompt_n = generation.prompt_tokens as f64;
    let decoded = generation.ids.len().saturating_sub(1) as f64;
    let (prompt_ms, predicted_ms) = (milliseconds(generation.prefill), milliseconds(generation.decode));
    let mut timings = json!({
        "cache_n": generation.cached_tokens,
        "prompt_n": generation.prompt_tokens,
        "prompt_ms": prompt_ms,
        "prompt_per_token_ms": per(prompt_ms, prompt_n),
        "prompt_per_second": per(1e3 * prompt_n, prompt_ms),
        "predicted_n": generation.ids.len(),
        "predicted_ms": predicted_ms,
        "predicted_per_token_ms": per(predicted_ms, decoded),
        "predicted_per_second": per(1e3 * decoded, predicted_ms),
    });
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
