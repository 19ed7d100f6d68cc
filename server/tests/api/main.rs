//! Requests over a real socket, with the embedded model.

mod anthropic;
mod client;
mod drain;
mod embeddings;
mod limits;
mod llama;
mod loading;
mod metrics;
mod models;
mod ollama;
mod openai;
mod openapi;
mod origins;
mod responses;
mod tls;
mod tools;
