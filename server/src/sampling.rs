//! Fields of requests that say how tokens are chosen, in the names of all APIs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tercet_engine::{Error, Request, SamplingChoices, Session};

use crate::body::{OneOrMany, nullable};
use crate::error::{ApiError, Result};
use crate::ids::random;
use crate::models::Model;
use crate::shapes;

/// A bias that excludes a token. It is finite, because sums with it must be.
pub(crate) const NEVER: f32 = f32::MIN / 2.0;

/// How tokens are chosen and where a text ends. A field that is absent is the model's own choice.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(default)]
#[schemars(transform = shapes::name_aliases)]
pub(crate) struct Sampling {
    /// 0 always takes the likeliest token.
    #[schemars(range(min = 0))]
    temperature: Option<f32>,
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    top_p: Option<f32>,
    /// 0 or less keeps all tokens.
    top_k: Option<i64>,
    #[schemars(range(min = 0, max = 1))]
    min_p: Option<f32>,
    /// 1 changes nothing.
    #[schemars(extend("exclusiveMinimum" = 0))]
    #[serde(alias = "repeat_penalty")]
    repetition_penalty: Option<f32>,
    /// Latest tokens that the penalty looks at: none for 0, and all for less.
    repeat_last_n: Option<i64>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    /// Biases by token: an object, or llama-server's list of pairs.
    #[schemars(schema_with = "shapes::logit_bias")]
    logit_bias: Option<Value>,
    /// The same seed gives the same text. -1 draws one, as by default.
    seed: Option<i64>,
    /// Texts that end the answer.
    #[serde(alias = "stop_sequences")]
    stop: Option<OneOrMany<String>>,
    /// Never end by itself.
    #[serde(deserialize_with = "nullable")]
    ignore_eos: bool,
}

impl Sampling {
    /// Returns the request for at most `max_tokens` tokens after a prompt of `prompt_tokens`. Less than 0 stands for all that
    /// the context holds.
    ///
    /// # Errors
    /// Fails with status 400 if a field is out of range, or the context cannot hold the prompt and one token.
    pub(crate) fn request(
        &self,
        model: &Model,
        prompt_tokens: usize,
        max_tokens: Option<i64>,
    ) -> Result<Request> {
        let Model { session, context, .. } = model;
        let context = *context;
        if prompt_tokens >= context {
            return Err(Error::ContextExceeded { tokens: prompt_tokens + 1, context }.into());
        }
        let rest = context - prompt_tokens;
        let asked = max_tokens.and_then(|tokens| usize::try_from(tokens).ok());
        let request = Request {
            max_tokens: asked.unwrap_or(rest).min(rest),
            stop: self.stop.as_ref().map(OneOrMany::to_vec).unwrap_or_default(),
            ..session.request_with(&self.choices(session)?)
        };
        request.sampler.validate()?;
        Ok(request)
    }

    fn choices(&self, session: &Session) -> Result<SamplingChoices> {
        let (repetition_penalty, repetition_window) = match self.repeat_last_n {
            Some(0) => (Some(1.0), None),
            window => (self.repetition_penalty, window.map(at_least_zero)),
        };
        Ok(SamplingChoices {
            greedy: false,
            temperature: self.temperature,
            top_k: self.top_k.map(at_least_zero),
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty,
            repetition_window,
            presence_penalty: self.presence_penalty.unwrap_or(0.0),
            frequency_penalty: self.frequency_penalty.unwrap_or(0.0),
            logit_bias: self.biases(session)?.into_iter().collect(),
            seed: match self.seed {
                // Of 53 bits, which clients in JavaScript can send again.
                None | Some(-1) => random()? >> 11,
                Some(seed) => seed as u64,
            },
        })
    }

    /// Returns the biases by token. A text stands for its tokens, and false for one that is never chosen.
    fn biases(&self, session: &Session) -> Result<BTreeMap<u32, f32>> {
        let pairs: Vec<(Value, &Value)> = match &self.logit_bias {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(biases)) => {
                biases.iter().map(|(token, bias)| (token.as_str().into(), bias)).collect()
            }
            Some(Value::Array(pairs)) => pairs.iter().map(pair).collect::<Result<_>>()?,
            Some(_) => return Err(wrong_bias("it is neither an object nor a list of pairs")),
        };
        let mut biases = BTreeMap::new();
        for (token, bias) in pairs {
            let bias = match bias {
                Value::Bool(false) => NEVER,
                bias => bias.as_f64().ok_or_else(|| wrong_bias(&format!("{bias} is no number")))? as f32,
            };
            biases.extend(tokens(session, &token)?.into_iter().map(|token| (token, bias)));
        }
        let vocabulary = session.model().config().vocab_size;
        if let Some(token) = biases.keys().find(|&&token| token as usize >= vocabulary) {
            return Err(wrong_bias(&format!("token {token} is outside the vocabulary of {vocabulary}")));
        }
        if self.ignore_eos {
            biases.extend(session.defaults().eos_token_ids.iter().map(|&token| (token, NEVER)));
        }
        Ok(biases)
    }
}

fn pair(pair: &Value) -> Result<(Value, &Value)> {
    match pair.as_array().map(Vec::as_slice) {
        Some([token, bias]) => Ok((token.clone(), bias)),
        _ => Err(wrong_bias(&format!("{pair} is no pair of a token and a number"))),
    }
}

/// Returns the token with a number, or the tokens of a text.
fn tokens(session: &Session, token: &Value) -> Result<Vec<u32>> {
    match token {
        Value::String(text) => match text.parse() {
            Ok(token) => Ok(vec![token]),
            Err(_) => Ok(session.tokenizer().encode(text, false)?),
        },
        number => {
            let token = number.as_u64().and_then(|token| u32::try_from(token).ok());
            token.map(|token| vec![token]).ok_or_else(|| wrong_bias(&format!("{number} is no token")))
        }
    }
}

fn wrong_bias(problem: &str) -> ApiError {
    ApiError::field("logit_bias", problem)
}

/// Returns the number with as few digits as tell `value` from other f32: 0.8, not 0.800000011920929.
pub(crate) fn number(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn at_least_zero(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
