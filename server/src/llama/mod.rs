//! llama-server's own routes, which some clients prefer to OpenAI's.

mod answer;
mod completion;
mod fields;

use std::sync::Arc;

use axum::Router;
use axum::routing::post;

use crate::State;

/// Returns the routes.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/completion", post(completion::complete))
        .route("/completions", post(completion::complete))
}
