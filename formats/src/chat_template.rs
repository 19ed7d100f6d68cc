//! A model's chat template and the special tokens that it uses. The engine renders it.

use serde_json::{Map, Value};

use crate::ModelFiles;
use crate::error::{Error, Result};
use crate::json::{self, Object};

const CONFIG_FILE: &str = "tokenizer_config.json";
const TOKENS_FILE: &str = "special_tokens_map.json";
const TEMPLATE_FILE: &str = "chat_template.jinja";
const SPECIAL_TOKENS: [&str; 4] = ["bos_token", "eos_token", "pad_token", "unk_token"];

/// A Jinja template that turns messages into a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSource {
    /// The text of the template.
    pub text: String,
    /// The name of the template's file in messages.
    pub label: String,
    /// Special tokens by templates' names for them, such as `bos_token`.
    pub special_tokens: Vec<(&'static str, String)>,
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
        let special_token = |name| Some((name, special_token([&config, &tokens], name)?));
        let special_tokens = SPECIAL_TOKENS.into_iter().filter_map(special_token).collect();
        if let Some(bytes) = files.try_get(TEMPLATE_FILE)? {
            let label = files.label(TEMPLATE_FILE);
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|e| Error::malformed(&label, "the whole file", e.to_string(), "save it as UTF-8"))?;
            return Ok(Some(TemplateSource { text, label, special_tokens }));
        }
        let label = files.label(CONFIG_FILE);
        let text = template_in(&Object::new(&label, &config))?.map(str::to_owned);
        Ok(text.map(|text| TemplateSource { text, label, special_tokens }))
    }
}

/// Reads the JSON object in `file`, or returns an empty one if there is no such file.
fn object(files: &ModelFiles, file: &str) -> Result<Map<String, Value>> {
    match files.try_get(file)? {
        Some(bytes) => json::parse(&bytes, &files.label(file)),
        None => Ok(Map::default()),
    }
}

/// Returns the text of a special token, which is a string or the `content` of an object.
fn special_token(sources: [&Map<String, Value>; 2], name: &str) -> Option<String> {
    let text = |token: &Value| token.as_str().or_else(|| token.get("content")?.as_str()).map(str::to_owned);
    sources.into_iter().find_map(|source| source.get(name).and_then(text))
}

/// Returns the `chat_template` of a `tokenizer_config.json`. In a list of templates, it is the one
/// called `default`.
fn template_in<'a>(config: &Object<'a>) -> Result<Option<&'a str>> {
    const FIELD: &str = "chat_template";
    let Some(Value::Array(named)) = config.get(FIELD) else { return config.text(FIELD) };
    let default = named.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"));
    match default.and_then(|entry| entry.get("template")?.as_str()) {
        Some(source) => Ok(Some(source)),
        None => Err(config.malformed(FIELD, "none of the templates is called \"default\"")),
    }
}
