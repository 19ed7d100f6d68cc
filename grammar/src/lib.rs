//! Grammars for generated text: from a description to the tokens that may follow.
//!
//! A [`Vocabulary`] is built once for a tokenizer. It turns a [`Grammar`] into a [`Matcher`], which follows one text. The
//! matcher tells before each token whether the text ends here, which tokens must follow, or among which ones to choose.

#![deny(unsafe_code)]

mod error;
mod gbnf;
mod limits;
mod mask;
mod matcher;
mod schema;
#[cfg(test)]
mod tests;
mod vocabulary;

use serde_json::Value;

pub use error::{Error, Result};
pub use mask::Mask;
pub use matcher::{Matcher, Next};
pub use vocabulary::{Token, Vocabulary};

/// The description of all texts that may be generated.
#[derive(Clone, Debug, PartialEq)]
pub enum Grammar {
    /// JSON that is valid by a JSON schema of Draft 2020-12. Properties come in the order of the schema. An object that
    /// lists properties has no others, unless the schema allows them by `additionalProperties`.
    JsonSchema(Value),
    /// Any JSON object.
    JsonObject,
    /// A regular expression in the syntax of the `regex` crate, which the whole text matches.
    Regex(String),
    /// A grammar in llguidance's variant of Lark. It begins at the rule `start`.
    Lark(String),
    /// A grammar in llama.cpp's GBNF. It begins at the rule `root`.
    Gbnf(String),
}

impl Grammar {
    /// Returns the grammar that `text` describes: GBNF if its first rule has `::=`, else Lark.
    ///
    /// ```
    /// use tercet_grammar::Grammar;
    ///
    /// assert!(matches!(Grammar::read("# any\nroot ::= \"a\""), Grammar::Gbnf(_)));
    /// assert!(matches!(Grammar::read("start: \"::=\""), Grammar::Lark(_)));
    /// ```
    pub fn read(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#'));
        let head = first.and_then(|line| line.split(['"', '/', '[', '(']).next());
        match head.is_some_and(|head| head.contains("::=")) {
            true => Grammar::Gbnf(text.to_owned()),
            false => Grammar::Lark(text.to_owned()),
        }
    }

    /// Returns JSON by a schema as a part of a Lark grammar, as in [`Grammar::JsonSchema`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if the schema is neither an object nor true.
    ///
    /// ```
    /// use tercet_grammar::Grammar;
    ///
    /// let answer = Grammar::json_part(&serde_json::json!({ "type": "integer" }))?;
    /// let grammar = Grammar::Lark(format!("start: \"The answer is \" answer \".\"\nanswer: {answer}\n"));
    /// # Ok::<(), tercet_grammar::Error>(())
    /// ```
    pub fn json_part(schema: &Value) -> Result<String> {
        Ok(format!("%json {}", schema::prepared(schema)?))
    }

    /// Returns the name of the field that usually holds a grammar of this kind.
    pub fn field(&self) -> &'static str {
        match self {
            Grammar::JsonSchema(_) => "json_schema",
            Grammar::JsonObject => "json_object",
            Grammar::Regex(_) => "regex",
            Grammar::Lark(_) | Grammar::Gbnf(_) => "grammar",
        }
    }
}
