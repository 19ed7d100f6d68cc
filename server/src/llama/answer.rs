//! llama-server's answer for one prompt, whole or in chunks.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tercet_engine::{Generation, Request, Step, Stop, TokenLogprobs};

use super::fields::select;
use crate::error::{ErrorAnswer, Result};
use crate::logprobs::{self, DrawnToken, TokenEntry};
use crate::models::Model;
use crate::sampling::{NEVER, number};
use crate::stream::{Chunk, Framing, Message, Piece};
use crate::telemetry::Report;
use crate::timings::Timings;

/// A text that has ended.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LlamaCompletion")]
pub(crate) struct Finished {
    index: usize,
    content: String,
    tokens: Vec<u32>,
    stop: bool,
    model: String,
    /// The prompt's text, special tokens included.
    prompt: String,
    tokens_predicted: usize,
    tokens_evaluated: usize,
    tokens_cached: usize,
    has_new_line: bool,
    truncated: bool,
    /// None, eos, limit or word.
    stop_type: &'static str,
    stopping_word: String,
    generation_settings: Settings,
    timings: Timings,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_probabilities: Option<Vec<Probability>>,
}

/// A text that has ended, or the fields of it that were asked for.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Reported {
    All(Box<Finished>),
    Fields(Map<String, Value>),
}

/// A part of a text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LlamaCompletionPart")]
pub(super) struct Part {
    index: usize,
    content: String,
    tokens: Vec<u32>,
    stop: bool,
    tokens_evaluated: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_probabilities: Option<Vec<Probability>>,
    #[serde(flatten)]
    report: Report,
}

/// A token's probability, by the model or as it was drawn.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Probability {
    OfModel(TokenEntry),
    Drawn(DrawnToken),
}

/// The parts of a text, and then all but its text.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Told {
    Part(Part),
    Last(Reported),
}

impl Chunk for Told {
    const FRAMING: Framing = Framing::Events;
}

/// The settings of a request in llama-server's names.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LlamaSettings")]
pub(super) struct Settings {
    pub(super) seed: i64,
    temperature: f64,
    top_k: usize,
    top_p: f64,
    min_p: f64,
    repeat_penalty: f64,
    presence_penalty: f64,
    frequency_penalty: f64,
    logit_bias: Vec<Bias>,
    pub(super) n_predict: i64,
    n_probs: usize,
    stop: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LlamaBias")]
struct Bias {
    token: u32,
    /// Null excludes the token: JSON has no word for minus infinity.
    bias: Option<f64>,
}

/// The part of an answer that is known before its text.
pub(crate) struct Answer {
    index: usize,
    model: Arc<Model>,
    /// The prompt's text, special tokens included.
    prompt: String,
    prompt_tokens: usize,
    request: Request,
    return_tokens: bool,
    /// Paths of the fields to report; all without any.
    fields: Vec<String>,
}

impl Answer {
    /// Returns the beginning of the answer to prompt `index`, which is carried out as `request`.
    ///
    /// # Errors
    /// Fails if the prompt has tokens without a text.
    pub(crate) fn new(index: usize, model: &Arc<Model>, prompt: &[u32], request: &Request) -> Result<Self> {
        Ok(Answer {
            index,
            model: Arc::clone(model),
            prompt: model.session.tokenizer().decode(prompt, false)?,
            prompt_tokens: prompt.len(),
            request: request.clone(),
            return_tokens: false,
            fields: Vec::new(),
        })
    }

    /// Returns the answer with the tokens or not, and with these fields only, or all if there are none.
    pub(super) fn with(self, return_tokens: bool, fields: &[String]) -> Self {
        Answer { return_tokens, fields: fields.to_vec(), ..self }
    }

    /// Returns the chunks for what happens to one of several prompts.
    pub(super) fn chunks(
        answers: &[Self],
        piece: Piece<'_>,
        report: &Report,
    ) -> Vec<Message<Told, ErrorAnswer>> {
        let told = match piece {
            Piece::Start { .. } | Piece::All { .. } => return Vec::new(),
            Piece::Read { index } => Told::Part(answers[index].part(&Step::default(), report)),
            Piece::Step { index, step } => Told::Part(answers[index].part(step, report)),
            Piece::End { index, generation } => {
                let finished = answers[index].finished(generation);
                let last = Finished { content: String::new(), tokens: Vec::new(), ..finished };
                Told::Last(answers[index].report(last))
            }
            Piece::Failed { error } => return vec![error.into()],
        };
        vec![Message::Chunk(told)]
    }

    /// Returns the whole answer.
    pub(crate) fn whole(&self, generation: &Generation) -> Reported {
        let completion_probabilities = self.probabilities(&generation.logprobs);
        let whole = Finished { completion_probabilities, ..self.finished(generation) };
        self.report(whole)
    }

    fn report(&self, finished: Finished) -> Reported {
        match self.fields.is_empty() {
            true => Reported::All(Box::new(finished)),
            false => Reported::Fields(select(&json!(finished), &self.fields)),
        }
    }

    fn part(&self, step: &Step, report: &Report) -> Part {
        Part {
            index: self.index,
            content: step.text.clone(),
            tokens: step.ids.clone(),
            stop: false,
            tokens_evaluated: self.prompt_tokens,
            completion_probabilities: self.probabilities(&step.logprobs),
            report: report.clone(),
        }
    }

    fn finished(&self, generation: &Generation) -> Finished {
        let tokens = if self.return_tokens { &generation.ids[..] } else { &[] };
        Finished {
            index: self.index,
            content: generation.text.clone(),
            tokens: tokens.to_vec(),
            stop: true,
            model: self.model.name.clone(),
            prompt: self.prompt.clone(),
            tokens_predicted: generation.ids.len(),
            tokens_evaluated: self.prompt_tokens,
            tokens_cached: generation.cached_tokens,
            has_new_line: generation.text.contains('\n'),
            truncated: false,
            stop_type: stop_type(generation.stop),
            stopping_word: generation.stop_string.clone().unwrap_or_default(),
            generation_settings: (&self.request).into(),
            timings: generation.into(),
            completion_probabilities: None,
        }
    }

    fn probabilities(&self, tokens: &[TokenLogprobs]) -> Option<Vec<Probability>> {
        let told = |token: &TokenLogprobs| match self.request.logprobs_as_drawn {
            true => Probability::Drawn(DrawnToken::new(&self.model, token)),
            false => Probability::OfModel(logprobs::entry(&self.model, token)),
        };
        (!tokens.is_empty()).then(|| tokens.iter().map(told).collect())
    }
}

fn stop_type(stop: Stop) -> &'static str {
    match stop {
        Stop::Eos | Stop::StopId => "eos",
        Stop::Length => "limit",
        Stop::StopString => "word",
        Stop::Cancelled => "none",
    }
}

impl From<&Request> for Settings {
    fn from(request: &Request) -> Self {
        let sampler = &request.sampler;
        let bias = |&(token, bias): &(u32, f32)| Bias { token, bias: (bias > NEVER).then(|| number(bias)) };
        Settings {
            // Seeds wrap in the same way when they are read.
            seed: sampler.seed as i64,
            temperature: number(sampler.temperature),
            top_k: sampler.top_k,
            top_p: number(sampler.top_p),
            min_p: number(sampler.min_p),
            repeat_penalty: number(sampler.repetition_penalty),
            presence_penalty: number(sampler.presence_penalty),
            frequency_penalty: number(sampler.frequency_penalty),
            logit_bias: sampler.logit_bias.iter().map(bias).collect(),
            n_predict: i64::try_from(request.max_tokens).unwrap_or(i64::MAX),
            n_probs: request.logprobs.unwrap_or(0),
            stop: request.stop.clone(),
        }
    }
}
