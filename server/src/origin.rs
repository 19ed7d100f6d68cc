//! Access of web pages, by the origin of the page and the name that it calls the server.
//!
//! A browser lets any page send requests to this machine. It tells where the page comes from (`Origin`), and by which name it
//! found the server (`Host`). A page whose name was rebound to this machine's address betrays itself by that name.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::State;
use crate::error::{ApiError, Result};

/// An origin whose pages may ask, such as `https://chat.example.org`, or `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// The error of a text that is no origin.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?} is no origin: write scheme and host, such as https://chat.example.org, or * for all")]
pub struct InvalidOrigin(String);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let origin = Origin(text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase());
        match origin.0 == "*" || origin.host().is_some() {
            true => Ok(origin),
            false => Err(InvalidOrigin(text.to_owned())),
        }
    }
}

impl Origin {
    fn matches(&self, origin: &str) -> bool {
        self.0 == "*" || self.0.eq_ignore_ascii_case(origin)
    }

    fn host(&self) -> Option<String> {
        host(authority(&self.0)?)
    }
}

/// The names and origins that a server answers.
#[derive(Debug)]
pub(crate) struct Origins {
    /// True if only this machine reaches the server, so that its names are known.
    loopback: bool,
    allowed: Vec<Origin>,
}

impl Origins {
    pub(crate) fn new(address: IpAddr, allowed: &[Origin]) -> Self {
        Origins { loopback: address.is_loopback(), allowed: allowed.to_vec() }
    }

    /// Lets pages of allowed origins read answers. Others cannot even send requests that a form could not.
    pub(crate) fn cors(&self) -> CorsLayer {
        let allowed = self.allowed.clone();
        let matches = move |origin: &HeaderValue| {
            origin.to_str().is_ok_and(|origin| allowed.iter().any(|allowed| allowed.matches(origin)))
        };
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| matches(origin)))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
    }

    /// Checks the headers of a request. Programs other than browsers send no `Origin`.
    ///
    /// # Errors
    /// Fails with status 403 if a name or an origin is foreign.
    fn admit(&self, headers: &HeaderMap) -> Result<()> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let named = headers.get(header::HOST).map(text);
        if let Some(name) = named.as_deref().filter(|name| !self.answers_to(name)) {
            return Err(ApiError::forbidden(format!(
                "{name:?} is no name of this machine; `tercet serve --cors https://{name}` allows it"
            )));
        }
        match headers.get(header::ORIGIN).map(text) {
            Some(origin) if !self.allows(&origin, named.as_deref()) => Err(ApiError::forbidden(format!(
                "pages of {origin} may not ask this server; `tercet serve --cors {origin}` allows them"
            ))),
            _ => Ok(()),
        }
    }

    fn answers_to(&self, name: &str) -> bool {
        let Some(host) = host(name) else { return false };
        let allowed = |origin: &Origin| origin.0 == "*" || origin.host().as_ref() == Some(&host);
        !self.loopback || is_loopback(&host) || self.allowed.iter().any(allowed)
    }

    /// Returns true for an allowed origin, and for the server's own pages.
    fn allows(&self, origin: &str, named: Option<&str>) -> bool {
        let own =
            authority(origin).is_some_and(|own| named.is_some_and(|name| own.eq_ignore_ascii_case(name)));
        own || self.allowed.iter().any(|allowed| allowed.matches(origin))
    }
}

/// Lets requests of known names and origins pass.
pub(crate) async fn check(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    match state.origins.admit(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Returns host and port of an origin.
fn authority(origin: &str) -> Option<&str> {
    origin.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).map(|(_, authority)| authority)
}

/// Returns the host of `authority` in lower case, without its port, brackets and final dot.
fn host(authority: &str) -> Option<String> {
    let authority =
        Authority::from_str(authority).ok().filter(|authority| !authority.as_str().contains('@'))?;
    let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
    Some(host.strip_suffix('.').map(str::to_owned).unwrap_or(host)).filter(|host| !host.is_empty())
}

/// Names that end in `.localhost` are reserved for this machine (RFC 6761).
fn is_loopback(host: &str) -> bool {
    let address = host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    address || host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(address: &str, allowed: &[&str]) -> Origins {
        let allowed: Vec<Origin> = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
        Origins::new(address.parse().unwrap(), &allowed)
    }

    fn admits(origins: &Origins, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
        headers.extend(origin.map(|origin| (header::ORIGIN, origin.parse().unwrap())));
        origins.admit(&headers).is_ok()
    }

    #[test]
    fn a_server_on_loopback_answers_to_loopback_names() {
        let origins = origins("127.0.0.1", &[]);
        for name in [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
            "a.localhost",
            "localhost.",
        ] {
            assert!(admits(&origins, name, None), "{name}");
        }
        for name in [
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "192.168.0.1",
            "0.0.0.0",
            "a@localhost",
            "",
        ] {
            assert!(!admits(&origins, name, None), "{name}");
        }
    }

    #[test]
    fn a_server_on_the_network_has_names_that_it_does_not_know() {
        assert!(admits(&origins("0.0.0.0", &[]), "tercet.example:8080", None));
    }

    #[test]
    fn only_own_and_allowed_pages_may_ask() {
        let own = origins("::1", &[]);
        assert!(admits(&own, "localhost:8080", Some("http://localhost:8080")));
        for foreign in ["http://localhost:3000", "http://localhost", "https://evil.example", "null"] {
            assert!(!admits(&own, "localhost:8080", Some(foreign)), "{foreign}");
        }
        let allowing = origins("127.0.0.1", &["https://Chat.example/", "http://localhost:3000"]);
        for allowed in ["https://chat.example", "http://localhost:3000"] {
            assert!(admits(&allowing, "localhost:8080", Some(allowed)), "{allowed}");
        }
        for foreign in
            ["http://chat.example", "https://chat.example:444", "https://chat.example.evil", "null"]
        {
            assert!(!admits(&allowing, "localhost:8080", Some(foreign)), "{foreign}");
        }
        assert!(admits(&origins("127.0.0.1", &["*"]), "localhost", Some("null")));
    }

    #[test]
    fn an_allowed_page_may_be_served_through_a_proxy() {
        let origins = origins("127.0.0.1", &["https://chat.example"]);
        assert!(admits(&origins, "chat.example", Some("https://chat.example")));
        assert!(!admits(&origins, "other.example", Some("https://chat.example")));
    }

    #[test]
    fn origins_have_a_scheme_and_a_host_alone() {
        for wrong in [
            "",
            "chat.example",
            "https://",
            "://chat.example",
            "https://a/b",
            "https://a b",
            "https://u@a",
            "null",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
