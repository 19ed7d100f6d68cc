//! The packed files of one model.

use tercet_pool::Pool;

use super::source::{Appearance, Source};
use super::{Form, PackedCache, PackedFile, Part};
use crate::error::Result;

/// The place for the packed files of one model. By default there is none.
#[derive(Debug, Default)]
pub(crate) struct PackedModel {
    place: Option<(PackedCache, Source)>,
    name: String,
    warnings: Vec<String>,
}

impl PackedCache {
    /// Returns the place for the model called `name`, whose files look like `seen`. There is none for small models and for
    /// the embedded one.
    pub(crate) fn model(&self, name: &str, seen: Result<Option<Appearance>>, pool: &Pool) -> PackedModel {
        let mut model = PackedModel { name: name.to_owned(), ..PackedModel::default() };
        let find = |seen| Source::find(self.dir(), seen, pool);
        match seen.and_then(|seen| seen.map(find).transpose()) {
            Ok(source) => model.place = source.map(|source| (self.clone(), source)),
            Err(error) => model.warnings.push(not_kept(&error)),
        }
        model
    }
}

impl PackedModel {
    /// Calls `make` with the packed file in `form`, or without it if there is no usable one.
    ///
    /// In the second case it writes the `parts` of the result to a new packed file. If the model's files have changed since
    /// they were looked at, it neither uses nor writes one.
    ///
    /// # Errors
    /// Fails if `make` without a packed file does. Problems of packed files become warnings.
    pub(crate) fn load<T>(
        &mut self,
        form: Form,
        pool: &Pool,
        make: impl Fn(Option<&PackedFile>) -> Result<T>,
        parts: impl Fn(&T) -> Vec<Part<'_>>,
    ) -> Result<T> {
        let Some((cache, source)) = &mut self.place else { return make(None) };
        match cache.open(source, form).and_then(|file| file.map(|file| make(Some(&file))).transpose()) {
            Ok(Some(made)) if source.is_unchanged() => {
                source.note();
                return Ok(made);
            }
            Ok(_) => {}
            Err(error) => self.warnings.push(error.to_string()),
        }
        let made = make(None)?;
        if !source.is_unchanged() {
            self.warnings.push(not_kept(&"the model's files changed while they were read"));
            self.place = None;
        } else if let Err(error) = cache.write(source, form, &self.name, &parts(&made), pool) {
            self.warnings.push(not_kept(&error));
        }
        Ok(made)
    }

    /// Returns the warnings, a line each.
    pub(crate) fn warnings(self) -> Vec<String> {
        self.warnings
    }
}

fn not_kept(problem: &dyn std::fmt::Display) -> String {
    format!("the packed model is not kept for the next time: {problem}")
}
