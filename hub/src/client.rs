//! Requests to the hub, over HTTP.

use std::time::Duration;

use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

/// The reason for a failed request.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server answers with an error: its status, and the hub's name for the error or an empty
    /// text.
    Status(u16, String),
    /// The server cannot be reached, or the connection broke.
    Network(String),
}

/// An HTTP client of one hub.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    base: String,
    token: Option<String>,
}

/// Largest number of redirections to follow.
const MOST_REDIRECTS: usize = 10;
/// Longest silence of a connection.
const SILENCE: Duration = Duration::from_secs(30);

impl Client {
    /// Returns a client of the hub at `endpoint`, or `None` if this is not an http address.
    pub(super) fn new(endpoint: &str, token: Option<String>) -> Option<Self> {
        let base = endpoint.trim_end_matches('/').to_owned();
        let endpoint: Uri = base.parse().ok()?;
        if !matches!(endpoint.scheme_str(), Some("http" | "https")) || endpoint.authority().is_none() {
            return None;
        }
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("tercet/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE));
        Some(Client { agent: Agent::new_with_config(config.build()), endpoint, base, token })
    }

    /// Returns the hub's address, without a slash at the end.
    pub(super) fn endpoint(&self) -> &str {
        &self.base
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Requests `path` of the hub, which starts with a slash. Asks for the bytes from `start` on,
    /// but a server may send all.
    pub(super) fn get(&self, path: &str, start: u64) -> Result<Response<Body>, Failure> {
        let network = |problem: String| Failure::Network(problem);
        let mut uri: Uri =
            format!("{}{path}", self.base).parse().map_err(|_| network("no address".into()))?;
        for _ in 0..MOST_REDIRECTS {
            let mut request = self.agent.get(&uri);
            if let Some(token) = self.token.as_ref().filter(|_| same_origin(&uri, &self.endpoint)) {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            if start > 0 {
                request = request.header("Range", format!("bytes={start}-"));
            }
            let response = request.call().map_err(|e| network(e.to_string()))?;
            match response.status().as_u16() {
                200..=299 => return Ok(response),
                301 | 302 | 303 | 307 | 308 => uri = redirected(&uri, response.headers())?,
                status => return Err(Failure::Status(status, header(response.headers(), "x-error-code"))),
            }
        }
        Err(network("too many redirections".into()))
    }
}

/// Returns the value of a header, or an empty text.
pub(super) fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Returns true if both addresses have the same origin. The token goes only to the hub, not to
/// servers that it redirects to.
fn same_origin(a: &Uri, b: &Uri) -> bool {
    let authority = |uri: &Uri| uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    a.scheme() == b.scheme() && authority(a) == authority(b)
}

fn redirected(from: &Uri, headers: &HeaderMap) -> Result<Uri, Failure> {
    let location = header(headers, "location");
    let (scheme, authority) = (from.scheme_str().unwrap_or_default(), from.authority());
    let host = authority.map_or("", |authority| authority.as_str());
    let address = match () {
        () if location.starts_with("//") => format!("{scheme}:{location}"),
        () if location.starts_with('/') => format!("{scheme}://{host}{location}"),
        () => location,
    };
    let uri = address.parse::<Uri>().ok().filter(|uri| uri.authority().is_some());
    let downgrade = |uri: &Uri| scheme == "https" && uri.scheme_str() != Some("https");
    uri.filter(|uri| !downgrade(uri))
        .ok_or_else(|| Failure::Network(format!("{host} redirects to {address:?}, which is not followed")))
}
