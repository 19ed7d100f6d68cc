//! Requests to the hub, over HTTP.

use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tercet_formats::{read_regular, without_password};
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
    /// The request cannot succeed by another attempt: the server is too slow or sends something else, or the token is
    /// unreadable.
    Hopeless(String),
}

/// The source of the access token. Its file is read when the hub is asked, not before.
#[derive(Debug, Default)]
pub(super) struct Token {
    pub(super) value: Option<String>,
    pub(super) file: Option<PathBuf>,
    read: OnceLock<Option<String>>,
}

impl Token {
    pub(super) fn new(value: Option<String>, file: Option<PathBuf>) -> Self {
        Token { value, file, read: OnceLock::new() }
    }

    fn get(&self) -> Result<Option<&str>, Failure> {
        /// Tokens have some dozens of bytes.
        const LONGEST: u64 = 1 << 14;
        if let Some(token) = &self.value {
            return Ok(Some(token));
        }
        if self.read.get().is_none() {
            let text = match self.file.as_ref().map(|path| (path, read_regular(path, LONGEST))) {
                Some((path, Err(e))) if e.kind() != std::io::ErrorKind::NotFound => {
                    let problem = format!("the token in {} cannot be read: {e}", path.display());
                    return Err(Failure::Hopeless(problem));
                }
                Some((_, Ok(text))) => String::from_utf8_lossy(&text).trim().to_owned(),
                _ => String::new(),
            };
            let _ = self.read.set(Some(text).filter(|text| !text.is_empty()));
        }
        Ok(self.read.get().and_then(Option::as_deref))
    }
}

/// An HTTP client of one hub.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    base: String,
    /// The address in messages.
    shown: String,
    token: Token,
    patience: Duration,
}

/// Largest number of redirections to follow.
const MOST_REDIRECTS: usize = 10;
/// Longest silence of a connection, if the options name none.
const SILENCE: Duration = Duration::from_secs(30);

impl Client {
    /// Returns a client of the hub at `endpoint`, or `None` if this is not an http address.
    pub(super) fn new(endpoint: &str, token: Token, patience: Option<Duration>) -> Option<Self> {
        let base = endpoint.trim_end_matches('/').to_owned();
        let (shown, patience) = (without_password(&base), patience.unwrap_or(SILENCE));
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
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .timeout_per_write(Some(patience));
        let agent = Agent::new_with_config(config.build());
        Some(Client { agent, endpoint, base, shown, token, patience })
    }

    /// Returns the hub's address for messages: without a slash at the end, and without a password.
    pub(super) fn endpoint(&self) -> &str {
        &self.shown
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.get().is_ok_and(|token| token.is_some())
    }

    /// Returns the longest time without progress.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Requests `path` of the hub, which starts with a slash. Asks for the bytes from `start` on,
    /// but a server may send all.
    pub(super) fn get(&self, path: &str, start: u64) -> Result<Response<Body>, Failure> {
        self.request(path, start).map_err(|failure| match failure {
            Failure::Network(problem) => Failure::Network(self.without_secrets(&problem)),
            other => other,
        })
    }

    fn request(&self, path: &str, start: u64) -> Result<Response<Body>, Failure> {
        let network = |problem: String| Failure::Network(problem);
        let token = self.token.get()?;
        let mut uri: Uri =
            format!("{}{path}", self.base).parse().map_err(|_| network("no address".into()))?;
        for _ in 0..MOST_REDIRECTS {
            let mut request = self.agent.get(&uri);
            if let Some(token) = token.filter(|_| same_origin(&uri, &self.endpoint)) {
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

    /// Removes the endpoint's name and password, and the token, from a message.
    fn without_secrets(&self, message: &str) -> String {
        let user = self.base.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
        let secrets = [user.map(|(user, _)| user), self.token.get().ok().flatten()];
        let secrets = secrets.into_iter().flatten().filter(|secret| !secret.is_empty());
        secrets.fold(message.to_owned(), |message, secret| message.replace(secret, "***"))
    }

    /// Hands on the bytes of `body` in pieces, until `take` returns false or the end.
    pub(super) fn read<E: From<Failure>>(
        &self,
        body: &mut impl Read,
        mut take: impl FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        /// Bytes in a second that count as progress.
        const LEAST: f64 = 1000.0;
        let (mut buffer, mut since, mut bytes) = (vec![0; 1 << 18], Instant::now(), 0);
        loop {
            let n =
                body.read(&mut buffer).map_err(|e| Failure::Network(self.without_secrets(&e.to_string())))?;
            if n == 0 || !take(&buffer[..n])? {
                return Ok(());
            }
            bytes += n;
            let elapsed = since.elapsed();
            if elapsed >= self.patience {
                if (bytes as f64) < LEAST * elapsed.as_secs_f64() {
                    let seconds = elapsed.as_secs();
                    return Err(Failure::Hopeless(format!("only {bytes} bytes came in {seconds} s")).into());
                }
                (since, bytes) = (Instant::now(), 0);
            }
        }
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
    uri.filter(|uri| !downgrade(uri)).ok_or_else(|| {
        // What follows a question mark may grant access.
        let shown = without_password(address.split('?').next().unwrap_or_default());
        Failure::Network(format!("{host} redirects to {shown:?}, which is not followed"))
    })
}
