//! Models as a server gets them: their names, and their parts of the memory for keys and values.

use std::collections::HashSet;
use std::io;

use tercet_engine::{Error, SchedulerOptions, Session};

/// A model with the names by which clients find it.
#[derive(Debug)]
pub struct ServedModel {
    pub(crate) session: Session,
    /// It is listed by the first.
    pub(crate) names: Vec<String>,
}

impl ServedModel {
    /// Replaces the model's own name, unless there are no `names`. It is listed by the first of them.
    pub fn named(mut self, names: impl IntoIterator<Item = String>) -> Self {
        let mut names = names.into_iter().peekable();
        if names.peek().is_some() {
            self.names = names.collect();
        }
        self
    }

    /// Returns the name by which it is listed.
    pub fn name(&self) -> &str {
        &self.names[0]
    }
}

impl From<Session> for ServedModel {
    fn from(session: Session) -> Self {
        ServedModel { names: vec![session.model().name().to_owned()], session }
    }
}

/// # Errors
/// Fails if two models share a name.
pub(crate) fn check_names(models: &[ServedModel]) -> io::Result<()> {
    let mut seen = HashSet::new();
    match models.iter().flat_map(|model| &model.names).find(|name| !seen.insert(name.as_str())) {
        Some(name) => {
            let problem = format!("{name:?} stands for two models");
            Err(refusal(Error::bad_argument("alias", problem, "give each model a name of its own")))
        }
        None => Ok(()),
    }
}

/// Returns the error of a server that cannot start with its options.
pub(crate) fn refusal(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Divides `kv_bytes`, or else half of the free memory, among models. A model alone may take more than that half.
pub(crate) fn divide(models: &[ServedModel], kv_bytes: Option<u64>) -> Vec<Option<u64>> {
    match models {
        [_] => vec![kv_bytes],
        models => {
            let bytes = kv_bytes.unwrap_or_else(SchedulerOptions::default_kv_bytes);
            let weights: Vec<u64> = models.iter().map(|model| model.session.model().cache_bytes(1)).collect();
            proportional(bytes, &weights).into_iter().map(Some).collect()
        }
    }
}

/// Divides `bytes` by the bytes that a token takes, so that every model has room for as many tokens.
fn proportional(bytes: u64, weights: &[u64]) -> Vec<u64> {
    let total = weights.iter().map(|&weight| u128::from(weight)).sum::<u128>().max(1);
    let part = |&weight: &u64| u128::from(bytes) * u128::from(weight) / total;
    weights.iter().map(part).map(|part| u64::try_from(part).unwrap_or(u64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_get_room_for_equally_many_tokens() {
        assert_eq!(proportional(1000, &[1, 3]), [250, 750]);
        assert_eq!(proportional(u64::MAX, &[u64::MAX, u64::MAX]), [u64::MAX / 2; 2]);
        assert_eq!(proportional(10, &[0, 0]), [0, 0]);
    }
}
