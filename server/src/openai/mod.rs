//! The API of OpenAI: chat completions, completions and models.

mod answer;
pub(crate) mod chat;
pub(crate) mod completions;
mod logprobs;
pub(crate) mod models;
mod parameters;
mod usage;
