//! Embeddings: texts as vectors, which are close to each other if the texts mean something similar.

use std::collections::VecDeque;
use std::ops::Deref;

use tercet_formats::EmbeddingConfig;

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::model::{BATCH, Model, Part, State};
use crate::session::Session;

/// Makes embeddings with a model that was made for them.
///
/// ```no_run
/// use tercet_engine::{Cancel, Session, cosine};
///
/// let session = Session::open("bitnet-embedding-0.6b")?;
/// let embedder = session.embedder()?;
/// let texts = [
///     embedder.encode(embedder.prompt("query")?, "How tall is the Eiffel Tower?")?,
///     embedder.encode("", "The Eiffel Tower is 330 metres high.")?,
/// ];
/// let vectors = embedder.embed(&texts, None, &Cancel::new(), |_| {})?;
/// println!("{}", cosine(&vectors[0], &vectors[1]));
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Debug)]
pub struct Embedder<S> {
    session: S,
    config: EmbeddingConfig,
}

impl<S: Deref<Target = Session>> Embedder<S> {
    /// Reads how the model of `session` makes embeddings.
    ///
    /// # Errors
    /// [`Error::BadArgument`] names `model` if it was not made for embeddings. Also fails if its files are damaged, or ask for
    /// what Tercet does not have.
    pub fn new(session: S) -> Result<Self> {
        let config = EmbeddingConfig::load(session.files(), session.model().config())?;
        let none = || {
            let problem = format!("{:?} has no embeddings", session.model().name());
            Error::bad_argument("model", problem, "use a model that was made for them")
        };
        Ok(Embedder { config: config.ok_or_else(none)?, session })
    }

    /// Returns what the model's files say about its embeddings.
    pub fn config(&self) -> &EmbeddingConfig {
        &self.config
    }

    /// Returns what stands before texts with the purpose `name`, such as `query`.
    ///
    /// # Errors
    /// [`Error::BadArgument`] names `prompt` if the model has none of this name.
    pub fn prompt(&self, name: &str) -> Result<&str> {
        self.config.prompts.get(name).map(String::as_str).ok_or_else(|| {
            let names: Vec<&str> = self.config.prompts.keys().map(String::as_str).collect();
            let remedy = match names[..] {
                [] => "this model has no prompts: put the words before the text yourself".to_owned(),
                _ => format!("this model has {}", names.join(", ")),
            };
            Error::bad_argument("prompt", format!("there is none called {name:?}"), remedy)
        })
    }

    /// Returns what stands before texts by default.
    pub fn default_prompt(&self) -> &str {
        let name = self.config.default_prompt.as_ref();
        name.and_then(|name| self.config.prompts.get(name)).map_or("", String::as_str)
    }

    /// Returns the tokens of `prompt` and `text`, with the end token that the tokenizer puts after a text.
    ///
    /// # Errors
    /// Those of [`Session::encode`].
    pub fn encode(&self, prompt: &str, text: &str) -> Result<Vec<u32>> {
        self.session.encode(&format!("{prompt}{text}"))
    }

    /// Cuts a text that exceeds the model's context. It keeps the end token.
    pub fn truncate(&self, tokens: &mut Vec<u32>) {
        let (most, end) = (self.session.model().config().max_positions, self.session.tokenizer().end());
        if tokens.len() > most {
            tokens.truncate(most.saturating_sub(end.len()));
            tokens.extend(end);
        }
    }

    /// Returns the vector of each text, with `dimensions` elements or as many as the model has.
    ///
    /// Texts share every read of the weights, which changes no bit of a vector. `progress` hears of the number of finished
    /// texts.
    ///
    /// # Errors
    /// Fails if a text is empty or exceeds the model's context, a token is outside the vocabulary, the model was not trained
    /// for `dimensions`, or it yields no numbers. Returns [`Error::Cancelled`] soon after `cancel` is cancelled.
    pub fn embed(
        &self,
        texts: &[Vec<u32>],
        dimensions: Option<usize>,
        cancel: &Cancel,
        progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>> {
        let model = self.session.model();
        let size = dimensions.unwrap_or(model.config().hidden_size);
        self.check_size(size)?;
        let mut vectors = model.embed(texts, cancel, progress)?;
        for vector in &mut vectors {
            vector.truncate(size);
            if self.config.normalized {
                normalize(vector);
            }
        }
        Ok(vectors)
    }
}

impl<S> Embedder<S> {
    /// Requires that the model was trained for vectors of `size` elements.
    fn check_size(&self, size: usize) -> Result<()> {
        /// Sizes that a message lists.
        const FEW: usize = 16;
        let sizes = &self.config.dimensions;
        if sizes.contains(&size) {
            return Ok(());
        }
        let remedy = match &sizes[..] {
            [whole] => format!("this model has vectors of {whole} only"),
            few if few.len() <= FEW => format!("this model allows {few:?}"),
            many => format!("this model allows 1 to {}", many.len()),
        };
        Err(Error::bad_argument("dimensions", format!("{size} is not supported"), remedy))
    }
}

/// A text that the model reads.
struct Reading<'t> {
    state: State,
    rest: &'t [u32],
}

impl Model {
    /// Returns the last hidden state of each text's last token, after the last norm.
    ///
    /// Each pass over the weights reads up to 256 tokens, of as many texts as they belong to. `progress` hears of the number of
    /// finished texts.
    ///
    /// # Errors
    /// Fails if a text has no tokens or exceeds the context, a token is outside the vocabulary, or the model yields no numbers.
    /// Returns [`Error::Cancelled`] soon after `cancel` is cancelled.
    pub fn embed(
        &self,
        texts: &[Vec<u32>],
        cancel: &Cancel,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>> {
        /// Most texts of a pass: each takes memory for its keys and values.
        const MOST: usize = 32;
        let (mut waiting, mut vectors) = (texts.iter(), Vec::with_capacity(texts.len()));
        let mut reading: VecDeque<Reading<'_>> = VecDeque::new();
        while vectors.len() < texts.len() {
            while reading.len() < MOST && reading.iter().map(|text| text.rest.len()).sum::<usize>() < BATCH {
                let Some(text) = waiting.next() else { break };
                let mut state = self.new_state(self.context_for(text.len()))?;
                self.check(&state, text)?;
                state.set_cancel(cancel.clone());
                reading.push_back(Reading { state, rest: text });
            }
            let mut room = BATCH;
            let parts = reading.iter_mut().map(|Reading { state, rest }| {
                let (tokens, later) = rest.split_at(rest.len().min(room));
                (room, *rest) = (room - tokens.len(), later);
                Part { state, tokens, wanted: usize::from(later.is_empty()) }
            });
            let hidden = self.forward_hidden(&mut parts.collect::<Vec<_>>())?;
            reading.retain(|text| !text.rest.is_empty());
            vectors.extend(hidden.chunks(self.config().hidden_size).map(<[f32]>::to_vec));
            progress(vectors.len());
        }
        Ok(vectors)
    }
}

/// Returns the cosine of the angle between two vectors of the same length, 0 if one of them is zero.
///
/// # Panics
/// If the lengths differ.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "vectors of different lengths");
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

/// Scales a vector to length 1, unless it is zero.
fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}
