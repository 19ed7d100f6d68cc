//! `POST /v1/messages` and `POST /v1/messages/count_tokens`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tercet_engine::Request;

use super::answer::Head;
use super::parameters::MessagesRequest;
use super::stream::Blocks;
use crate::State;
use crate::body::Body;
use crate::chat::{self, Chat};
use crate::error::Result;
use crate::reply::Reply;
use crate::stream::Framing;
use crate::telemetry::Telemetry;

pub(super) async fn create(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<MessagesRequest>,
) -> Result<Response> {
    let model = Arc::clone(state.models.find(body.model.as_deref())?);
    let MessagesRequest { max_tokens, stream, .. } = body;
    let (input, tools, sampling) = body.split()?;
    let Chat { prompt, grammar, parser } = Chat::new(&model, input, tools, None).await?;
    let request = Request { grammar, ..sampling.request(&model, prompt.len(), max_tokens)? };
    let mut blocks = Blocks::new(Head::new(&model, prompt.len())?, parser);
    let reply = Reply::start(&model, [(prompt, request)], Telemetry::default()).await?;
    if stream {
        return reply.stream(Framing::NamedEvents, move |piece| blocks.events(piece)).await;
    }
    Ok(Json(blocks.whole(&reply.finish_one().await?)).into_response())
}

pub(super) async fn count_tokens(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<MessagesRequest>,
) -> Result<Json<Value>> {
    let model = state.models.find(body.model.as_deref())?;
    let (input, tools, _) = body.split()?;
    Ok(Json(json!({ "input_tokens": chat::count_tokens(model, input, tools.as_ref()).await? })))
}
