//! Tokens that a request took.

use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::Generation;

#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    prompt_tokens_details: PromptDetails,
}

#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
struct PromptDetails {
    cached_tokens: usize,
}

impl Usage {
    /// Returns the usage of `texts`, of which each prompt has `n`.
    pub(crate) fn of(texts: &[Generation], n: usize) -> Self {
        let prompts = || texts.iter().step_by(n.max(1));
        let prompt_tokens = prompts().map(|text| text.prompt_tokens + text.cached_tokens).sum();
        let completion_tokens = texts.iter().map(|text| text.ids.len()).sum();
        Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: prompts().map(|text| text.cached_tokens).sum(),
            },
        }
    }
}
