//! The routes, and what holds for all of them.

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;

use crate::error::{ApiError, ErrorAnswer, reword};
use crate::openapi::{self, Api, Fault, Operation};
use crate::{State, access, anthropic, llama, log, metrics, ollama, openai, origin, page, status};

/// Returns the routes, with a description of them all at `/openapi.json`.
pub(crate) fn router(state: Arc<State>) -> Router {
    let (body_bytes, cors) = (state.body_bytes, state.origins.cors());
    let (open, open_operations) = open().open().into_parts();
    let (watched, watched_operations) = watched().into_parts();
    let locked = |routes: Router<_>| routes.layer(from_fn_with_state(Arc::clone(&state), access::check));
    let apis = [
        worded(openai::routes(), &state),
        worded(llama::routes(), &state),
        worded(anthropic::routes(), &state),
        worded(ollama::routes(), &state),
    ];
    let mut operations = [open_operations, watched_operations].concat();
    let mut routes = open.merge(locked(watched));
    for (api, more) in apis {
        routes = routes.merge(api);
        operations.extend(more);
    }
    let document: Arc<str> = openapi::document(&operations).to_string().into();
    let document = move || ready(([(CONTENT_TYPE, "application/json")], document.to_string()));
    routes
        .route("/openapi.json", get(document))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(CatchPanicLayer::custom(failed))
        .layer(from_fn_with_state(Arc::clone(&state), origin::check))
        .layer(from_fn_with_state(Arc::clone(&state), log::log))
        // Outside of the checks, because pages may read refusals. A page asks first without a key.
        .layer(cors)
        .with_state(state)
}

/// Returns the routes that need no key: the page, and those that tell whether the server lives.
fn open() -> Api<ErrorAnswer> {
    const HEALTH: &str = "Tell whether the server lives";
    Api::new("Server")
        .get_with("/", "Return the page for the browser", page::show)
        .get("/health", HEALTH, status::health)
        .get("/v1/health", HEALTH, status::health)
        .get("/ready", "Tell whether new requests are answered", status::ready)
}

/// Returns the routes that answer also while the models load, and while the server drains.
fn watched() -> Api<ErrorAnswer> {
    Api::new("Server").get("/metrics", "Tell counts and times of requests, for Prometheus", metrics::show)
}

/// Returns the routes of an API, which need a key and a server that is ready, and whose errors are in the API's own shape.
fn worded<E: Fault>(api: Api<E>, state: &Arc<State>) -> (Router<Arc<State>>, Vec<Operation>) {
    let (routes, operations) = api.into_parts();
    let routes = routes
        .layer(from_fn_with_state(Arc::clone(state), status::check))
        .layer(from_fn_with_state(Arc::clone(state), access::check))
        // Outside of both, because their errors are worded too.
        .layer(map_response(|response| ready(reword::<E>(response))));
    (routes, operations)
}

async fn unknown() -> ApiError {
    ApiError::not_found("there is no such route; see the documentation of `tercet serve`")
}

/// A panic is a bug of ours: the request fails, and the server goes on.
fn failed(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::internal("the request has failed by a fault of the server").into_response()
}
