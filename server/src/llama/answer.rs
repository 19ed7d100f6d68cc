//! llama-server's answer for one prompt, whole or in chunks.

use std::sync::Arc;

use serde_json::{Value, json};
use tercet_engine::{Generation, Request, Step, Stop};

use super::fields::select;
use crate::error::Result;
use crate::logprobs;
use crate::models::Model;
use crate::sampling::{NEVER, number};
use crate::stream::Piece;
use crate::timings::timings;

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
    pub(super) fn chunks(answers: &[Self], piece: Piece<'_>) -> Vec<Value> {
        match piece {
            Piece::Start { .. } | Piece::All { .. } => Vec::new(),
            Piece::Read { index } => vec![answers[index].part(&Step::default())],
            Piece::Step { index, step } => vec![answers[index].part(step)],
            Piece::End { index, generation } => {
                let mut last = answers[index].finished(generation);
                (last["content"], last["tokens"]) = ("".into(), json!([]));
                vec![select(last, &answers[index].fields)]
            }
            Piece::Failed { error } => vec![error.body()],
        }
    }

    /// Returns the whole answer.
    pub(crate) fn whole(&self, generation: &Generation) -> Value {
        let mut whole = self.finished(generation);
        if !generation.logprobs.is_empty() {
            whole["completion_probabilities"] = logprobs::entries(&self.model, &generation.logprobs).into();
        }
        select(whole, &self.fields)
    }

    fn part(&self, step: &Step) -> Value {
        let mut part = json!({
            "index": self.index,
            "content": step.text,
            "tokens": step.ids,
            "stop": false,
            "tokens_evaluated": self.prompt_tokens,
        });
        if !step.logprobs.is_empty() {
            part["completion_probabilities"] = logprobs::entries(&self.model, &step.logprobs).into();
        }
        part
    }

    fn finished(&self, generation: &Generation) -> Value {
        let tokens = if self.return_tokens { &generation.ids[..] } else { &[] };
        json!({
            "index": self.index,
            "content": generation.text,
            "tokens": tokens,
            "stop": true,
            "model": self.model.name,
            "prompt": self.prompt,
            "tokens_predicted": generation.ids.len(),
            "tokens_evaluated": self.prompt_tokens,
            "tokens_cached": generation.cached_tokens,
            "has_new_line": generation.text.contains('\n'),
            "truncated": false,
            "stop_type": stop_type(generation.stop),
            "stopping_word": generation.stop_string.as_deref().unwrap_or_default(),
            "generation_settings": settings(&self.request),
            "timings": timings(generation),
        })
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

/// Returns the settings of a request in llama-server's names.
pub(super) fn settings(request: &Request) -> Value {
    let sampler = &request.sampler;
    // JSON has no word for minus infinity.
    let bias = |(token, bias): &(u32, f32)| json!({ "token": token, "bias": Some(*bias).filter(|bias| *bias > NEVER).map(number) });
    json!({
        "seed": sampler.seed,
        "temperature": number(sampler.temperature),
        "top_k": sampler.top_k,
        "top_p": number(sampler.top_p),
        "min_p": number(sampler.min_p),
        "repeat_penalty": number(sampler.repetition_penalty),
        "presence_penalty": number(sampler.presence_penalty),
        "frequency_penalty": number(sampler.frequency_penalty),
        "logit_bias": sampler.logit_bias.iter().map(bias).collect::<Vec<_>>(),
        "n_predict": request.max_tokens,
        "n_probs": request.logprobs.unwrap_or(0),
        "stop": request.stop,
    })
}
