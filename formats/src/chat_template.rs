//! A model's chat templates and the special tokens that they use. `tercet-chat` renders them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ModelFiles;
use crate::error::{Error, Result};
use crate::json::Object;
use crate::tokenizer::Settings;

const CONFIG_FILE: &str = "tokenizer_config.json";
const TEMPLATE_FILE: &str = "chat_template.jinja";
/// The folder of templates beside [`TEMPLATE_FILE`]. A file's name is the template's.
pub(crate) const FOLDER: &str = "additional_chat_templates";
pub(crate) const EXTENSION: &str = ".jinja";
/// The name of a model's only template.
const DEFAULT: &str = "default";
/// The name of the template for conversations with tools.
const TOOL_USE: &str = "tool_use";

/// The Jinja templates that turn messages into a prompt. Most models have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSource {
    /// The texts of the templates by their names. That of an only template is `default`.
    pub texts: BTreeMap<String, String>,
    /// The name of the templates' file in messages.
    pub label: String,
    /// Special tokens by templates' names for them, such as `bos_token`.
    pub special_tokens: Vec<(String, String)>,
}

impl TemplateSource {
    /// Returns an only template, without special tokens.
    pub fn alone(text: impl Into<String>, label: impl Into<String>) -> Self {
        let texts = BTreeMap::from([(DEFAULT.to_owned(), text.into())]);
        TemplateSource { texts, label: label.into(), special_tokens: Vec::new() }
    }

    /// Reads a model's templates as transformers does: `chat_template.jinja` and those in `additional_chat_templates`, or
    /// else the ones in `tokenizer_config.json`.
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

    /// Reads a model's templates, or returns `None` if it has none.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a file cannot be read.
    pub fn find(files: &ModelFiles) -> Result<Option<Self>> {
        let settings = Settings::load(files)?;
        let special_tokens = settings.special_tokens(&[])?;
        let special_tokens = special_tokens.into_iter().map(|(name, token)| (name, token.content)).collect();
        let of = |(texts, label)| TemplateSource { texts, label, special_tokens };
        let in_files = texts_in_files(files)?;
        if !in_files.is_empty() {
            return Ok(Some(of((in_files, files.label(TEMPLATE_FILE)))));
        }
        let in_config = texts_in_config(&settings.object())?;
        Ok((!in_config.is_empty()).then(|| of((in_config, files.label(CONFIG_FILE)))))
    }

    /// Returns the template for a conversation, as transformers picks it: `tool_use` if there is one and the conversation
    /// has tools, or else `default`.
    ///
    /// # Errors
    /// [`Error::Malformed`] lists the names if neither is among them.
    pub fn pick(&self, has_tools: bool) -> Result<&str> {
        let tool_use = self.texts.get(TOOL_USE).filter(|_| has_tools);
        tool_use.or_else(|| self.texts.get(DEFAULT)).map(String::as_str).ok_or_else(|| {
            let names = self.texts.keys().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let problem = format!("no template is called {DEFAULT:?}, only {names}");
            Error::malformed(&self.label, "chat_template", problem, "rename the one that you want")
        })
    }
}

/// Returns templates as the field `chat_template` of a `tokenizer_config.json`: one, or a list of templates with names.
pub(crate) fn to_json(texts: &BTreeMap<String, String>) -> Value {
    match texts.get(DEFAULT) {
        Some(text) if texts.len() == 1 => text.as_str().into(),
        _ => texts.iter().map(|(name, text)| json!({"name": name, "template": text})).collect(),
    }
}

/// Returns the templates that have files of their own.
fn texts_in_files(files: &ModelFiles) -> Result<BTreeMap<String, String>> {
    let default =
        files.try_get(TEMPLATE_FILE)?.map(|bytes| (TEMPLATE_FILE.to_owned(), DEFAULT.to_owned(), bytes));
    let additional = files.in_folder(FOLDER, EXTENSION)?.into_iter().map(|(file, bytes)| {
        let name = file.trim_end_matches(EXTENSION).to_owned();
        (format!("{FOLDER}/{file}"), name, bytes)
    });
    let text = |(file, name, bytes): (String, String, crate::Bytes)| match String::from_utf8(bytes.to_vec()) {
        Ok(text) => Ok((name, text)),
        Err(e) => {
            Err(Error::malformed(files.label(&file), "the whole file", e.to_string(), "save it as UTF-8"))
        }
    };
    default.into_iter().chain(additional).map(text).collect()
}

/// Returns the `chat_template` of a `tokenizer_config.json`: one, or a list of templates with names.
fn texts_in_config(config: &Object<'_>) -> Result<BTreeMap<String, String>> {
    const FIELD: &str = "chat_template";
    let Some(Value::Array(list)) = config.get(FIELD) else {
        let only = config.text(FIELD)?;
        return Ok(only.map(|text| (DEFAULT.to_owned(), text.to_owned())).into_iter().collect());
    };
    let named = |entry: &Value| {
        let field = |name| Some(entry.get(name)?.as_str()?.to_owned());
        Some((field("name")?, field("template")?))
    };
    let texts = list.iter().map(named).collect::<Option<BTreeMap<_, _>>>().filter(|texts| !texts.is_empty());
    texts.ok_or_else(|| config.malformed(FIELD, "it is not a list of objects with \"name\" and \"template\""))
}
