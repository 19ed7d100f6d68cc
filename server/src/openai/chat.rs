//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tercet_engine::{ChatInput, Generation};

use super::answer::{Head, finish_reason};
use super::logprobs;
use super::parameters::Parameters;
use crate::State;
use crate::body::{Body, nullable};
use crate::error::Result;
use crate::models::Model;
use crate::prompt;
use crate::reply::Reply;
use crate::stream::{Framing, Piece};
use crate::timings::timings;

#[derive(Deserialize)]
pub(crate) struct ChatRequest {
    messages: Vec<Value>,
    continue_final_message: Option<bool>,
    add_generation_prompt: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    chat_template_kwargs: Map<String, Value>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
    #[serde(flatten)]
    parameters: Parameters,
}

impl ChatRequest {
    /// Returns the chat. The model goes on with a last message of the assistant, unless the client decides otherwise.
    fn chat(&mut self) -> Result<ChatInput> {
        let variables = std::mem::take(&mut self.chat_template_kwargs);
        let mut input = prompt::chat(std::mem::take(&mut self.messages), variables)?;
        input.continue_final_message = self
            .continue_final_message
            .unwrap_or(input.continue_final_message && self.add_generation_prompt.is_none());
        input.add_generation_prompt = self.add_generation_prompt.unwrap_or(!input.continue_final_message);
        Ok(input)
    }
}

/// Counts the tokens of the prompt.
pub(crate) async fn count_tokens(
    Extract(state): Extract<Arc<State>>,
    Body(mut body): Body<ChatRequest>,
) -> Result<Json<Value>> {
    let model = state.models.find(body.parameters.model.as_deref())?;
    Ok(Json(json!({ "input_tokens": prompt::of_chat(model, body.chat()?).await?.len() })))
}

pub(crate) async fn complete(
    Extract(state): Extract<Arc<State>>,
    Body(mut body): Body<ChatRequest>,
) -> Result<Response> {
    let input = body.chat()?;
    let ChatRequest { parameters, .. } = body;
    let model = Arc::clone(state.models.find(parameters.model.as_deref())?);
    let prompt = prompt::of_chat(&model, input).await?;
    let logprobs = body.logprobs.unwrap_or(false).then_some(body.top_logprobs.unwrap_or(0));
    let requests = parameters.requests(&model.session, prompt.len(), None, logprobs)?;
    let jobs = requests.into_iter().map(|request| (prompt.clone(), request));
    let reply = Reply::start(&model, jobs).await?;
    let head = Head::new("chatcmpl-", &model)?;
    if parameters.stream {
        let usage = parameters.includes_usage();
        return reply.stream(Framing::Events, move |piece| chunks(&head, &model, piece, usage)).await;
    }
    Ok(Json(whole(&head, &model, &reply.finish().await?)).into_response())
}

fn whole(head: &Head, model: &Model, generations: &[Generation]) -> Value {
    let choice = |(index, generation): (usize, &Generation)| {
        json!({
            "index": index,
            "message": { "role": "assistant", "content": generation.text, "refusal": null },
            "finish_reason": finish_reason(generation.stop),
            "logprobs": logprobs::of_chat(model, &generation.logprobs),
        })
    };
    let choices = generations.iter().enumerate().map(choice).collect();
    head.answer("chat.completion", choices, Some((generations, generations.len())))
}

fn chunks(head: &Head, model: &Model, piece: Piece<'_>, usage: bool) -> Vec<Value> {
    const OBJECT: &str = "chat.completion.chunk";
    let chunk = |index: usize, delta: Value, logprobs: Value, finish_reason: Option<&str>| {
        let choice =
            json!({ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason });
        vec![head.answer(OBJECT, vec![choice], None)]
    };
    match piece {
        Piece::Start { index } => {
            chunk(index, json!({ "role": "assistant", "content": null }), Value::Null, None)
        }
        Piece::Step { index, step } => {
            let logprobs = logprobs::of_chat(model, &step.logprobs);
            chunk(index, json!({ "content": step.text }), logprobs, None)
        }
        Piece::End { index, generation } => {
            let mut last = chunk(index, json!({}), Value::Null, Some(finish_reason(generation.stop)));
            last[0]["timings"] = timings(generation);
            last
        }
        Piece::All { generations } if usage => {
            vec![head.answer(OBJECT, Vec::new(), Some((generations, generations.len())))]
        }
        Piece::All { .. } => Vec::new(),
        Piece::Failed { error } => vec![error.body()],
    }
}
