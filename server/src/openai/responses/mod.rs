//! `POST /v1/responses`. Nothing is stored, so that each request brings the whole conversation.

mod answer;
mod input;
mod parameters;
mod stream;

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use schemars::JsonSchema;
use serde::Serialize;
use tercet_engine::Request;

use crate::State;
use crate::body::Body;
use crate::chat::{self, Chat, InputTokens};
use crate::error::Result;
use crate::reply::Reply;
use crate::stream::{Piece, Sent};
use crate::telemetry::Report;

use answer::{Head, Response};
use parameters::ResponsesRequest;
use stream::{Event, Events};

#[derive(Serialize, JsonSchema)]
pub(crate) struct ResponseTokens {
    object: &'static str,
    #[serde(flatten)]
    tokens: InputTokens,
}

/// Counts the tokens of the prompt.
pub(crate) async fn count_tokens(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ResponsesRequest>,
) -> Result<Json<ResponseTokens>> {
    let model = state.models.find(body.model.as_deref())?;
    let input_tokens = chat::count_tokens(model, body.chat()?, body.tools()?.as_ref()).await?;
    Ok(Json(ResponseTokens { object: "response.input_tokens", tokens: InputTokens { input_tokens } }))
}

pub(crate) async fn create(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<ResponsesRequest>,
) -> Result<Sent<Response, Event>> {
    body.check()?;
    let model = Arc::clone(state.models.find(body.model.as_deref())?);
    let chat = Chat::new(&model, body.chat()?, body.tools()?, body.grammar()?).await?;
    let Chat { prompt, grammar, parser } = chat;
    let request = Request { grammar, ..body.request(&model, prompt.len())? };
    let mut events = Events::new(Head::new(Arc::clone(&model), &body, &request)?, parser);
    let reply = Reply::start(&model, [(prompt, request)], body.telemetry).await?;
    if body.stream {
        return reply.stream(move |piece: Piece<'_>, report: &Report| events.say(piece, report)).await;
    }
    Ok(Sent::Whole(events.whole(&reply.finish_one().await?)))
}
