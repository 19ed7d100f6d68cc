//! Fields of a request that say how its text is made.

use schemars::JsonSchema;
use serde::Deserialize;
use tercet_engine::{Matcher, Request};

use crate::body::nullable;
use crate::error::{ApiError, Result, refuse};
use crate::grammar::GrammarFields;
use crate::logprobs::alternatives;
use crate::models::Model;
use crate::sampling::Sampling;
use crate::telemetry::Telemetry;

/// Most texts of one request.
const MOST_CHOICES: usize = 64;

#[derive(Deserialize, Default, JsonSchema)]
#[serde(default)]
pub(crate) struct Parameters {
    /// The name of the model; the default model without one.
    pub(crate) model: Option<String>,
    /// Most tokens to generate. Less than 0 stands for all that the context holds.
    max_tokens: Option<i64>,
    /// The same by its newer name.
    max_completion_tokens: Option<i64>,
    /// Texts for each prompt.
    #[schemars(range(min = 1, max = 64))]
    n: Option<usize>,
    /// Send the answer as server-sent events.
    #[serde(deserialize_with = "nullable")]
    pub(crate) stream: bool,
    stream_options: Option<StreamOptions>,
    #[serde(flatten)]
    sampling: Sampling,
    #[serde(flatten)]
    pub(crate) grammar: GrammarFields,
    #[serde(flatten)]
    pub(crate) telemetry: Telemetry,
    #[serde(flatten)]
    #[schemars(skip)]
    unsupported: Unsupported,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(default)]
struct StreamOptions {
    /// Count the tokens in a last chunk.
    #[serde(deserialize_with = "nullable")]
    include_usage: bool,
}

/// Fields that would change the text and that this server cannot heed. Only their neutral values are accepted.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Unsupported {
    tools: Option<Vec<serde_json::Value>>,
    functions: Option<Vec<serde_json::Value>>,
}

impl Unsupported {
    fn check(&self) -> Result<()> {
        refuse(&[
            ("tools", self.tools.as_ref().is_some_and(|tools| !tools.is_empty())),
            ("functions", self.functions.as_ref().is_some_and(|functions| !functions.is_empty())),
        ])
    }
}

impl Parameters {
    /// Returns a request for each choice after a prompt of `prompt_tokens` tokens. `tokens` is the limit unless the client
    /// sets one, `logprobs` the number of alternatives to report, and `grammar` holds the texts.
    ///
    /// # Errors
    /// Fails with status 400 if a field is out of range or not supported.
    pub(crate) fn requests(
        &self,
        model: &Model,
        prompt_tokens: usize,
        tokens: Option<i64>,
        logprobs: Option<usize>,
        grammar: Option<Matcher>,
    ) -> Result<Vec<Request>> {
        self.unsupported.check()?;
        let n = self.choices();
        if !(1..=MOST_CHOICES).contains(&n) {
            return Err(ApiError::field("n", &format!("{n} is out of range; use 1 to {MOST_CHOICES}")));
        }
        let tokens = self.max_completion_tokens.or(self.max_tokens).or(tokens);
        let logprobs = alternatives(logprobs)?;
        let request = Request { logprobs, grammar, ..self.sampling.request(model, prompt_tokens, tokens)? };
        let request = |i: usize| {
            let mut request = request.clone();
            request.sampler.seed = request.sampler.seed.wrapping_add(i as u64);
            request
        };
        Ok((0..n).map(request).collect())
    }

    /// Returns the number of texts for each prompt.
    pub(crate) fn choices(&self) -> usize {
        self.n.unwrap_or(1)
    }

    /// Returns true if the client wants the tokens counted at the end of a stream.
    pub(crate) fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }
}
