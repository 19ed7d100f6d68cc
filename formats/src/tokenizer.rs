//! A model's tokenizer, as transformers sets it up from several files.

mod added;
mod class;
mod frame;
mod settings;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::{Bytes, ModelFiles, json};

use added::AddedToken;
use class::Class;
pub use frame::Frame;
pub(crate) use settings::Settings;

const FILE: &str = "tokenizer.json";
const REPAIR: &str = "download the file again, together with the model's config.json";

/// A model's `tokenizer.json`, with the settings of its other tokenizer files.
///
/// # Examples
/// ```
/// use tercet_formats::{ModelFiles, TokenizerSource};
///
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
/// let tokenizer = TokenizerSource::load(&ModelFiles::open(folder.as_ref())?)?;
/// assert_eq!(tokenizer.frame()?.before, [256]);
/// assert_eq!(tokenizer.special_token("bos_token"), Some("<|begin_of_text|>"));
/// # Ok::<(), tercet_formats::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenizerSource {
    /// The text of the `tokenizer.json` that transformers would use. Its added tokens have the ids that they get.
    pub json: Bytes,
    /// The name of the file in messages.
    pub label: String,
    /// Special tokens by their names, such as `bos_token`.
    pub special_tokens: Vec<(String, String)>,
    /// True if special tokens that a text spells out are read as text.
    pub split_special_tokens: bool,
    /// True if a decoded text loses the spaces before punctuation.
    pub cleans_up_spaces: bool,
}

/// The parts of a `tokenizer.json` that settings may replace. The vocabulary, which is large, is not among them.
#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Outline {
    #[serde(default)]
    added_tokens: Vec<Value>,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    model: ModelOutline,
}

#[derive(Default, Deserialize)]
struct ModelOutline {
    #[serde(default, rename = "type")]
    kind: Value,
}

impl TokenizerSource {
    /// Reads a model's tokenizer.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no `tokenizer.json`, [`Error::Malformed`] if one of the files cannot be read.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        Self::of(files, files.get(FILE)?)
    }

    /// Reads a model's tokenizer, or returns none if the model has no `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if one of the files cannot be read.
    pub fn find(files: &ModelFiles) -> Result<Option<Self>> {
        files.try_get(FILE)?.map(|json| Self::of(files, json)).transpose()
    }

    /// Returns the `tokenizer.json` in `json`, which no other file changes.
    pub fn alone(json: impl Into<Bytes>, label: &str) -> Self {
        TokenizerSource {
            json: json.into(),
            label: label.to_owned(),
            special_tokens: Vec::new(),
            split_special_tokens: false,
            cleans_up_spaces: false,
        }
    }

    fn of(files: &ModelFiles, json: Bytes) -> Result<Self> {
        let source = Self::alone(json, &files.label(FILE));
        let settings = Settings::load(files)?;
        let class = Class::of(files, &settings, &source.json)?;
        let special_tokens = settings.special_tokens(class.map_or(&[], Class::special_tokens))?;
        let outline = source.outline()?;
        let own = outline.added_tokens.iter().map(AddedToken::parse).collect::<Option<Vec<_>>>();
        let own = own.ok_or_else(|| source.malformed("added_tokens", "is not a list of tokens"))?;
        let mut named: Vec<AddedToken> = special_tokens.iter().map(|(_, token)| token.clone()).collect();
        // A GGUF vocabulary gives each token a kind, which tells whether texts may spell it out. Its role does not.
        if files.gguf().is_some_and(|file| !file.has_original_tokenizer()) {
            named.clear();
        }
        let tokens = added::merged(&own, &settings, &named, class)?;
        Ok(TokenizerSource {
            json: match class.is_some() || tokens != own {
                true => source.rebuilt(&settings, tokens, class)?,
                false => source.json,
            },
            special_tokens: special_tokens.into_iter().map(|(name, token)| (name, token.content)).collect(),
            split_special_tokens: settings.flag("split_special_tokens")?.unwrap_or(false),
            cleans_up_spaces: settings.cleans_up_spaces(outline.model.kind == "BPE")?,
            ..source
        })
    }

    /// Returns the text of a special token, such as `bos_token`.
    pub fn special_token(&self, name: &str) -> Option<&str> {
        self.special_tokens.iter().find(|(known, _)| known == name).map(|(_, token)| token.as_str())
    }

    /// Returns the tokens that this tokenizer puts around a text.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the post-processor is not valid.
    pub fn frame(&self) -> Result<Frame> {
        let post_processor = self.outline()?.post_processor;
        Frame::of(&post_processor).ok_or_else(|| self.malformed("post_processor", "is not valid"))
    }

    fn outline(&self) -> Result<Outline> {
        serde_json::from_slice(&self.json)
            .map_err(|e| Error::malformed(&self.label, "JSON", e.to_string(), REPAIR))
    }

    /// Returns the file with these added tokens, in the pipeline of `class`.
    fn rebuilt(
        &self,
        settings: &Settings,
        mut tokens: Vec<AddedToken>,
        class: Option<Class>,
    ) -> Result<Bytes> {
        let mut root = json::parse(&self.json, &self.label)?;
        if let Some(class) = class {
            class.build(settings, &mut root)?;
        }
        added::number(&mut tokens, root.get("model").unwrap_or(&Value::Null));
        root.insert("added_tokens".into(), tokens.iter().map(AddedToken::json).collect());
        Ok(Value::Object(root).to_string().into_bytes().into())
    }

    fn malformed(&self, field: &str, problem: &str) -> Error {
        Error::malformed(&self.label, field, problem, REPAIR)
    }
}
