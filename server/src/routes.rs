//! The routes, and what holds for all of them.

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::{ApiError, reword};
use crate::{State, access, anthropic, llama, log, metrics, ollama, openai, origin, page, status, text};

/// Returns the routes. The page, and those that tell whether the server lives, need no key.
pub(crate) fn router(state: Arc<State>) -> Router {
    let (body_bytes, cors) = (state.body_bytes, state.origins.cors());
    let own = Router::new()
        .route("/metrics", get(metrics::show))
        .route("/tokenize", post(text::tokenize))
        .route("/detokenize", post(text::detokenize))
        .route("/apply-template", post(text::apply_template));
    let locked = |routes: Router<Arc<State>>| {
        let open = routes.layer(from_fn_with_state(Arc::clone(&state), status::check));
        open.layer(from_fn_with_state(Arc::clone(&state), access::check))
    };
    // Outside of the lock, because its error is worded too.
    let worded = |routes: Router<Arc<State>>, word: fn(&ApiError) -> Value| {
        locked(routes).layer(map_response(move |response| ready(reword(response, word))))
    };
    Router::new()
        .route("/", get(page::show))
        .route("/health", get(status::health))
        .route("/v1/health", get(status::health))
        .route("/ready", get(status::ready))
        .merge(locked(own.merge(openai::routes()).merge(llama::routes())))
        .merge(worded(anthropic::routes(), anthropic::word))
        .merge(worded(ollama::routes(), ollama::word))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(CatchPanicLayer::custom(failed))
        .layer(from_fn_with_state(Arc::clone(&state), origin::check))
        .layer(from_fn_with_state(Arc::clone(&state), log::log))
        // Outside of the checks, because pages may read refusals. A page asks first without a key.
        .layer(cors)
        .with_state(state)
}

async fn unknown() -> ApiError {
    ApiError::not_found("there is no such route; see the documentation of `tercet serve`")
}

/// A panic is a bug of ours: the request fails, and the server goes on.
fn failed(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::internal("the request has failed by a fault of the server").into_response()
}
