//! Tokens that are found in a text before anything else.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::class::Class;
use super::settings::Settings;
use crate::error::Result;

/// A token beside the vocabulary of the model, with the rules by which texts are searched for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedToken {
    pub(super) id: u64,
    pub(crate) content: String,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

impl AddedToken {
    /// Returns a token with the properties that a bare text has.
    pub(super) fn new(content: String, special: bool) -> Self {
        let [single_word, lstrip, rstrip] = [false; 3];
        AddedToken { id: 0, content, single_word, lstrip, rstrip, normalized: !special, special }
    }

    /// Reads a token that is described in full.
    pub(super) fn parse(token: &Value) -> Option<Self> {
        let content = token.get("content")?.as_str()?.to_owned();
        let flag = |name: &str| token.get(name).and_then(Value::as_bool);
        let special = flag("special").unwrap_or(false);
        Some(AddedToken {
            id: token.get("id").and_then(Value::as_u64).unwrap_or(0),
            content,
            single_word: flag("single_word").unwrap_or(false),
            lstrip: flag("lstrip").unwrap_or(false),
            rstrip: flag("rstrip").unwrap_or(false),
            normalized: flag("normalized").unwrap_or(!special),
            special,
        })
    }

    /// Reads a special token, which is a text or is described in full.
    pub(super) fn special(token: &Value) -> Option<Self> {
        match token {
            Value::String(content) => Some(AddedToken::new(content.clone(), true)),
            token => AddedToken::parse(token).map(|token| AddedToken { special: true, ..token }),
        }
    }

    pub(super) fn numbered(self, id: u64) -> Self {
        AddedToken { id, ..self }
    }

    /// Returns the token's description in `tokenizer.json`.
    pub(super) fn json(&self) -> Value {
        let AddedToken { id, content, single_word, lstrip, rstrip, normalized, special } = self;
        json!({
            "id": id, "content": content, "single_word": single_word, "lstrip": lstrip,
            "rstrip": rstrip, "normalized": normalized, "special": special,
        })
    }
}

/// Returns the added tokens of a tokenizer whose `tokenizer.json` has the ones in `own`. The settings call those in `named`
/// special.
pub(super) fn merged(
    own: &[AddedToken],
    settings: &Settings,
    named: &[AddedToken],
    class: Option<Class>,
) -> Result<Vec<AddedToken>> {
    // A class that builds its own pipeline takes nothing from the file that the settings list too.
    let kept = if class.is_some() && settings.lists_tokens() { &[] } else { own };
    let mut places: HashMap<String, usize> =
        kept.iter().zip(0..).map(|(token, place)| (token.content.clone(), place)).collect();
    let mut tokens = kept.to_vec();
    let names: HashSet<&str> = named.iter().map(|token| token.content.as_str()).collect();
    for token in settings.added_tokens(own) {
        let special = token.special || names.contains(token.content.as_str());
        add(&mut tokens, &mut places, AddedToken { special, ..token });
    }
    for token in named.iter().cloned().chain(settings.extra_tokens()?) {
        if class == Some(Class::Qwen2) {
            add(&mut tokens, &mut places, AddedToken::new(token.content, true));
        } else if !places.contains_key(&token.content) {
            add(&mut tokens, &mut places, token);
        }
    }
    tokens.retain(|token| !token.content.is_empty());
    Ok(tokens)
}

/// Adds `token`, or gives the one with the same text its properties. A special token stays special.
fn add(tokens: &mut Vec<AddedToken>, places: &mut HashMap<String, usize>, token: AddedToken) {
    let place = *places.entry(token.content.clone()).or_insert(tokens.len());
    match tokens.get_mut(place) {
        Some(known) => *known = AddedToken { id: known.id, special: known.special || token.special, ..token },
        None => tokens.push(token),
    }
}

/// Gives every token the id that the `tokenizers` crate gives it: that of the same text in the vocabulary of `model`, or
/// else the next free one.
pub(super) fn number(tokens: &mut [AddedToken], model: &Value) {
    let vocabulary = model.get("vocab").unwrap_or(&Value::Null);
    let listed = vocabulary.as_array().into_iter().flatten().zip(0..);
    let listed: HashMap<&str, u64> =
        listed.filter_map(|(piece, id)| Some((piece.get(0)?.as_str()?, id))).collect();
    let known = |content: &str| match vocabulary {
        Value::Object(ids) => ids.get(content)?.as_u64(),
        _ => listed.get(content).copied(),
    };
    let mut next = vocabulary.as_object().map_or(listed.len(), serde_json::Map::len) as u64;
    for token in tokens {
        token.id = known(&token.content).unwrap_or_else(|| {
            next += 1;
            next - 1
        });
    }
}
