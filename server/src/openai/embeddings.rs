//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::State;
use crate::body::{Body, OneOrMany, nullable};
use crate::embeddings::{self, Asked, Embedded, Text};
use crate::error::Result;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct EmbeddingRequest {
    model: Option<String>,
    #[serde(default)]
    #[schemars(with = "OneOrMany<Text>")]
    input: Value,
    #[serde(default, deserialize_with = "nullable")]
    encoding_format: Format,
    dimensions: Option<usize>,
    /// The purpose of the texts, such as `query`: sentence-transformers' name for the prompt before them.
    prompt_name: Option<String>,
}

/// The form of a vector.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Format {
    /// A list of numbers.
    #[default]
    Float,
    /// Little-endian f32.
    Base64,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct EmbeddingList {
    object: &'static str,
    data: Vec<EmbeddingOfText>,
    model: String,
    usage: EmbeddingUsage,
}

#[derive(Serialize, JsonSchema)]
struct EmbeddingOfText {
    object: &'static str,
    index: usize,
    embedding: Written,
}

#[derive(Serialize, JsonSchema)]
struct EmbeddingUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// A vector in the form that the request asked for.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Written {
    Float(Vec<f32>),
    Base64(String),
}

impl Written {
    fn new(vector: Vec<f32>, format: Format) -> Self {
        match format {
            Format::Float => Written::Float(vector),
            Format::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                Written::Base64(BASE64_STANDARD.encode(bytes))
            }
        }
    }
}

pub(crate) async fn create(
    Extract(state): Extract<Arc<State>>,
    Body(body): Body<EmbeddingRequest>,
) -> Result<Json<EmbeddingList>> {
    let EmbeddingRequest { model, input, encoding_format, dimensions, prompt_name } = body;
    let model = Arc::clone(state.models.find(model.as_deref())?);
    let asked = Asked { input, prompt_name, dimensions, truncate: false };
    let Embedded { vectors, tokens } = embeddings::embed(&model, asked).await?;
    let data = vectors.into_iter().enumerate().map(|(index, vector)| EmbeddingOfText {
        object: "embedding",
        index,
        embedding: Written::new(vector, encoding_format),
    });
    Ok(Json(EmbeddingList {
        object: "list",
        data: data.collect(),
        model: model.name.clone(),
        usage: EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens },
    }))
}
