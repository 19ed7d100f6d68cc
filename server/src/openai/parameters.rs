//! Fields of a request that say how its text is made.

use std::collections::BTreeMap;

use serde::Deserialize;
use tercet_engine::{Request, SamplingChoices, Session};

use crate::error::{ApiError, Result};

/// Most texts of one request.
const MOST_CHOICES: usize = 64;

/// Most alternatives of a token that are reported.
const MOST_LOGPROBS: usize = 20;

/// One value, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T: Clone> OneOrMany<T> {
    pub(crate) fn to_vec(&self) -> Vec<T> {
        match self {
            OneOrMany::One(value) => vec![value.clone()],
            OneOrMany::Many(values) => values.clone(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Parameters {
    /// The name of the model; the default model without one.
    pub(crate) model: Option<String>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<usize>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    /// Biases by token, whose number is written as a string.
    logit_bias: Option<BTreeMap<String, f32>>,
    seed: Option<i64>,
    stop: Option<OneOrMany<String>>,
    ignore_eos: bool,
    n: Option<usize>,
    pub(crate) stream: bool,
    stream_options: Option<StreamOptions>,
    #[serde(flatten)]
    unsupported: Unsupported,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

/// Fields that would change the text and that this server cannot heed. Only their neutral values are accepted.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Unsupported {
    response_format: Option<ResponseFormat>,
    tools: Option<Vec<serde_json::Value>>,
    functions: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct ResponseFormat {
    #[serde(rename = "type")]
    kind: String,
}

impl Unsupported {
    fn check(&self) -> Result<()> {
        let asks_for_format = self.response_format.as_ref().is_some_and(|format| format.kind != "text");
        let refused = [
            ("response_format", asks_for_format),
            ("tools", self.tools.as_ref().is_some_and(|tools| !tools.is_empty())),
            ("functions", self.functions.as_ref().is_some_and(|functions| !functions.is_empty())),
        ];
        match refused.iter().find(|(_, asked)| *asked) {
            Some((field, _)) => Err(ApiError::field(*field, "this server does not support it; leave it out")),
            None => Ok(()),
        }
    }
}

impl Parameters {
    /// Returns a request for each choice after a prompt of `prompt_tokens` tokens. `tokens` is the limit unless the client
    /// sets one, `logprobs` the number of alternatives to report.
    ///
    /// # Errors
    /// Fails with status 400 if a field is out of range or not supported.
    pub(crate) fn requests(
        &self,
        session: &Session,
        prompt_tokens: usize,
        tokens: Option<usize>,
        logprobs: Option<usize>,
    ) -> Result<Vec<Request>> {
        self.unsupported.check()?;
        let n = self.n.unwrap_or(1);
        if logprobs.is_some_and(|count| count > MOST_LOGPROBS) {
            let problem = format!("at most {MOST_LOGPROBS} alternatives are reported");
            return Err(ApiError::field("top_logprobs", &problem));
        }
        if !(1..=MOST_CHOICES).contains(&n) {
            return Err(ApiError::field("n", &format!("{n} is out of range; use 1 to {MOST_CHOICES}")));
        }
        let seed = match self.seed {
            Some(seed) => seed as u64,
            None => getrandom::u64().map_err(|error| ApiError::internal(error.to_string()))?,
        };
        let choices = SamplingChoices {
            greedy: false,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            repetition_window: None,
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            logit_bias: self.biases()?,
            seed,
        };
        let rest = session.context().saturating_sub(prompt_tokens);
        let tokens = self.max_completion_tokens.or(self.max_tokens).or(tokens).unwrap_or(rest).min(rest);
        let mut request = Request {
            max_tokens: tokens,
            stop: self.stop.as_ref().map(OneOrMany::to_vec).unwrap_or_default(),
            logprobs,
            ..session.request_with(&choices)
        };
        if self.ignore_eos {
            request.eos.clear();
        }
        request.sampler.validate()?;
        let request = |i: usize| {
            let mut request = request.clone();
            request.sampler.seed = seed.wrapping_add(i as u64);
            request
        };
        Ok((0..n).map(request).collect())
    }

    fn biases(&self) -> Result<Vec<(u32, f32)>> {
        let bias = |(token, bias): (&String, &f32)| {
            let problem = format!("{token:?} is no number of a token");
            Ok((token.parse().map_err(|_| ApiError::field("logit_bias", &problem))?, *bias))
        };
        self.logit_bias.iter().flatten().map(bias).collect()
    }

    /// Returns true if the client wants the tokens counted at the end of a stream.
    pub(crate) fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }
}
