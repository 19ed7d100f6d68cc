//! A tokenizer's vocabulary, prepared for grammars.

use std::fmt;
use std::sync::Arc;

use llguidance::ParserFactory;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};
use serde_json::json;

use crate::Grammar;
use crate::error::{Error, Result};
use crate::gbnf;
use crate::limits;
use crate::matcher::Matcher;
use crate::schema;

/// The bytes of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// It stands for text.
    Text(Vec<u8>),
    /// It is a special token, such as `<|eot_id|>`. No text spells it; Lark grammars name it.
    Special(String),
    /// It is never generated.
    Unused,
}

/// A vocabulary as a trie, with the compiler of grammars. It is built once, in a second or so for 128,000 tokens, and
/// shared by all matchers.
pub struct Vocabulary {
    factory: ParserFactory,
    /// The token that ends texts in the trie. It is not one of the model's, which may have several ends, or none.
    end: u32,
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("tokens", &self.end).finish_non_exhaustive()
    }
}

/// Returns the tokens of a text as the model's tokenizer would, within a longer text.
type Tokenize = Box<dyn Fn(&str) -> Vec<u32> + Send + Sync>;

/// The library's view of a tokenizer.
struct Environment {
    trie: TokTrie,
    tokenize: Option<Tokenize>,
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        let tokens =
            str::from_utf8(bytes).ok().zip(self.tokenize.as_ref()).map(|(text, tokenize)| tokenize(text));
        let spells = |tokens: &Vec<u32>| self.trie.decode_raw(tokens) == bytes;
        tokens.filter(spells).unwrap_or_else(|| self.trie.greedy_tokenize(bytes))
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.tokenize.is_some()
    }
}

impl Vocabulary {
    /// Prepares the vocabulary of `tokens`, in the order of their ids.
    ///
    /// With `tokenize`, a text that the grammar forces is written in the tokens that the tokenizer gives it. It must give
    /// the tokens of a text's part without a start of its own, such as a space.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the library cannot use the vocabulary.
    ///
    /// ```
    /// use tercet_grammar::{Grammar, Next, Token, Vocabulary};
    ///
    /// let mut tokens: Vec<Token> = (0..=255).map(|byte| Token::Text(vec![byte])).collect();
    /// tokens.push(Token::Special("<|end|>".to_owned()));
    /// let vocabulary = Vocabulary::new(tokens, None)?;
    /// let mut matcher = vocabulary.matcher(&Grammar::Regex("ab?".to_owned()))?.start(&[256]);
    /// assert_eq!(matcher.allowed()?, Next::Forced(vec![u32::from(b'a')]));
    /// matcher.accept(u32::from(b'a'))?;
    /// let Next::Choice(mask) = matcher.allowed()? else { panic!() };
    /// assert_eq!(mask.iter().collect::<Vec<_>>(), [u32::from(b'b'), 256]);
    /// # Ok::<(), tercet_grammar::Error>(())
    /// ```
    pub fn new(tokens: impl IntoIterator<Item = Token>, tokenize: Option<Tokenize>) -> Result<Self> {
        let bytes = |token| match token {
            Token::Text(bytes) => bytes,
            Token::Special(name) => [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat(),
            Token::Unused => Vec::new(),
        };
        let mut words: Vec<Vec<u8>> = tokens.into_iter().map(bytes).collect();
        let end = words.len() as u32;
        words.push(bytes(Token::Special("<|end of the grammar|>".to_owned())));
        let info = TokRxInfo::new(end + 1, end);
        let factory = limits::bounded(move || {
            let trie = TokTrie::from(&info, &words);
            let abilities =
                InferenceCapabilities { ff_tokens: tokenize.is_some(), ..InferenceCapabilities::default() };
            let environment: TokEnv = Arc::new(Environment { trie, tokenize });
            let slices = llguidance::earley::SlicedBiasComputer::general_slices();
            let mut factory = ParserFactory::new(&environment, abilities, &slices).map_err(Error::invalid)?;
            factory.quiet();
            *factory.limits_mut() = limits::parser();
            Ok(factory)
        })?;
        Ok(Vocabulary { factory, end })
    }

    /// Returns a matcher at the start of a text by `grammar`.
    ///
    /// # Errors
    /// Fails if the grammar is not valid, uses a feature that is not supported, or exceeds a limit.
    pub fn matcher(&self, grammar: &Grammar) -> Result<Matcher> {
        limits::bounded(|| {
            let parser = self.factory.create_parser(top(grammar)?).map_err(Error::invalid)?;
            Matcher::new(parser, self.end)
        })
    }
}

/// Returns the grammar in the library's form.
fn top(grammar: &Grammar) -> Result<TopLevelGrammar> {
    Ok(match grammar {
        Grammar::JsonSchema(schema) => {
            limits::check_schema(schema)?;
            TopLevelGrammar::from_json_schema(schema::prepared(schema)?)
        }
        Grammar::JsonObject => {
            TopLevelGrammar::from_json_schema(schema::prepared(&json!({ "type": "object" }))?)
        }
        Grammar::Regex(regex) => {
            limits::check_text(regex)?;
            TopLevelGrammar::from_regex(regex)
        }
        Grammar::Lark(text) => {
            limits::check_text(text)?;
            TopLevelGrammar::from_lark(text.clone())
        }
        Grammar::Gbnf(text) => {
            limits::check_text(text)?;
            TopLevelGrammar::from_lark(gbnf::to_lark(text)?)
        }
    })
}
