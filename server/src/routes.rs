//! The routes, and what holds for all of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::ApiError;
use crate::openai::{chat, completions, models};
use crate::{State, access, status, text};

/// Returns the routes. Those that tell whether the server lives need no key.
pub(crate) fn router(state: Arc<State>) -> Router {
    let body_bytes = state.body_bytes;
    let locked = Router::new()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/completions", post(completions::complete))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*name}", get(models::show))
        .route("/tokenize", post(text::tokenize))
        .route("/detokenize", post(text::detokenize))
        .route("/apply-template", post(text::apply_template))
        .route("/props", get(status::props))
        .layer(from_fn_with_state(Arc::clone(&state), access::check));
    Router::new()
        .route("/health", get(status::health))
        .route("/ready", get(status::health))
        .merge(locked)
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(CatchPanicLayer::custom(failed))
        .with_state(state)
}

async fn unknown() -> ApiError {
    ApiError::not_found("there is no such route; see the documentation of `tercet serve`")
}

/// A panic is a bug of ours: the request fails, and the server goes on.
fn failed(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::internal("the request has failed by a fault of the server").into_response()
}
