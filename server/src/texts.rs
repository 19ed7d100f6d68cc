//! Prompts that are continued as they are: texts, tokens, or both in turns.

use serde_json::Value;

use crate::error::{ApiError, Result};
use crate::models::Model;
use crate::prompt::tokens;

/// Returns the tokens of each prompt in `prompt`.
///
/// `prompt` is one prompt or a list of prompts. A prompt is
///
/// - a text,
/// - a list of tokens, or of tokens and texts,
/// - llama-server's object with a `prompt_string`.
///
/// # Errors
/// Fails with status 400 if it is empty or something else, asks for images, or exceeds the context.
pub(crate) fn prompts(model: &Model, prompt: &Value) -> Result<Vec<Vec<u32>>> {
    match prompt {
        Value::Array(parts) if parts.is_empty() => Err(wrong("the list is empty; give a text or tokens")),
        Value::Array(parts) if !parts.iter().any(Value::is_number) => {
            parts.iter().map(|prompt| one(model, prompt)).collect()
        }
        prompt => Ok(vec![one(model, prompt)?]),
    }
}

fn one(model: &Model, prompt: &Value) -> Result<Vec<u32>> {
    match prompt {
        Value::String(text) => framed(model, text),
        Value::Array(parts) => {
            let mut ids = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                match part {
                    // Only the beginning of a sequence has the tokens that begin a text.
                    Value::String(text) => ids.extend(tokens(model, text, at == 0)?),
                    part => ids.push(token(part)?),
                }
            }
            Ok(ids)
        }
        Value::Object(fields) => {
            if fields.get("multimodal_data").is_some_and(|data| !data.is_null()) {
                return Err(ApiError::unsupported("multimodal_data"));
            }
            match fields.get("prompt_string") {
                Some(Value::String(text)) => framed(model, text),
                _ => Err(wrong("an object has no \"prompt_string\"")),
            }
        }
        other => Err(wrong(&format!("{other} is neither a text nor a list of tokens"))),
    }
}

/// Returns the tokens of a whole text, with what the tokenizer puts around it.
///
/// # Errors
/// Fails with status 400 if the context cannot hold it.
pub(crate) fn framed(model: &Model, text: &str) -> Result<Vec<u32>> {
    tokens(model, text, true)
}

fn token(part: &Value) -> Result<u32> {
    let token = part.as_u64().and_then(|token| u32::try_from(token).ok());
    token.ok_or_else(|| wrong(&format!("{part} is no token")))
}

fn wrong(problem: &str) -> ApiError {
    ApiError::field("prompt", problem)
}
