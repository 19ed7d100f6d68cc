//! `POST /v1/completions`: continues texts as they are, without a chat template.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tercet_engine::{Generation, Session};

use super::answer::{Head, finish_reason};
use super::logprobs;
use super::parameters::{OneOrMany, Parameters};
use super::usage::Usage;
use crate::State;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::models::Model;
use crate::reply::{Piece, Reply};

/// Tokens that OpenAI's API generates unless asked for another number.
const DEFAULT_TOKENS: usize = 16;

#[derive(Deserialize)]
pub(crate) struct CompletionRequest {
    prompt: Prompt,
    #[serde(default)]
    echo: bool,
    suffix: Option<String>,
    logprobs: Option<usize>,
    #[serde(flatten)]
    parameters: Parameters,
}

/// A text, its tokens, or several of either.
#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Tokens(Vec<u32>),
    Texts(OneOrMany<String>),
    Lists(Vec<Vec<u32>>),
}

impl Prompt {
    fn encode(self, session: &Session) -> Result<Vec<Vec<u32>>> {
        match self {
            Prompt::Tokens(tokens) => Ok(vec![tokens]),
            Prompt::Lists(lists) => Ok(lists),
            Prompt::Texts(texts) => {
                texts.to_vec().iter().map(|text| Ok(session.encode(text)?)).collect::<Result<_>>()
            }
        }
    }
}

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<CompletionRequest>,
) -> Result<Response> {
    let CompletionRequest { prompt, echo, suffix, logprobs, parameters } = body;
    for (field, asked) in [("echo", echo), ("suffix", suffix.is_some_and(|suffix| !suffix.is_empty()))] {
        if asked {
            return Err(ApiError::field(field, "this server does not support it; leave it out"));
        }
    }
    let model = Arc::clone(state.models.find(parameters.model.as_deref())?);
    let session = Arc::clone(&model.session);
    let prompts = tokio::task::spawn_blocking(move || prompt.encode(&session)).await;
    let prompts = prompts.map_err(|_| ApiError::internal("the tokenizer has failed"))??;
    let mut choices = Vec::new();
    for prompt in prompts {
        let requests = parameters.requests(&model.session, prompt.len(), Some(DEFAULT_TOKENS), logprobs)?;
        choices.extend(requests.into_iter().map(|request| (prompt.clone(), request)));
    }
    let reply = Reply::start(&model, choices).await?;
    let head = Head::new("cmpl", &model)?;
    if parameters.stream {
        let usage = parameters.includes_usage();
        return reply.stream(move |piece| chunks(&head, &model, piece, usage)).await;
    }
    let generations = reply.finish().await?;
    let choice = |(index, generation): (usize, &Generation)| {
        let logprobs = logprobs::of_completion(&model, &generation.logprobs);
        choice(index, &generation.text, logprobs, Some(finish_reason(generation.stop)))
    };
    let choices = generations.iter().enumerate().map(choice).collect();
    Ok(Json(head.answer(OBJECT, choices, Some(Usage::of(&generations)))).into_response())
}

const OBJECT: &str = "text_completion";

fn choice(index: usize, text: &str, logprobs: Value, finish_reason: Option<&str>) -> Value {
    json!({ "index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason })
}

fn chunks(head: &Head, model: &Model, piece: Piece<'_>, usage: bool) -> Vec<Value> {
    let chunk = |choice: Value| vec![head.answer(OBJECT, vec![choice], None)];
    match piece {
        Piece::Step { index, step } => {
            chunk(choice(index, &step.text, logprobs::of_completion(model, &step.logprobs), None))
        }
        Piece::End { index, generation } => {
            chunk(choice(index, "", Value::Null, Some(finish_reason(generation.stop))))
        }
        Piece::All { generations } if usage => {
            vec![head.answer(OBJECT, Vec::new(), Some(Usage::of(generations)))]
        }
        Piece::Start { .. } | Piece::All { .. } => Vec::new(),
    }
}
