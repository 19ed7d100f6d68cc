//! The API of Anthropic: messages and their tokens.

mod answer;
mod content;
mod error;
mod messages;
mod parameters;
mod stream;

use crate::openapi::Api;

use error::ErrorAnswer;

/// Returns the routes.
pub(crate) fn routes() -> Api<ErrorAnswer> {
    Api::new("Anthropic").post("/v1/messages", "Write the next message", messages::create).post(
        "/v1/messages/count_tokens",
        "Count the tokens of a prompt",
        messages::count_tokens,
    )
}
