//! `POST /v1/completions`: continues texts as they are, without a chat template.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tercet_engine::Generation;

use super::answer::{Head, finish_reason};
use super::logprobs;
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::error::{Result, refuse};
use crate::models::Model;
use crate::reply::Reply;
use crate::stream::{Framing, Piece};
use crate::timings::timings;
use crate::{prompt, texts};

/// Tokens that OpenAI's API generates unless asked for another number.
const DEFAULT_TOKENS: i64 = 16;

#[derive(Deserialize)]
pub(crate) struct CompletionRequest {
    prompt: Value,
    #[serde(default, deserialize_with = "nullable")]
    echo: bool,
    suffix: Option<String>,
    logprobs: Option<usize>,
    #[serde(flatten)]
    parameters: Parameters,
}

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<CompletionRequest>,
) -> Result<Response> {
    let CompletionRequest { prompt, echo, suffix, logprobs, parameters } = body;
    refuse(&[("echo", echo), ("suffix", suffix.is_some_and(|suffix| !suffix.is_empty()))])?;
    let model = Arc::clone(state.models.find(parameters.model.as_deref())?);
    let prompts = prompt::encode(&model, move |model| texts::prompts(&model.session, &prompt)).await?;
    let grammar = model.matcher(parameters.grammar.asked()?).await?;
    let mut choices = Vec::new();
    for prompt in prompts {
        let (tokens, grammar) = (Some(DEFAULT_TOKENS), grammar.clone());
        let requests = parameters.requests(&model, prompt.len(), tokens, logprobs, grammar)?;
        choices.extend(requests.into_iter().map(|request| (prompt.clone(), request)));
    }
    let n = parameters.choices();
    let reply = Reply::start(&model, choices, parameters.telemetry).await?;
    let head = Head::new("cmpl-", &model)?;
    if parameters.stream {
        let usage = parameters.includes_usage();
        return reply
            .stream(Framing::Events, move |piece| chunks(&head, &model, piece, usage.then_some(n)))
            .await;
    }
    let generations = reply.finish().await?;
    let choice = |(index, generation): (usize, &Generation)| {
        let logprobs = logprobs::of_completion(&model, &generation.logprobs);
        choice(index, &generation.text, logprobs, Some(finish_reason(generation.stop)))
    };
    let choices = generations.iter().enumerate().map(choice).collect();
    Ok(Json(head.answer(OBJECT, choices, Some((&generations, n)))).into_response())
}

const OBJECT: &str = "text_completion";

fn choice(index: usize, text: &str, logprobs: Value, finish_reason: Option<&str>) -> Value {
    json!({ "index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason })
}

fn chunks(head: &Head, model: &Model, piece: Piece<'_>, usage: Option<usize>) -> Vec<Value> {
    let chunk = |choice: Value| vec![head.answer(OBJECT, vec![choice], None)];
    match piece {
        Piece::Read { index } => chunk(choice(index, "", Value::Null, None)),
        Piece::Step { index, step } => {
            chunk(choice(index, &step.text, logprobs::of_completion(model, &step.logprobs), None))
        }
        Piece::End { index, generation } => {
            let mut last = chunk(choice(index, "", Value::Null, Some(finish_reason(generation.stop))));
            last[0]["timings"] = timings(generation);
            last
        }
        Piece::All { generations } => {
            usage.map(|n| head.answer(OBJECT, Vec::new(), Some((generations, n)))).into_iter().collect()
        }
        Piece::Start { .. } => Vec::new(),
        Piece::Failed { error } => vec![error.body()],
    }
}
