//! A smaller model that makes drafts.

use std::sync::Arc;

use super::{FORGOTTEN, push};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::session::Session;

/// A small model that makes drafts for a larger one, which has the same tokens. Clones share it.
#[derive(Clone, Debug)]
pub struct DraftModel {
    pub(super) model: Arc<Model>,
    /// The estimated time of a pass over one token, in such passes of the larger model.
    pub(super) cost: f32,
}

impl DraftModel {
    /// Returns the model of `draft`, to make drafts for that of `target`.
    ///
    /// # Errors
    /// [`Error::OtherTokens`] if their tokenizers differ in a token.
    pub(crate) fn new(target: &Session, draft: Session) -> Result<Self> {
        let (model, name) = (target.model(), draft.model().name());
        if let Some((token, expected, found)) = target.tokenizer().first_difference(draft.tokenizer()) {
            let (model, draft) = (model.name().to_owned(), name.to_owned());
            return Err(Error::OtherTokens { model, draft, token, expected, found });
        }
        let bytes = |model: &Model| model.memory_use().per_pass().max(1) as f32;
        Ok(DraftModel { cost: bytes(draft.model()) / bytes(model), model: Arc::new(draft.into_model()) })
    }

    /// Returns a model that costs nothing, without a look at its tokens.
    #[cfg(test)]
    pub(crate) fn unchecked(model: Model) -> Self {
        DraftModel { model: Arc::new(model), cost: 0.0 }
    }

    /// Returns the model's name.
    pub fn name(&self) -> &str {
        self.model.name()
    }
}

/// The success of a draft model in one text.
#[derive(Debug)]
pub(super) struct Success {
    /// The share of drafted tokens that is expected to be right.
    pub(super) rate: f32,
}

impl Success {
    /// Who names a draft model expects that it is often right.
    const PRIOR: f32 = 0.8;

    pub(super) fn new() -> Self {
        Success { rate: Self::PRIOR }
    }

    /// Takes note of a pass. A rate that ended drafts fades with each pass without one, so that they get another chance.
    pub(super) fn learn(&mut self, drafted: usize, accepted: usize) {
        match drafted {
            0 => self.rate += FORGOTTEN * (Self::PRIOR - self.rate),
            _ => push(&mut self.rate, accepted, drafted),
        }
    }
}
