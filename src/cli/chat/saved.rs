//! Conversations in files: JSON with `messages`, as in the requests of OpenAI's clients.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tercet_engine::{Error, Message};

use crate::cli::text;

#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(default)]
    model: String,
    messages: Vec<SavedMessage>,
}

#[derive(Serialize, Deserialize)]
struct SavedMessage {
    role: String,
    content: String,
}

/// Writes the conversation with `model` to the file `path`.
pub(super) fn save(path: &Path, model: &str, messages: &[Message]) -> Result<()> {
    let saved =
        |Message { role, content }: &Message| SavedMessage { role: role.clone(), content: content.clone() };
    let saved = Saved { model: model.to_owned(), messages: messages.iter().map(saved).collect() };
    let json = serde_json::to_string_pretty(&saved)? + "\n";
    Ok(tercet_formats::write_output(path, |file| file.write_all(json.as_bytes()))?)
}

/// Reads the messages of the file `path`.
pub(super) fn load(path: &Path) -> Result<Vec<Message>> {
    let json = text::from_file(path)?;
    let saved: Saved = serde_json::from_str(&json).map_err(|error| {
        let remedy = "give a file that /save has written";
        Error::malformed(path.display().to_string(), "messages", error.to_string(), remedy)
    })?;
    Ok(saved.messages.into_iter().map(|SavedMessage { role, content }| Message::new(role, content)).collect())
}

/// Returns the path that a user typed, where `~/` is the home directory.
pub(super) fn path(typed: &str) -> PathBuf {
    match (typed.strip_prefix("~/"), env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(typed),
    }
}
