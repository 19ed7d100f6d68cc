//! `POST /completion`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use crate::State;
use crate::body::{Body, nullable};
use crate::error::{Result, refuse};
use crate::grammar::GrammarFields;
use crate::logprobs::alternatives;
use crate::reply::Reply;
use crate::sampling::Sampling;
use crate::stream::Framing;
use crate::telemetry::Telemetry;
use crate::{prompt, texts};

#[derive(Deserialize)]
pub(super) struct CompletionRequest {
    model: Option<String>,
    prompt: Value,
    #[serde(alias = "max_tokens")]
    n_predict: Option<i64>,
    #[serde(default, deserialize_with = "nullable")]
    stream: bool,
    /// Alternatives of each token that are reported; none if 0.
    #[serde(default, deserialize_with = "nullable")]
    n_probs: usize,
    #[serde(default, deserialize_with = "nullable")]
    post_sampling_probs: bool,
    #[serde(default, deserialize_with = "nullable")]
    return_tokens: bool,
    #[serde(default, deserialize_with = "nullable")]
    response_fields: Vec<String>,
    #[serde(flatten)]
    sampling: Sampling,
    #[serde(flatten)]
    grammar: GrammarFields,
    #[serde(flatten)]
    telemetry: Telemetry,
}

pub(super) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<CompletionRequest>,
) -> Result<Response> {
    let CompletionRequest { prompt, sampling, .. } = body;
    refuse(&[("post_sampling_probs", body.post_sampling_probs)])?;
    let model = Arc::clone(state.models.find(body.model.as_deref())?);
    let several = matches!(&prompt, Value::Array(parts) if !parts.iter().any(Value::is_number));
    let prompts = prompt::encode(&model, move |model| texts::prompts(&model.session, &prompt)).await?;
    let logprobs = alternatives((body.n_probs > 0).then_some(body.n_probs))?;
    let grammar = model.matcher(body.grammar.asked()?).await?;
    let (mut choices, mut answers) = (Vec::new(), Vec::new());
    for prompt in prompts {
        let mut request = sampling.request(&model, prompt.len(), body.n_predict)?;
        (request.logprobs, request.grammar) = (logprobs, grammar.clone());
        let answer = Answer::new(answers.len(), &model, &prompt, &request)?;
        answers.push(answer.with(body.return_tokens, &body.response_fields));
        choices.push((prompt, request));
    }
    let reply = Reply::start(&model, choices, body.telemetry).await?;
    if body.stream {
        return reply.stream(Framing::Events, move |piece| Answer::chunks(&answers, piece)).await;
    }
    let generations = reply.finish().await?;
    let mut whole = answers.iter().zip(&generations).map(|(answer, generation)| answer.whole(generation));
    let answer = if several { whole.collect() } else { whole.next().unwrap_or_default() };
    Ok(Json(answer).into_response())
}
