//! Tokens that a request took.

use serde::Serialize;
use tercet_engine::Generation;

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    prompt_tokens_details: PromptDetails,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct PromptDetails {
    cached_tokens: usize,
}

impl Usage {
    /// Returns the usage of all `choices`, which share one prompt.
    pub(crate) fn of(choices: &[Generation]) -> Self {
        let first = choices.first();
        let prompt_tokens = first.map_or(0, |choice| choice.prompt_tokens + choice.cached_tokens);
        let completion_tokens = choices.iter().map(|choice| choice.ids.len()).sum();
        Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: first.map_or(0, |choice| choice.cached_tokens),
            },
        }
    }
}
