//! llama-server's own routes, which some clients prefer to OpenAI's.

mod answer;
mod completion;
mod fields;
mod props;
mod slots;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::State;

pub(crate) use answer::Answer;

/// Returns the routes.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/completion", post(completion::complete))
        .route("/completions", post(completion::complete))
        .route("/props", get(props::props))
        .route("/slots", get(slots::slots))
}
