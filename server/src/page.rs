//! The page at `/`: a chat in the browser, as one document without outside requests.

use std::sync::{Arc, LazyLock};

use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::State;
use crate::error::Result;
use crate::openapi::{Answer, Schemas};

const DOCUMENT: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");

/// One script: each part has one subject and uses the names of the parts before it. Functions may name later ones.
const SCRIPT: &str = concat!(
    include_str!("page/dom.js"),
    include_str!("page/store.js"),
    include_str!("page/conversation.js"),
    include_str!("page/markdown.js"),
    include_str!("page/api.js"),
    include_str!("page/answer.js"),
    include_str!("page/tokens.js"),
    include_str!("page/forms.js"),
    include_str!("page/message.js"),
    include_str!("page/chat.js"),
    include_str!("page/sidebar.js"),
    include_str!("page/settings.js"),
    include_str!("page/model.js"),
    include_str!("page/main.js"),
);

static PAGE: LazyLock<Page> = LazyLock::new(Page::new);

struct Page {
    html: String,
    /// The Content-Security-Policy.
    policy: String,
    etag: String,
}

impl Page {
    fn new() -> Self {
        let html = DOCUMENT.replace("/* style */", STYLE).replace("/* script */", SCRIPT);
        // Only our own style and script run, and they reach only this server. No text becomes HTML.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            digest(STYLE),
            digest(SCRIPT)
        );
        let etag = format!("\"{}\"", digest(&html));
        Page { html, policy, etag }
    }
}

fn digest(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}

/// The page, unless the browser has it.
pub(crate) struct Shown {
    is_known: bool,
}

/// Answers with the page, or with status 304 if the browser has it.
pub(crate) async fn show(_: Extract<Arc<State>>, headers: HeaderMap) -> Result<Shown> {
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|etag| etag == PAGE.etag.as_str());
    Ok(Shown { is_known })
}

impl IntoResponse for Shown {
    fn into_response(self) -> Response {
        let page = &*PAGE;
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
            (header::ETAG, &page.etag),
            (header::CONTENT_SECURITY_POLICY, &page.policy),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        match self.is_known {
            true => (StatusCode::NOT_MODIFIED, headers).into_response(),
            false => (headers, page.html.as_str()).into_response(),
        }
    }
}

impl Answer for Shown {
    fn content(_: &mut Schemas) -> Map<String, Value> {
        Map::from_iter([("text/html".to_owned(), json!({ "schema": { "type": "string" } }))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_holds_style_and_script_once_and_asks_for_nothing_outside() {
        let Page { html, .. } = &*PAGE;
        assert_eq!(html.matches(STYLE).count(), 1);
        assert_eq!(html.matches(SCRIPT).count(), 1);
        assert!(!SCRIPT.contains("</script"), "the script would end early");
        for outside in ["src=", "@import", "url(", "innerHTML", "<link rel=\"stylesheet\""] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
