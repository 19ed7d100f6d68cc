//! Requests over a real socket, with the embedded model.

mod anthropic;
mod client;
mod openai;
mod responses;
