//! `POST /v1/messages` and `POST /v1/messages/count_tokens`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use tercet_engine::Request;

use super::answer::{Head, Message};
use super::parameters::MessagesRequest;
use super::stream::{Blocks, Said};
use crate::State;
use crate::body::Body;
use crate::chat::{self, Chat, InputTokens};
use crate::error::Result;
use crate::reply::Reply;
use crate::stream::{Piece, Sent};
use crate::telemetry::{Report, Telemetry};

pub(super) async fn create(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<MessagesRequest>,
) -> Result<Sent<Message, Said>> {
    let model = Arc::clone(state.models.find(body.model.as_deref())?);
    let MessagesRequest { max_tokens, stream, .. } = body;
    let (input, tools, sampling) = body.split()?;
    let Chat { prompt, grammar, parser } = Chat::new(&model, input, tools, None).await?;
    let request = Request { grammar, ..sampling.request(&model, prompt.len(), max_tokens)? };
    let mut blocks = Blocks::new(Head::new(&model, prompt.len())?, parser);
    let reply = Reply::start(&model, [(prompt, request)], Telemetry::default()).await?;
    if stream {
        return reply.stream(move |piece: Piece<'_>, _: &Report| blocks.events(piece)).await;
    }
    Ok(Sent::Whole(blocks.whole(&reply.finish_one().await?)))
}

pub(super) async fn count_tokens(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<MessagesRequest>,
) -> Result<Json<InputTokens>> {
    let model = state.models.find(body.model.as_deref())?;
    let (input, tools, _) = body.split()?;
    Ok(Json(InputTokens { input_tokens: chat::count_tokens(model, input, tools.as_ref()).await? }))
}
