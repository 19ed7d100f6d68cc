//! Conversations as a model was trained to read them.

mod environment;
#[cfg(test)]
mod tests;

use minijinja::{Environment, Value, context};
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::formats::ModelFiles;
use crate::formats::json::{self, Object};

const CONFIG_FILE: &str = "tokenizer_config.json";
const TOKENS_FILE: &str = "special_tokens_map.json";
const TEMPLATE_FILE: &str = "chat_template.jinja";
const TEMPLATE: &str = "chat";

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into() }
    }
}

/// The Jinja template by which a model's files turn a conversation into a prompt, rendered as transformers does.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    label: String,
}

impl ChatTemplate {
    /// The template of a model: `chat_template.jinja`, or else the one in `tokenizer_config.json`.
    ///
    /// # Errors
    /// [`Error::Missing`] if the model has none, [`Error::Malformed`] if it does not compile.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        let (config, tokens) = (object(files, CONFIG_FILE)?, object(files, TOKENS_FILE)?);
        let special_tokens = SPECIAL_TOKENS
            .into_iter()
            .filter_map(|name| Some((name, special_token([&config, &tokens], name)?)));
        let special_tokens = special_tokens.collect();
        let (source, label) = Self::source(files)?.ok_or_else(|| {
            let remedy =
                "the model has no chat template; use `tercet generate`, or add the template as this file";
            Error::missing(files.label(TEMPLATE_FILE), remedy)
        })?;
        Self::compile(source, label, special_tokens)
    }

    /// The source of a model's template, if it has one, and what messages call it.
    pub(crate) fn source(files: &ModelFiles) -> Result<Option<(String, String)>> {
        if let Some(bytes) = files.try_get(TEMPLATE_FILE)? {
            let label = files.label(TEMPLATE_FILE);
            let source = String::from_utf8(bytes.to_vec())
                .map_err(|e| Error::malformed(&label, "the whole file", e.to_string(), "save it as UTF-8"))?;
            return Ok(Some((source, label)));
        }
        let (label, config) = (files.label(CONFIG_FILE), object(files, CONFIG_FILE)?);
        let source = template_in(&Object::new(&label, &config))?.map(str::to_owned);
        Ok(source.map(|source| (source, label)))
    }

    /// Compiles `source`, which messages call `label`, with the special tokens it may refer to by name
    /// (`bos_token`, `eos_token`, …).
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is no valid Jinja.
    pub fn compile(
        source: String,
        label: String,
        special_tokens: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let mut environment = environment::new();
        for (name, token) in special_tokens {
            environment.add_global(name, token);
        }
        environment.add_template_owned(TEMPLATE, source).map_err(|e| failed(&label, &e))?;
        Ok(ChatTemplate { environment, label })
    }

    /// The prompt for `messages`; with `add_generation_prompt`, ready for the assistant's answer. It spells out its
    /// special tokens, BOS included: encode it without adding another.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the template fails, or refuses these messages.
    pub fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let turn = |message: &Message| context! { role => &message.role, content => &message.content };
        let arguments = context! {
            messages => messages.iter().map(turn).collect::<Vec<Value>>(),
            add_generation_prompt,
            tools => (),
            documents => (),
        };
        let template = self.environment.get_template(TEMPLATE).map_err(|e| failed(&self.label, &e))?;
        template.render(arguments).map_err(|e| failed(&self.label, &e))
    }
}

/// The JSON object in `file`, or an empty one if there is no such file.
fn object(files: &ModelFiles, file: &str) -> Result<serde_json::Map<String, Json>> {
    match files.try_get(file)? {
        Some(bytes) => json::parse(&bytes, &files.label(file)),
        None => Ok(Default::default()),
    }
}

const SPECIAL_TOKENS: [&str; 4] = ["bos_token", "eos_token", "pad_token", "unk_token"];

/// The text of a special token, which is given as such or as the `content` of an object.
fn special_token(sources: [&serde_json::Map<String, Json>; 2], name: &str) -> Option<String> {
    let text = |token: &Json| token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_owned);
    sources.into_iter().find_map(|source| source.get(name).and_then(text))
}

/// The `chat_template` of a `tokenizer_config.json`: a text, or a list of named ones.
fn template_in<'a>(config: &Object<'a>) -> Result<Option<&'a str>> {
    const FIELD: &str = "chat_template";
    let Some(Json::Array(named)) = config.get(FIELD) else { return config.text(FIELD) };
    let default = named.iter().find(|entry| entry.get("name").and_then(Json::as_str) == Some("default"));
    match default.and_then(|entry| entry.get("template")?.as_str()) {
        Some(source) => Ok(Some(source)),
        None => Err(config.malformed(FIELD, "none of the templates is called \"default\"")),
    }
}

fn failed(label: &str, error: &minijinja::Error) -> Error {
    let line =
        error.line().map_or_else(|| "chat template".to_owned(), |line| format!("chat template line {line}"));
    let problem = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::malformed(label, line, problem, "check the messages, or correct the template")
}
