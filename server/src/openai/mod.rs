//! The API of OpenAI: chat completions, completions and models.

mod answer;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod models;
mod parameters;
mod usage;
