//! The state of the server: `/health`, `/ready`, and the check of all requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::State;
use crate::error::Result;

/// A server that is well.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Status {
    status: &'static str,
}

const OK: Json<Status> = Json(Status { status: "ok" });

/// Tells that the server lives; not before its models are loaded, as in llama-server.
pub(crate) async fn health(Extract(state): Extract<Arc<State>>) -> Result<Json<Status>> {
    state.models.check()?;
    Ok(OK)
}

impl State {
    /// # Errors
    /// Fails with status 503 before the models are loaded, and once the server is about to end.
    fn check_ready(&self) -> Result<()> {
        self.drain.check()?;
        self.models.check()
    }
}

/// Refuses requests while the server is not ready.
pub(crate) async fn check(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    match state.check_ready() {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Tells whether new requests are answered.
pub(crate) async fn ready(Extract(state): Extract<Arc<State>>) -> Result<Json<Status>> {
    state.check_ready()?;
    Ok(OK)
}
