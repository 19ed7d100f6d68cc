//! `POST /v1/responses`. Nothing is stored, so that each request brings the whole conversation.

mod answer;
mod input;
mod parameters;
mod stream;

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::State;
use crate::body::Body;
use crate::error::Result;
use crate::prompt;
use crate::reply::Reply;
use crate::stream::Framing;

use answer::Head;
use parameters::ResponsesRequest;
use stream::Events;

/// Counts the tokens of the prompt.
pub(crate) async fn count_tokens(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ResponsesRequest>,
) -> Result<Json<Value>> {
    let model = state.models.find(body.model.as_deref())?;
    let input_tokens = prompt::of_chat(model, body.chat()?).await?.len();
    Ok(Json(json!({ "object": "response.input_tokens", "input_tokens": input_tokens })))
}

pub(crate) async fn create(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ResponsesRequest>,
) -> Result<Response> {
    body.check()?;
    let model = Arc::clone(state.models.find(body.model.as_deref())?);
    let prompt = prompt::of_chat(&model, body.chat()?).await?;
    let request = body.request(&model, prompt.len())?;
    let head = Head::new(Arc::clone(&model), &body, &request)?;
    let reply = Reply::start(&model, [(prompt, request)]).await?;
    if body.stream {
        let mut events = Events::new(head);
        return reply.stream(Framing::NamedEvents, move |piece| events.say(piece)).await;
    }
    Ok(Json(head.finished(&reply.finish_one().await?)).into_response())
}
