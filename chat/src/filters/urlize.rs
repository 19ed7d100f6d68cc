//! The filter that makes links of addresses. Templates of models hardly need it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Error, State, Value};
use regex::Regex;

use crate::arguments::{Arguments, integer};
use crate::markup::escape;
use crate::printing::{Text, to_text};
use crate::unicode::is_space;
use crate::value::{error, items};

/// Addresses with a scheme or `www`, well-known domains, and numbers of hosts; each with an optional port and path.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:(?i-u:https?://|www\.)(?:[\w%-]+\.)*(?:[A-Za-z]{2,63}|(?i-u:xn--)[\w%]{2,59}))",
        r"|(?:(?:[\w%-]{2,63}\.)+(?i-u:com|net|int|edu|gov|org|info|mil))",
        r"|(?:(?i-u:https?://)(?:\d{1,3}(?:\.\d{1,3}){3}",
        r"|\[(?:[\dA-Fa-f]{0,4}:){2}(?:[\dA-Fa-f]{0,4}:?){1,6}\])))",
        r"(?::\d{1,5})?(?:[/?#]\S*)?$",
    ))
});
static EMAIL: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\S+@\w[\w.-]*\.\w+$"));
static SCHEME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\w.+-]{2,}:/{0,2}$"));

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is valid")
}

/// How links are written.
struct Links {
    /// The attributes of a link, with a space before each.
    attributes: String,
    /// Characters of an address that are shown.
    limit: Option<usize>,
    /// Starts of further addresses, such as `ftp://`.
    schemes: Vec<String>,
}

pub(super) fn urlize(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let value = arguments.required("value")?;
    let links = Links::new(state, arguments)?;
    let text = to_text(state, &value)?;
    let escaped = if value.is_safe() { text } else { escape(&text) };
    let mut linked = Text::new(state);
    let mut rest = escaped.as_str();
    while !rest.is_empty() {
        let end = rest.find(is_space).unwrap_or(rest.len());
        links.push_word(&mut linked, &rest[..end])?;
        rest = &rest[end..];
        let space = rest.find(|c| !is_space(c)).unwrap_or(rest.len());
        linked.push(&rest[..space])?;
        rest = &rest[space..];
    }
    match state.auto_escape() {
        AutoEscape::None => Ok(linked.into_value()),
        _ => Ok(Value::from_safe_string(linked.into_string())),
    }
}

impl Links {
    fn new(state: &State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Self, Error> {
        let limit = arguments.given("trim_url_limit")?.map(|limit| integer(&limit)).transpose()?;
        let is_nofollow = arguments.flag("nofollow", false)?;
        let target = arguments.given("target")?.filter(Value::is_true);
        let rel = arguments.given("rel")?.map(|rel| to_text(state, &rel)).transpose()?.unwrap_or_default();
        let schemes = match arguments.given("extra_schemes")? {
            Some(schemes) => items(state, &schemes)?,
            None => Vec::new(),
        };
        let schemes = schemes.iter().map(|scheme| to_text(state, scheme)).collect::<Result<Vec<_>, _>>()?;
        if let Some(scheme) = schemes.iter().find(|scheme| !SCHEME.is_match(scheme)) {
            return Err(error(format!("'{scheme}' is not a valid URI scheme prefix.")));
        }
        let mut relations: BTreeSet<&str> = rel.split(is_space).filter(|part| !part.is_empty()).collect();
        relations.insert("noopener");
        relations.extend(is_nofollow.then_some("nofollow"));
        let relations = relations.into_iter().collect::<Vec<_>>().join(" ");
        let mut attributes = format!(" rel=\"{}\"", escape(&relations));
        if let Some(target) = target {
            attributes += &format!(" target=\"{}\"", escape(&to_text(state, &target)?));
        }
        let limit = limit.map(|limit| usize::try_from(limit.max(0)).unwrap_or(usize::MAX));
        Ok(Links { attributes, limit, schemes })
    }

    /// Writes a word without spaces, as a link if it is an address. Brackets and punctuation around it are no part of it.
    fn push_word(&self, linked: &mut Text, word: &str) -> Result<(), Error> {
        let inside = trimmed_start(word, &["(", "<", "&lt;"]);
        let head = &word[..word.len() - inside.len()];
        let middle = trimmed_end(inside, &[")", ">", ".", ",", "&gt;"]);
        let end = balanced_end(inside, middle.len());
        let (middle, tail) = inside.split_at(end);
        linked.push(head)?;
        self.push_address(linked, middle)?;
        linked.push(tail)
    }

    fn push_address(&self, linked: &mut Text, text: &str) -> Result<(), Error> {
        let attributes = &self.attributes;
        if ADDRESS.is_match(text) {
            let scheme =
                if text.starts_with("https://") || text.starts_with("http://") { "" } else { "https://" };
            let shown = self.shown(text);
            return linked.push(&format!("<a href=\"{scheme}{text}\"{attributes}>{shown}</a>"));
        }
        if let Some(email) = text.strip_prefix("mailto:").filter(|email| EMAIL.is_match(email)) {
            return linked.push(&format!("<a href=\"{text}\">{email}</a>"));
        }
        if !text.starts_with("www.") && !text.starts_with('@') && !text.contains(':') && EMAIL.is_match(text)
        {
            return linked.push(&format!("<a href=\"mailto:{text}\">{text}</a>"));
        }
        match self.schemes.iter().find(|scheme| text.len() > scheme.len() && text.starts_with(*scheme)) {
            Some(_) => linked.push(&format!("<a href=\"{text}\"{attributes}>{text}</a>")),
            None => linked.push(text),
        }
    }

    /// Cuts an address to the limit.
    fn shown(&self, address: &str) -> String {
        let cut = self.limit.and_then(|limit| address.char_indices().nth(limit));
        cut.map_or_else(|| address.to_owned(), |(at, _)| format!("{}...", &address[..at]))
    }
}

fn trimmed_start<'a>(mut text: &'a str, marks: &[&str]) -> &'a str {
    while let Some(rest) = marks.iter().find_map(|mark| text.strip_prefix(mark)) {
        text = rest;
    }
    text
}

fn trimmed_end<'a>(mut text: &'a str, marks: &[&str]) -> &'a str {
    while let Some(rest) = marks.iter().find_map(|mark| text.strip_suffix(mark)) {
        text = rest;
    }
    text
}

/// Moves the end of an address over closing brackets that are open in it.
fn balanced_end(text: &str, mut end: usize) -> usize {
    for (open, close) in [("(", ")"), ("<", ">"), ("&lt;", "&gt;")] {
        let opened = text[..end].matches(open).count();
        if opened > text[..end].matches(close).count() {
            let closes = text[end..].match_indices(close).take(opened).last();
            end += closes.map_or(0, |(at, close)| at + close.len());
        }
    }
    end
}
