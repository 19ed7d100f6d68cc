//! One line in the log for each request, when it ends.
//!
//! The line has no path of a file, key, prompt or text; [`ServerOptions::log_prompts`](crate::ServerOptions) adds the last two.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};

use crate::State;
use crate::error::ApiError;
use crate::ids::new_id;
use crate::record::Record;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client.
const LONGEST_ID: usize = 64;

/// Gives the request an id, and logs it once its answer is sent or the client is gone.
pub(crate) async fn log(Extract(state): Extract<Arc<State>>, request: Request, next: Next) -> Response {
    let mut line = Line::new(&request, &state);
    let mut response = Arc::clone(&line.record).scope(next.run(request)).await;
    line.status = Some(response.status());
    line.error = response.extensions().get().map(ApiError::kind);
    if let Ok(id) = HeaderValue::from_str(&line.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.map(|body| Body::new(Logged { body, line }))
}

/// Returns the client's id of a request if it may appear in a log, or else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        (1..=LONGEST_ID).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_plain);
    given.map(str::to_owned).or_else(|| new_id("").ok()).unwrap_or_default()
}

/// The line of a request. It is written when the value is dropped.
struct Line {
    id: String,
    method: Method,
    /// None if no route matches.
    route: Option<MatchedPath>,
    arrival: Instant,
    record: Arc<Record>,
    state: Arc<State>,
    /// None if the client was gone before there was an answer.
    status: Option<StatusCode>,
    error: Option<&'static str>,
    /// The whole answer was sent.
    is_sent: bool,
}

impl Line {
    fn new(request: &Request, state: &Arc<State>) -> Self {
        Line {
            id: request_id(request.headers()),
            method: request.method().clone(),
            route: request.extensions().get().cloned(),
            arrival: Instant::now(),
            record: Record::new(state.log_prompts),
            state: Arc::clone(state),
            status: None,
            error: None,
            is_sent: false,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let facts = self.record.facts();
        if facts.model.is_some() {
            self.state.drain.count();
        }
        let route = self.route.as_ref().map_or("unknown", MatchedPath::as_str);
        let outcome = if self.is_sent { facts.outcome } else { Some("cancelled") };
        macro_rules! write_line {
            ($level:ident) => {
                tracing::$level!(
                    target: "tercet::request",
                    id = self.id,
                    method = self.method.as_str(),
                    route,
                    status = self.status.map(|status| status.as_u16()),
                    outcome,
                    error = self.error,
                    model = facts.model,
                    prompt_tokens = facts.prompt_tokens,
                    cached_tokens = facts.cached_tokens,
                    generated_tokens = facts.generated_tokens,
                    first_token_seconds = facts.first_token(self.arrival).map(|time| time.as_secs_f64()),
                    tokens_per_second = facts.tokens_per_second(),
                    seconds = self.arrival.elapsed().as_secs_f64(),
                    prompt = facts.prompt,
                    text = facts.text,
                )
            };
        }
        // Probes ask every few seconds.
        match route {
            "/health" | "/v1/health" | "/ready" | "/metrics" => write_line!(debug),
            _ => write_line!(info),
        }
    }
}

/// The body of an answer, with the line that is written when it ends.
struct Logged {
    body: Body,
    line: Line,
}

impl HttpBody for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.line.is_sent |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        // A body of known length is not asked for its end.
        self.line.is_sent |= self.body.is_end_stream();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(given: &str) -> String {
        request_id(&HeaderMap::from_iter([(REQUEST_ID, given.parse().unwrap())]))
    }

    #[test]
    fn only_plain_ids_are_taken_from_clients() {
        assert_eq!(id("7f.A-b_9"), "7f.A-b_9");
        for odd in ["", "a b", "a\"b", "a=b", &"a".repeat(LONGEST_ID + 1)] {
            let id = id(odd);
            assert!(id != odd && id.len() == 16, "{id}");
        }
        assert_ne!(id(""), id(""));
    }
}
