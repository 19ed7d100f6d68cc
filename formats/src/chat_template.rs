//! A model's chat template and the special tokens that it uses. The engine renders it.

use serde_json::Value;

use crate::ModelFiles;
use crate::error::{Error, Result};
use crate::json::Object;
use crate::tokenizer::Settings;

const CONFIG_FILE: &str = "tokenizer_config.json";
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
        let settings = Settings::load(files)?;
        let special_tokens = settings.special_tokens(&[])?;
        let special_tokens = special_tokens.into_iter().map(|(name, token)| (name, token.content)).collect();
        if let Some(bytes) = files.try_get(TEMPLATE_FILE)? {
            let label = files.label(TEMPLATE_FILE);
            let text = String::from_utf8(bytes.to_vec())
                .map_err(|e| Error::malformed(&label, "the whole file", e.to_string(), "save it as UTF-8"))?;
            return Ok(Some(TemplateSource { text, tool_use: None, label, special_tokens }));
        }
        let templates = templates_in(&settings.object())?;
        let label = files.label(CONFIG_FILE);
        Ok(templates.map(|(text, tool_use)| TemplateSource { text, tool_use, label, special_tokens }))
    }
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
