//! What becomes of every key of a model's description: it is read, it is harmless, or its value must
//! be the one that changes nothing.
//!
//! [`config`] has the tables for `config.json`, [`gguf`] those for GGUF's metadata.

pub(crate) mod config;
pub(crate) mod gguf;

use serde_json::Value;

use crate::error::Result;
use crate::json::Object;
use crate::{ModelFiles, one_line};

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// A reader of this crate takes its value.
    Read,
    /// No value changes the logits.
    Harmless,
    /// Other values change the logits in a way that this version does not compute.
    Only(Neutral),
}

/// The values of a key that change nothing.
#[derive(Clone, Copy)]
pub(crate) struct Neutral {
    /// The values in words.
    expected: &'static str,
    holds: fn(&Value, &Facts) -> bool,
}

/// Properties of the model that decide which values are neutral.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts {
    /// Positions that the model was trained for.
    pub(crate) positions: usize,
    pub(crate) head_dim: usize,
    pub(crate) hidden_size: usize,
    /// True if each head of queries and keys has a norm.
    pub(crate) query_key_norms: bool,
    /// True if the family has layers with a sliding window.
    pub(crate) has_windows: bool,
    /// True if the description says in another key that there is no sliding window.
    pub(crate) no_window: bool,
    /// Names of the feed-forward block's activation.
    pub(crate) activations: &'static [&'static str],
}

/// Rules, and the names of the keys that they hold for.
pub(crate) type Table = [(Rule, &'static [&'static str])];

const NEVER: Rule = only("no such key", |_, _| false);
const FALSE: Rule = only("false", |value, _| *value == false);
const ZERO: Rule = only("0", |value, _| value.as_f64() == Some(0.0));
const ONE: Rule = only("1", |value, _| value.as_f64() == Some(1.0));
const ZERO_OR_ONE: Rule = only("0 or 1", |value, _| value.as_f64().is_some_and(|n| n == 0.0 || n == 1.0));
const EMPTY: Rule = only("none", |value, _| match value {
    Value::Array(items) => items.is_empty(),
    Value::Object(fields) => fields.is_empty(),
    _ => false,
});
const WINDOW: Rule = only("none, or at least the model's context", |value, facts| {
    facts.has_windows
        || facts.no_window
        || value.as_f64().is_some_and(|n| n <= 0.0 || n >= facts.positions as f64)
});

const fn only(expected: &'static str, holds: fn(&Value, &Facts) -> bool) -> Rule {
    Rule::Only(Neutral { expected, holds })
}

/// Words in the names of keys that speak of arithmetic. An unknown key with one of them is refused.
const ARITHMETIC: [&str; 13] = [
    "softcap",
    "multiplier",
    "expert",
    "bias",
    "scale",
    "scaling",
    "alibi",
    "window",
    "rotary",
    "rope",
    "hadamard",
    "rotat",
    "quantiz",
];

fn rule(table: &Table, key: &str) -> Option<Rule> {
    table.iter().find(|(_, keys)| keys.contains(&key)).map(|(rule, _)| *rule)
}

/// Checks every key of `object` against `table`. Returns the keys that the table does not have.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) names a key whose value changes the logits.
pub(crate) fn check<'a>(table: &Table, object: &Object<'a>, facts: &Facts) -> Result<Vec<&'a str>> {
    let mut unknown = Vec::new();
    for (key, value) in object.fields().filter(|(_, value)| !value.is_null()) {
        match rule(table, key) {
            Some(Rule::Only(neutral)) if !(neutral.holds)(value, facts) => {
                return Err(object.unsupported(key, value, neutral.expected));
            }
            Some(_) => {}
            None => unknown.push(key.as_str()),
        }
    }
    Ok(unknown)
}

/// Returns an error that names the first of `unknown` keys.
///
/// # Errors
/// Fails if there is one.
pub(crate) fn refuse(object: &Object<'_>, unknown: &[&str]) -> Result<()> {
    match unknown.first() {
        None => Ok(()),
        Some(key) => Err(object.unsupported(key, "a key with an unknown meaning", "keys that are known")),
    }
}

/// Refuses the unknown keys whose names speak of arithmetic, unless they are switched off. Returns the
/// others.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) names such a key.
pub(crate) fn suspect<'a>(object: &Object<'_>, unknown: Vec<&'a str>) -> Result<Vec<&'a str>> {
    let is_off = |value: Option<&Value>| match value {
        Some(Value::Bool(on)) => !on,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        value => value.is_none(),
    };
    let speaks = |key: &&&str| ARITHMETIC.iter().any(|word| key.contains(word)) && !is_off(object.get(key));
    match unknown.iter().find(speaks) {
        None => Ok(unknown),
        Some(key) => refuse(object, &[key]).map(|()| Vec::new()),
    }
}

/// Warns of the keys of `file` that nothing reads.
pub(crate) fn warn_of_unknown(files: &ModelFiles, file: &str, unknown: &[String]) {
    if !unknown.is_empty() {
        files.warn(one_line(format!(
            "{file}: keys that Tercet does not know are ignored: {}",
            unknown.join(", ")
        )));
    }
}
