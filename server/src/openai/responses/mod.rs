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
use tercet_engine::Request;

use crate::State;
use crate::body::Body;
use crate::chat::{self, Chat};
use crate::error::Result;
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
    let input_tokens = chat::count_tokens(model, body.chat()?, body.tools()?.as_ref()).await?;
    Ok(Json(json!({ "object": "response.input_tokens", "input_tokens": input_tokens })))
}

pub(crate) async fn create(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ResponsesRequest>,
) -> Result<Response> {
    body.check()?;
    let model = Arc::clone(state.models.find(body.model.as_deref())?);
    let chat = Chat::new(&model, body.chat()?, body.tools()?, body.grammar()?).await?;
    let Chat { prompt, grammar, parser } = chat;
    let request = Request { grammar, ..body.request(&model, prompt.len())? };
    let mut events = Events::new(Head::new(Arc::clone(&model), &body, &request)?, parser);
    let reply = Reply::start(&model, [(prompt, request)], body.telemetry).await?;
    if body.stream {
        return reply.stream(Framing::NamedEvents, move |piece| events.say(piece)).await;
    }
    Ok(Json(events.whole(&reply.finish_one().await?)).into_response())
}
