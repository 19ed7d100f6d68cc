//! The settings beside `tokenizer.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::added::AddedToken;
use crate::error::{Error, Result};
use crate::json::{self, Object};
use crate::{CONFIG, ModelFiles};

const FILE: &str = "tokenizer_config.json";
/// Files of older models, which a list of tokens in [`FILE`] replaces.
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";

/// Names that every tokenizer knows, in the order in which their tokens are added. Models have others, which end in
/// `_token`.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// `tokenizer_config.json`, with the files that older models have instead.
pub(crate) struct Settings {
    label: String,
    fields: Map<String, Value>,
    /// The tokens of `added_tokens_decoder`, by their ids. None if there is no such field.
    listed: Option<BTreeMap<u64, AddedToken>>,
    /// The tokens of `added_tokens.json`, by their ids.
    older: BTreeMap<u64, AddedToken>,
}

impl Settings {
    /// Reads the settings of a model. Absent files have none.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a file cannot be read.
    pub(crate) fn load(files: &ModelFiles) -> Result<Self> {
        let mut settings = Settings {
            label: files.label(FILE),
            fields: object(files, FILE)?,
            listed: None,
            older: BTreeMap::new(),
        };
        settings.listed = settings.listed()?;
        if settings.listed.is_none() {
            settings.fields.extend(special_tokens_map(files)?);
            settings.older = settings.older(files)?;
        }
        // The reader of config.json reports its faults.
        let class = object(files, CONFIG).unwrap_or_default().remove("tokenizer_class");
        if let Some(class) = class.filter(|_| settings.object().get("tokenizer_class").is_none()) {
            settings.fields.insert("tokenizer_class".into(), class);
        }
        Ok(settings)
    }

    /// Returns the settings as an object whose errors name the file.
    pub(crate) fn object(&self) -> Object<'_> {
        Object::new(&self.label, &self.fields)
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.object().flag(name)
    }

    /// Returns the tokens that these settings add, in the order of their ids. A token of `own`, the ones in
    /// `tokenizer.json`, stands for one of an older file with the same id.
    pub(super) fn added_tokens(&self, own: &[AddedToken]) -> Vec<AddedToken> {
        let mut tokens = self.listed.clone().unwrap_or_else(|| self.older.clone());
        if self.listed.is_none() {
            tokens.extend(own.iter().map(|token| (token.id, token.clone())));
        }
        tokens.into_values().collect()
    }

    /// Returns true if a decoded text loses the spaces before punctuation. For `bpe` this takes a setting of its own.
    pub(super) fn cleans_up_spaces(&self, bpe: bool) -> Result<bool> {
        const FORCED: &str = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output";
        let is_set = self.flag("clean_up_tokenization_spaces")?.unwrap_or(false);
        Ok(is_set && (!bpe || self.flag(FORCED)?.unwrap_or(false)))
    }

    /// Returns true if these settings list all added tokens.
    pub(super) fn lists_tokens(&self) -> bool {
        self.listed.is_some()
    }

    /// Returns the special tokens by name, those of `defaults` where the settings say nothing.
    pub(crate) fn special_tokens(&self, defaults: &[(&str, &str)]) -> Result<Vec<(String, AddedToken)>> {
        let mut tokens = Vec::new();
        let named = |value: &Value| AddedToken::special(value).map(|token| self.as_listed(token));
        for name in NAMES {
            let default = defaults.iter().find(|(known, _)| *known == name);
            let value = match self.fields.get(name) {
                Some(value) => value.clone(),
                None => default.map_or(Value::Null, |(_, token)| (*token).into()),
            };
            if !value.is_null() {
                let token = named(&value).ok_or_else(|| self.malformed(name, "is not a token"))?;
                tokens.push((name.to_owned(), token));
            }
        }
        let is_other = |name: &str| name.ends_with("_token") && !NAMES.contains(&name);
        let others = self.fields.iter().filter(|(name, _)| is_other(name));
        let further = ["extra_special_tokens", "model_specific_special_tokens"];
        let further = further.iter().filter_map(|name| self.fields.get(*name)?.as_object());
        let others = others.chain(further.flatten());
        tokens.extend(others.filter_map(|(name, value)| Some((name.clone(), named(value)?))));
        Ok(tokens)
    }

    /// Returns the special tokens without a name.
    pub(super) fn extra_tokens(&self) -> Result<Vec<AddedToken>> {
        let settings = self.object();
        let is_empty = |value: &&Value| value.as_array().is_some_and(Vec::is_empty);
        let names = ["extra_special_tokens", "additional_special_tokens"];
        let found = names.map(|name| settings.get(name).filter(|value| !is_empty(value)));
        let Some(Value::Array(tokens)) = found.into_iter().flatten().next() else { return Ok(Vec::new()) };
        let tokens: Option<Vec<_>> = tokens.iter().map(AddedToken::special).collect();
        tokens.ok_or_else(|| self.malformed("extra_special_tokens", "is not a list of tokens"))
    }

    /// Returns `token` with the properties that the list of added tokens gives it.
    fn as_listed(&self, token: AddedToken) -> AddedToken {
        let mut listed = self.listed.iter().chain([&self.older]).flat_map(BTreeMap::values);
        listed.find(|listed| listed.content == token.content).cloned().unwrap_or(token)
    }

    fn listed(&self) -> Result<Option<BTreeMap<u64, AddedToken>>> {
        const FIELD: &str = "added_tokens_decoder";
        let Some(value) = self.object().get(FIELD) else { return Ok(None) };
        let entry = |(id, token): (&String, &Value)| {
            let id = id.parse().ok()?;
            Some((id, AddedToken::parse(token)?.numbered(id)))
        };
        let tokens = value.as_object().and_then(|tokens| tokens.iter().map(entry).collect());
        tokens.map(Some).ok_or_else(|| self.malformed(FIELD, "is not a map of ids to tokens"))
    }

    /// Reads `added_tokens.json`, a map of tokens to their ids.
    fn older(&self, files: &ModelFiles) -> Result<BTreeMap<u64, AddedToken>> {
        let special: Vec<AddedToken> = self
            .special_tokens(&[])?
            .into_iter()
            .map(|(_, token)| token)
            .chain(self.extra_tokens()?)
            .collect();
        let entry = |(content, id): (String, Value)| {
            let special = special.iter().any(|token| token.content == content);
            Some((id.as_u64()?, AddedToken::new(content, special).numbered(id.as_u64()?)))
        };
        let tokens: Option<_> = object(files, ADDED_TOKENS)?.into_iter().map(entry).collect();
        tokens.ok_or_else(|| {
            let (problem, remedy) = ("is not a map of tokens to ids", super::REPAIR);
            Error::malformed(files.label(ADDED_TOKENS), "the whole file", problem, remedy)
        })
    }

    fn malformed(&self, name: &str, problem: &str) -> Error {
        self.object().malformed(name, problem)
    }
}

/// Reads the map of special tokens of an older model.
fn special_tokens_map(files: &ModelFiles) -> Result<Map<String, Value>> {
    let tokens = object(files, SPECIAL_TOKENS)?;
    let is_wrong = |value: &Value| !value.is_null() && AddedToken::special(value).is_none();
    match tokens.iter().find(|(name, value)| NAMES.contains(&name.as_str()) && is_wrong(value)) {
        Some((name, _)) => {
            let (label, problem) = (files.label(SPECIAL_TOKENS), "is not a token");
            Err(Error::malformed(label, name, problem, super::REPAIR))
        }
        None => Ok(tokens),
    }
}

/// Reads the JSON object in `file`, or returns an empty one if there is no such file.
fn object(files: &ModelFiles, file: &str) -> Result<Map<String, Value>> {
    match files.try_get(file)? {
        Some(bytes) => json::parse(&bytes, &files.label(file)),
        None => Ok(Map::default()),
    }
}
