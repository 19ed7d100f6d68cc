//! HTML: escapes and the filters that make attributes and addresses. Templates of models hardly need it.

use minijinja::{Error, State, Value};

use super::arguments::Arguments;
use super::printing::to_text;
use super::value::{error, items, pairs};

type Outcome = Result<Value, Error>;

/// Escapes what is special in HTML, as markupsafe does.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

pub(super) fn escape_filter(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("s")?;
    if value.is_safe() {
        return Ok(value);
    }
    Ok(Value::from_safe_string(escape(&to_text(state, &value)?)))
}

pub(super) fn forceescape(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let text = to_text(state, &arguments.required("value")?)?;
    Ok(Value::from_safe_string(escape(&text)))
}

pub(super) fn safe(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    Ok(Value::from_safe_string(to_text(state, &arguments.required("value")?)?))
}

pub(super) fn striptags(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let text = to_text(state, &arguments.required("value")?)?;
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('<') {
        let end = if rest[at..].starts_with("<!--") { "-->" } else { ">" };
        let Some(close) = rest[at..].find(end) else { break };
        plain.push_str(&rest[..at]);
        rest = &rest[at + close + end.len()..];
    }
    plain.push_str(rest);
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut text = words.join(" ");
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", "\u{a0}"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    Ok(Value::from(text))
}

pub(super) fn xmlattr(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("d")?;
    let space = arguments.flag("autospace", true)?;
    let pairs = pairs(&value).ok_or_else(|| error("xmlattr needs a dict"))?;
    let mut attributes = Vec::new();
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_none() && !value.is_undefined()) {
        let key = to_text(state, key)?;
        if key.contains(|c: char| c.is_whitespace() || "/>=".contains(c)) {
            return Err(error(format!("Invalid character in attribute name: '{key}'")));
        }
        let text = to_text(state, value)?;
        let text = if value.is_safe() { text } else { escape(&text) };
        attributes.push(format!("{}=\"{text}\"", escape(&key)));
    }
    let text = attributes.join(" ");
    Ok(Value::from(if space && !text.is_empty() { format!(" {text}") } else { text }))
}

pub(super) fn urlencode(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("value")?;
    if value.as_str().is_some() || value.as_object().is_none() {
        return Ok(Value::from(quote(&to_text(state, &value)?, false)));
    }
    let pairs = match pairs(&value) {
        Some(pairs) => pairs,
        None => items(state, &value)?
            .iter()
            .map(|pair| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?)))
            .collect::<Result<Vec<_>, Error>>()?,
    };
    let mut parts = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        parts.push(format!(
            "{}={}",
            quote(&to_text(state, &key)?, true),
            quote(&to_text(state, &value)?, true)
        ));
    }
    Ok(Value::from(parts.join("&")))
}

/// Quotes a text for an address, or for a part of a query.
fn quote(text: &str, query: bool) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' if query => quoted.push('+'),
            b'/' if !query => quoted.push('/'),
            byte if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) => quoted.push(char::from(byte)),
            byte => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}
