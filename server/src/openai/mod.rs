//! The API of OpenAI: chat completions, completions, responses, embeddings and models.

mod answer;
mod chat;
mod completions;
mod echo;
mod embeddings;
mod logprobs;
mod message;
mod models;
mod parameters;
mod responses;
mod usage;

use crate::error::ErrorAnswer;
use crate::openapi::Api;

/// Returns the routes.
pub(crate) fn routes() -> Api<ErrorAnswer> {
    const CHAT: &str = "Write the assistant's next message";
    const COUNT: &str = "Count the tokens of a prompt";
    const RESPONSE: &str = "Write the next message, in the shape of the Responses API";
    const EMBEDDINGS: &str = "Turn texts into vectors";
    const MODELS: &str = "List the models";
    Api::new("OpenAI")
        .post("/v1/chat/completions", CHAT, chat::complete)
        .post("/v1/chat/completions/input_tokens", COUNT, chat::count_tokens)
        .post("/v1/completions", "Continue texts or tokens", completions::complete)
        .post("/v1/responses", RESPONSE, responses::create)
        .post("/v1/responses/input_tokens", COUNT, responses::count_tokens)
        .post("/v1/embeddings", EMBEDDINGS, embeddings::create)
        .get("/v1/models", MODELS, models::list)
        .get_with("/v1/models/{*name}", "Describe a model", models::show)
        // llama-server has these too, for clients whose base URL ends before `/v1`.
        .post("/chat/completions", CHAT, chat::complete)
        .post("/chat/completions/input_tokens", COUNT, chat::count_tokens)
        .post("/responses", RESPONSE, responses::create)
        .post("/embeddings", EMBEDDINGS, embeddings::create)
        .get("/models", MODELS, models::list)
}
