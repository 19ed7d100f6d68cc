//! Embeddings, for the routes of all APIs.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tercet_engine::{Cancel, Embedder, Session};

use crate::body::OneOrMany;
use crate::error::{ApiError, Result};
use crate::models::Model;
use crate::prompt;
use crate::record::Record;

/// Most texts of a request, as OpenAI's API has it.
const MOST: usize = 2048;

/// What makes a model's embeddings.
#[derive(Debug)]
pub(crate) struct Embeddings {
    /// Or the reason why there are none.
    embedder: Result<Embedder<Arc<Session>>, String>,
}

impl Embeddings {
    pub(crate) fn new(session: &Arc<Session>) -> Self {
        let embedder = Embedder::new(Arc::clone(session)).map_err(|error| error.to_string());
        Embeddings { embedder }
    }

    /// Returns true if the model was made for embeddings.
    pub(crate) fn exist(&self) -> bool {
        self.embedder.is_ok()
    }

    fn embedder(&self) -> Result<&Embedder<Arc<Session>>> {
        // The engine's message may begin with the field.
        self.embedder.as_ref().map_err(|error| ApiError::field("model", error.trim_start_matches("model: ")))
    }
}

/// A text as a client sends it: in words, or as tokens.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Text {
    Words(String),
    Tokens(Vec<u32>),
}

/// A request for embeddings.
pub(crate) struct Asked {
    /// Texts, or one.
    pub(crate) input: Value,
    /// The name of the prompt that stands before each text; the model's default if there is none.
    pub(crate) prompt_name: Option<String>,
    /// Elements of a vector.
    pub(crate) dimensions: Option<usize>,
    /// Cut texts that exceed the context.
    pub(crate) truncate: bool,
}

/// The vectors of texts.
pub(crate) struct Embedded {
    pub(crate) vectors: Vec<Vec<f32>>,
    /// Tokens of all texts.
    pub(crate) tokens: usize,
}

/// Makes the embeddings that a request asks for.
///
/// # Errors
/// Fails with status 400 if the model has none, or a field is at fault.
pub(crate) async fn embed(model: &Arc<Model>, asked: Asked) -> Result<Embedded> {
    model.embeddings.embedder()?;
    let Asked { input, prompt_name, dimensions, truncate } = asked;
    let input: Option<OneOrMany<Text>> = serde_json::from_value(input).ok();
    let wrong = |problem: &str| ApiError::field("input", problem);
    let texts = input.ok_or_else(|| wrong("give a text, its tokens, or a list of these"))?.to_vec();
    if texts.is_empty() || texts.len() > MOST {
        return Err(wrong(&format!("there are {} texts; give 1 to {MOST}", texts.len())));
    }
    let tokens = prompt::encode(model, move |model| {
        let embedder = model.embeddings.embedder()?;
        let prompt = match &prompt_name {
            Some(name) => embedder.prompt(name)?,
            None => embedder.default_prompt(),
        };
        let encode = |text: Text| -> Result<Vec<u32>> {
            let mut tokens = match text {
                Text::Words(text) => embedder.encode(prompt, &text)?,
                Text::Tokens(tokens) => tokens,
            };
            if truncate {
                embedder.truncate(&mut tokens);
            }
            Ok(tokens)
        };
        texts.into_iter().map(encode).collect::<Result<Vec<_>>>()
    })
    .await?;
    if let Some(record) = Record::current() {
        tokens.iter().for_each(|tokens| record.submit(model, tokens));
    }
    let count = tokens.iter().map(Vec::len).sum();
    let work = move |model: &Model, cancel: &Cancel| {
        Ok(model.embeddings.embedder()?.embed(&tokens, dimensions, cancel, |_| {})?)
    };
    let vectors = model.in_turn(work).await?;
    Ok(Embedded { vectors, tokens: count })
}
