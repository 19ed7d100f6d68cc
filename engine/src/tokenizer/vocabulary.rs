//! The tokens' bytes, by which grammars know which tokens may follow.

use std::sync::{Arc, OnceLock};

use tercet_grammar::{Grammar, Matcher, Token, Vocabulary};

use super::{Spelled, Tokenizer};
use crate::error::{Error, Result};

/// The vocabulary, or the reason why there is none. It is built when a grammar asks for it.
pub(super) type Built = OnceLock<Result<Vocabulary, String>>;

impl Tokenizer {
    /// Returns a matcher at the start of a text by `grammar`. The first call takes a second or so for a large
    /// vocabulary.
    ///
    /// # Errors
    /// [`Error::BadArgument`] with the grammar's [field](Grammar::field) if it is not valid, takes too much, or this
    /// tokenizer's tokens have no bytes of their own.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # fn main() -> tercet_engine::Result<()> {
    /// use tercet_engine::{Grammar, Request, Session};
    ///
    /// let session = Session::open("fairy-tales")?;
    /// let grammar = session.tokenizer().matcher(&Grammar::Regex("The (king|queen) was (happy|sad)\\.".to_owned()))?;
    /// let request = Request { grammar: Some(grammar), ..session.request() };
    /// let text: String = session.stream("Once upon a time. ", request)?.collect::<Result<_, _>>()?;
    /// assert!(text.starts_with("The ") && text.ends_with('.'));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn matcher(&self, grammar: &Grammar) -> Result<Matcher> {
        let refused = |problem: String, remedy| Error::bad_argument(grammar.field(), problem, remedy);
        let built = self.vocabulary.get_or_init(|| self.build()).as_ref();
        let vocabulary = built.map_err(|problem| refused(problem.clone(), "generate without a grammar"))?;
        vocabulary.matcher(grammar).map_err(|error| refused(error.to_string(), "correct it or simplify it"))
    }

    fn build(&self) -> Result<Vocabulary, String> {
        if self.decoding.needs_all() {
            return Err("the text of this model's tokens depends on later tokens".to_owned());
        }
        // A clone with a cell of its own, so that none holds itself.
        let own = Tokenizer { vocabulary: Arc::default(), ..self.clone() };
        let encode = move |text: &str| own.encode_spelled(text, false, Spelled::Text).unwrap_or_default();
        let added = self.inner.get_added_tokens_decoder();
        let token = |id: u32| match (added.get(&id), self.inner.id_to_token(id)) {
            (Some(added), _) if self.specials.contains(&id) => Token::Special(added.content.clone()),
            (Some(added), _) => Token::Text(added.content.clone().into_bytes()),
            (None, Some(spelling)) => Token::Text(self.decoding.bytes(&spelling)),
            (None, None) => Token::Unused,
        };
        let tokens: Vec<Token> = (0..self.vocab_size as u32).map(token).collect();
        // Some tokenizers put a space before every text, so that they cannot tell the tokens of a part.
        let spells = |text: &str| {
            let spelled = encode(text).into_iter().map(|id| match tokens.get(id as usize) {
                Some(Token::Text(bytes)) => bytes.as_slice(),
                _ => &[],
            });
            spelled.collect::<Vec<_>>().concat() == text.as_bytes()
        };
        let is_canonical = spells("a") && spells(" a");
        Vocabulary::new(tokens, is_canonical.then_some(Box::new(encode) as _))
            .map_err(|error| error.to_string())
    }
}
