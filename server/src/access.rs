//! Who may ask: API keys.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use crate::State;
use crate::error::ApiError;

/// The keys that open the server.
#[derive(Clone, Default)]
pub(crate) struct Keys(Vec<Vec<u8>>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Keys {
    pub(crate) fn new(keys: &[String]) -> Self {
        Keys(keys.iter().map(|key| key.clone().into_bytes()).collect())
    }

    /// Returns true if `headers` bring a key, or none is needed. The time tells nothing about the keys but their length.
    fn admit(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let bearer = bearer.and_then(|value| value.strip_prefix(b"Bearer "));
        let given = bearer.or_else(|| headers.get("x-api-key").map(|value| value.as_bytes()));
        let matches =
            |given: &[u8]| self.0.iter().fold(0, |any, key| any | key.ct_eq(given).unwrap_u8()) == 1;
        self.0.is_empty() || given.is_some_and(matches)
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
        Keys::new(&keys).admit(&headers)
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
