//! llama-server's own routes, which some clients prefer to OpenAI's.

mod answer;
mod completion;
mod fields;
mod props;
mod slots;

use crate::error::ErrorAnswer;
use crate::openapi::Api;
use crate::text;

pub(crate) use answer::{Answer, Reported};

/// Returns the routes.
pub(crate) fn routes() -> Api<ErrorAnswer> {
    const COMPLETE: &str = "Continue texts or tokens";
    Api::new("llama-server")
        .post("/completion", COMPLETE, completion::complete)
        .post("/completions", COMPLETE, completion::complete)
        .post("/tokenize", "Return the tokens of a text", text::tokenize)
        .post("/detokenize", "Return the text of tokens", text::detokenize)
        .post("/apply-template", "Return the prompt of a chat", text::apply_template)
        .get("/props", "Describe the default model and the machine", props::props)
        .get_with("/slots", "Describe the requests that run", slots::slots)
}
