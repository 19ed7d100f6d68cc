//! Text to token ids and back.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tercet_engine::{ChatInput, Error, Session, Spelled};

use crate::errors::exception;

/// A model's tokenizer.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct Tokenizer(pub(crate) Arc<Session>);

#[pymethods]
impl Tokenizer {
    /// The token called BOS.
    #[getter]
    fn bos_token_id(&self) -> Option<u32> {
        self.0.tokenizer().bos()
    }

    /// The tokens that end a sequence.
    #[getter]
    fn eos_token_ids(&self) -> Vec<u32> {
        self.0.defaults().eos_token_ids.clone()
    }

    /// The number of tokens in the vocabulary.
    #[getter]
    fn vocab_size(&self) -> usize {
        self.0.tokenizer().vocab_size()
    }

    /// Returns the tokens of `text`, with what the tokenizer puts around a text if `framed` is true. With `as_text`, special
    /// tokens that the text spells out are text.
    fn encode(&self, text: &str, framed: bool, as_text: bool) -> PyResult<Vec<u32>> {
        self.0.tokenizer().encode_spelled(text, framed, spelled(as_text)).map_err(exception)
    }

    /// Returns the text of `ids`.
    fn decode(&self, ids: Vec<u32>, skip_special: bool) -> PyResult<String> {
        self.0.tokenizer().decode(&ids, skip_special).map_err(exception)
    }

    /// Renders a conversation as a prompt. `input` is a JSON object with the arguments of `apply_chat_template`.
    fn render(&self, py: Python<'_>, input: &str) -> PyResult<String> {
        let input = read(input)?;
        py.detach(|| Ok::<_, Error>(self.0.template()?.render(&input)?)).map_err(exception)
    }

    /// Returns the tokens of the prompt that [`Tokenizer::render`] makes. With `as_text`, special tokens that the
    /// conversation spells out are text.
    fn encode_chat(&self, py: Python<'_>, input: &str, as_text: bool) -> PyResult<Vec<u32>> {
        let input = read(input)?;
        py.detach(|| self.0.tokenizer().encode_chat(&self.0.template()?, &input, spelled(as_text)))
            .map_err(exception)
    }

    /// Returns the token with this id, as the vocabulary spells it.
    fn token(&self, id: u32) -> Option<String> {
        self.0.tokenizer().token_str(id)
    }

    /// Returns the id of a token, given as the vocabulary spells it.
    fn id_of(&self, token: &str) -> Option<u32> {
        self.0.tokenizer().id_of(token)
    }
}

fn read(input: &str) -> PyResult<ChatInput> {
    serde_json::from_str(input)
        .map_err(|error| PyValueError::new_err(format!("a message is a mapping with 'role': {error}")))
}

fn spelled(as_text: bool) -> Spelled {
    if as_text { Spelled::Text } else { Spelled::Token }
}
