//! `POST /completion`.

use std::sync::Arc;

use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Answer, Reported, Told};
use crate::State;
use crate::body::{Body, nullable};
use crate::error::{ApiError, ErrorAnswer, Result};
use crate::grammar::GrammarFields;
use crate::logprobs::alternatives;
use crate::reply::Reply;
use crate::sampling::Sampling;
use crate::stream::{Message, Piece, Sent};
use crate::telemetry::{Report, Telemetry};
use crate::{prompt, shapes, texts};

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "LlamaCompletionRequest")]
pub(super) struct CompletionRequest {
    /// The name of the model; the default model without one.
    model: Option<String>,
    #[schemars(schema_with = "shapes::prompt")]
    prompt: Value,
    /// Most tokens to generate; all that the context holds without a number. `max_tokens` is another name.
    #[serde(alias = "max_tokens")]
    n_predict: Option<i64>,
    #[serde(default, deserialize_with = "nullable")]
    stream: bool,
    /// Alternatives of each token that are reported; none if 0.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(range(max = 20))]
    n_probs: usize,
    /// Report the probabilities that tokens were drawn by, after penalties, temperature and cuts.
    #[serde(default, deserialize_with = "nullable")]
    post_sampling_probs: bool,
    #[serde(default, deserialize_with = "nullable")]
    return_tokens: bool,
    /// Paths of the fields to report, such as `generation_settings/seed`; all without any.
    #[serde(default, deserialize_with = "nullable")]
    response_fields: Vec<String>,
    #[serde(flatten)]
    sampling: Sampling,
    #[serde(flatten)]
    grammar: GrammarFields,
    #[serde(flatten)]
    telemetry: Telemetry,
}

/// One answer, or one for each prompt of a list.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "LlamaCompletions")]
pub(super) enum Completions {
    One(Reported),
    Many(Vec<Reported>),
}

pub(super) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<CompletionRequest>,
) -> Result<Sent<Completions, Message<Told, ErrorAnswer>>> {
    let CompletionRequest { prompt, sampling, .. } = body;
    let model = Arc::clone(state.models.find(body.model.as_deref())?);
    let several = matches!(&prompt, Value::Array(parts) if !parts.iter().any(Value::is_number));
    let prompts = prompt::encode(&model, move |model| texts::prompts(model, &prompt)).await?;
    let logprobs = alternatives((body.n_probs > 0).then_some(body.n_probs))?;
    let grammar = model.matcher(body.grammar.asked()?).await?;
    let (mut choices, mut answers) = (Vec::new(), Vec::new());
    for prompt in prompts {
        let mut request = sampling.request(&model, prompt.len(), body.n_predict)?;
        (request.logprobs, request.grammar) = (logprobs, grammar.clone());
        request.logprobs_as_drawn = body.post_sampling_probs;
        let answer = Answer::new(answers.len(), &model, &prompt, &request)?;
        answers.push(answer.with(body.return_tokens, &body.response_fields));
        choices.push((prompt, request));
    }
    let reply = Reply::start(&model, choices, body.telemetry).await?;
    if body.stream {
        let say = move |piece: Piece<'_>, report: &Report| Answer::chunks(&answers, piece, report);
        return reply.stream(say).await;
    }
    let generations = reply.finish().await?;
    let mut whole = answers.iter().zip(&generations).map(|(answer, generation)| answer.whole(generation));
    Ok(Sent::Whole(match several {
        true => Completions::Many(whole.collect()),
        false => {
            Completions::One(whole.next().ok_or_else(|| ApiError::internal("the prompt has no answer"))?)
        }
    }))
}
