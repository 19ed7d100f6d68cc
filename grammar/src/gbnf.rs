//! llama.cpp's GBNF, translated to Lark.
//!
//! The lexer of Lark takes the longest match, and GBNF has no lexer. So characters become lexemes of their own, except
//! where a longer lexeme cannot swallow what follows it. If no rule recurs, the whole grammar is one lexeme.

mod class;
mod lark;
mod sets;
mod syntax;
#[cfg(test)]
mod tests;

use crate::error::Result;
use class::Class;

/// A part of a rule.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(String),
    Class(Class),
    /// The rule with this index.
    Rule(usize),
    /// A token of the vocabulary, as Lark writes it.
    Token(String),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    Repeat(Box<Node>, u32, Option<u32>),
}

/// All rules, in the order of their first mention.
struct Rules {
    bodies: Vec<Node>,
    root: usize,
}

/// Returns the Lark grammar of the same texts.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) with line and column if `text` is not GBNF, and
/// [`Error::TooLarge`](crate::Error::TooLarge).
pub(crate) fn to_lark(text: &str) -> Result<String> {
    let rules = syntax::parse(text)?;
    let sets = sets::Sets::of(&rules)?;
    Ok(lark::write(&rules, &sets))
}
