//! `POST /v1/messages` and `POST /v1/messages/count_tokens`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answer::Head;
use super::parameters::MessagesRequest;
use super::stream;
use crate::State;
use crate::body::Body;
use crate::error::Result;
use crate::prompt;
use crate::reply::Reply;
use crate::stream::Framing;

pub(super) async fn create(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<MessagesRequest>,
) -> Result<Response> {
    let model = Arc::clone(state.models.find(body.model.as_deref())?);
    let MessagesRequest { max_tokens, stream, .. } = body;
    let (input, sampling) = body.split()?;
    let prompt = prompt::of_chat(&model, input).await?;
    let request = sampling.request(&model, prompt.len(), max_tokens)?;
    let head = Head::new(&model, prompt.len())?;
    let reply = Reply::start(&model, [(prompt, request)]).await?;
    if stream {
        return reply.stream(Framing::NamedEvents, move |piece| stream::events(&head, piece)).await;
    }
    Ok(Json(head.message(&reply.finish_one().await?)).into_response())
}

pub(super) async fn count_tokens(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<MessagesRequest>,
) -> Result<Json<Value>> {
    let model = state.models.find(body.model.as_deref())?;
    let (input, _) = body.split()?;
    Ok(Json(json!({ "input_tokens": prompt::of_chat(model, input).await?.len() })))
}
