//! Who may ask: API keys.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::{fs, io};

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use tercet_engine::Error;

use crate::State;
use crate::error::ApiError;
use crate::served::refusal;

/// The keys that open the server.
pub(crate) struct Keys {
    given: Vec<String>,
    /// A file with more keys, one a line.
    file: Option<PathBuf>,
    all: RwLock<Vec<Vec<u8>>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.all().len())
    }
}

impl Keys {
    /// # Errors
    /// Fails if the file cannot be read or holds no key.
    pub(crate) fn new(given: &[String], file: Option<&Path>) -> io::Result<Self> {
        let keys =
            Keys { given: given.to_vec(), file: file.map(Path::to_owned), all: RwLock::new(Vec::new()) };
        keys.reload()?;
        Ok(keys)
    }

    #[cfg(unix)]
    pub(crate) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file again. The keys stay as they are if it cannot be read.
    ///
    /// # Errors
    /// Fails if the file cannot be read or holds no key.
    pub(crate) fn reload(&self) -> io::Result<()> {
        let mut all = self.given.clone();
        if let Some(file) = &self.file {
            all.extend(read(file)?);
        }
        let all = all.into_iter().map(String::into_bytes).collect();
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    fn all(&self) -> RwLockReadGuard<'_, Vec<Vec<u8>>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if `headers` bring a key, or none is needed. The time tells nothing about the keys but their length.
    fn admit(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let bearer = bearer.and_then(|value| value.strip_prefix(b"Bearer "));
        let given = bearer.or_else(|| headers.get("x-api-key").map(|value| value.as_bytes()));
        let all = self.all();
        let matches = |given: &[u8]| all.iter().fold(0, |any, key| any | key.ct_eq(given).unwrap_u8()) == 1;
        all.is_empty() || given.is_some_and(matches)
    }
}

/// Reads keys, one a line.
fn read(file: &Path) -> io::Result<Vec<String>> {
    let refused = |problem: String, remedy| refusal(Error::bad_argument("api_key_file", problem, remedy));
    let text = fs::read_to_string(file).map_err(|error| {
        refused(format!("{} cannot be read: {error}", file.display()), "give another file")
    })?;
    let keys: Vec<String> =
        text.lines().map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect();
    // A server without keys lets everybody in.
    match keys.is_empty() {
        true => Err(refused(format!("{} holds no key", file.display()), "write one a line")),
        false => Ok(keys),
    }
}

/// Lets requests with a key pass.
pub(crate) async fn check(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    match state.keys.admit(request.headers()) {
        true => next.run(request).await,
        false => ApiError::unauthorized().into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(keys: &[&str], header: (&'static str, &'static str)) -> bool {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        let headers = HeaderMap::from_iter([(header.0.parse().unwrap(), header.1.parse().unwrap())]);
        Keys::new(&keys, None).unwrap().admit(&headers)
    }

    #[test]
    fn every_key_opens_and_nothing_else_does() {
        let keys = ["first", "second"];
        assert!(admits(&keys, ("authorization", "Bearer second")));
        assert!(admits(&keys, ("x-api-key", "first")));
        for wrong in ["Bearer third", "Bearer firs", "Bearer first ", "first", "Bearer "] {
            assert!(!admits(&keys, ("authorization", wrong)), "{wrong}");
        }
        assert!(admits(&[], ("accept", "*/*")));
    }
}
