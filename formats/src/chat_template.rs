//! A model's chat template and the special tokens that it uses. The engine renders it.

use serde_json::{Map, Value};

use crate::ModelFiles;
use crate::error::{Error, Result};
use crate::json::{self, Object};

const CONFIG_FILE: &str = "tokenizer_config.json";
const TOKENS_FILE: &str = "special_tokens_map.json";
const TEMPLATE_FILE: &str = "chat_template.jinja";
/// A Jinja template that turns messages into a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSource {
    /// The text of the template.
    pub text: String,
    /// The template for messages with tools, if the model has one of its own.
    pub tool_use: Option<String>,
    /// The name of the template's file in messages.
    pub label: String,
    /// Special tokens by templates' names for them, such as `bos_token`.
    pub special_tokens: Vec<(String, String)>,
}

impl TemplateSource {
    /// Reads a model's template: `chat_template.jinja`, or else the one in `tokenizer_config.json`.
    ///
    /// # Errors
    /// [`Error::Missing`] if the model has none, [`Error::Malformed`] if a file cannot be read.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        Self::find(files)?.ok_or_else(|| {
            let remedy =
                "the model has no chat template; use `tercet generate`, or add the template as this file";
            Error::missing(files.label(TEMPLATE_FILE), remedy)
        })
    }

    /// Reads a model's template, or returns `None` if it has no template.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a file cannot be read.
    pub fn find(files: &ModelFiles) -> Result<Option<Self>> {
        let (config, tokens) = (object(files, CONFIG_FILE)?, object(files, TOKENS_FILE)?);
        let special_tokens = special_tokens(&config, &tokens);
        if let Some(bytes) = files.try_get(TEMPLATE_FILE)? {
            let label = files.label(TEMPLATE_FILE);
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|e| Error::malformed(&label, "the whole file", e.to_string(), "save it as UTF-8"))?;
            return Ok(Some(TemplateSource { text, tool_use: None, label, special_tokens }));
        }
        let label = files.label(CONFIG_FILE);
        let templates = templates_in(&Object::new(&label, &config))?;
        Ok(templates.map(|(text, tool_use)| TemplateSource { text, tool_use, label, special_tokens }))
    }
}

/// Reads the JSON object in `file`, or returns an empty one if there is no such file.
fn object(files: &ModelFiles, file: &str) -> Result<Map<String, Value>> {
    match files.try_get(file)? {
        Some(bytes) => json::parse(&bytes, &files.label(file)),
        None => Ok(Map::default()),
    }
}

/// Returns the special tokens by their names, which end in `_token` or stand in an object of further tokens.
/// As in transformers, `special_tokens_map.json` counts if `tokenizer_config.json` lists no added tokens.
fn special_tokens(config: &Map<String, Value>, tokens: &Map<String, Value>) -> Vec<(String, String)> {
    const FURTHER: [&str; 2] = ["extra_special_tokens", "model_specific_special_tokens"];
    let legacy = if config.contains_key("added_tokens_decoder") { &Map::new() } else { tokens };
    let mut named = Map::new();
    for source in [config, legacy] {
        let further = FURTHER.iter().filter_map(|name| source.get(*name)?.as_object()).flatten();
        let own = source.iter().filter(|(name, _)| name.ends_with("_token"));
        let text = |(name, token): (&String, &Value)| Some((name.clone(), token_text(token)?.into()));
        named.extend(own.chain(further).filter_map(text));
    }
    let text = |(name, token): (String, Value)| Some((name, token.as_str()?.to_owned()));
    named.into_iter().filter_map(text).collect()
}

/// Returns the text of a special token, which is a string or the `content` of an object.
fn token_text(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// Returns the `chat_template` of a `tokenizer_config.json`. In a list of templates, these are the ones called
/// `default` and `tool_use`.
fn templates_in(config: &Object<'_>) -> Result<Option<(String, Option<String>)>> {
    const FIELD: &str = "chat_template";
    let Some(Value::Array(named)) = config.get(FIELD) else {
        return Ok(config.text(FIELD)?.map(|text| (text.to_owned(), None)));
    };
    let template = |name: &str| {
        let entry = named.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))?;
        entry.get("template")?.as_str().map(str::to_owned)
    };
    match template("default") {
        Some(text) => Ok(Some((text, template("tool_use")))),
        None => Err(config.malformed(FIELD, "none of the templates is called \"default\"")),
    }
}
