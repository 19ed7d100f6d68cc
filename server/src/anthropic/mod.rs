//! The API of Anthropic: messages and their tokens.

mod answer;
mod content;
mod error;
mod messages;
mod parameters;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;

use crate::State;

pub(crate) use error::word;

/// Returns the routes.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/v1/messages", post(messages::create))
        .route("/v1/messages/count_tokens", post(messages::count_tokens))
}
