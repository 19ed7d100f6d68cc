//! Filters of text.

use minijinja::{Error, State, Value};

use crate::arguments::{Arguments, integer};
use crate::format as formatting;
use crate::methods::{padding, splitting, strings};
use crate::printing::{Text, to_text};
use crate::unicode::{self, is_space};
use crate::value::{Kind, dict, error, sequence, type_name};
use crate::{pretty, wrap};

type Outcome = Result<Value, Error>;

/// Returns the text that a filter is applied to. Other values are printed.
fn subject(state: &State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<String, Error> {
    to_text(state, &arguments.required("s")?)
}

pub(super) fn upper(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    Ok(Value::from(subject(state, arguments)?.to_uppercase()))
}

pub(super) fn lower(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    Ok(Value::from(subject(state, arguments)?.to_lowercase()))
}

pub(super) fn capitalize(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    Ok(Value::from(unicode::capitalize(&subject(state, arguments)?)))
}

/// Puts the first letter of every word in upper case. Words start after spaces, hyphens and opening brackets.
pub(super) fn title(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let mut titled = String::new();
    let mut starts = true;
    for c in subject(state, arguments)?.chars() {
        if starts {
            titled.extend(c.to_uppercase());
        } else {
            titled.extend(c.to_lowercase());
        }
        starts = is_space(c) || "-({[<".contains(c);
    }
    Ok(Value::from(titled))
}

pub(super) fn center(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let text = subject(state, arguments)?;
    padding::center(state, &text, arguments.integer("width", 80)?)
}

pub(super) fn trim(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let text = subject(state, arguments)?;
    let characters = arguments.given("chars")?;
    let characters =
        characters.as_ref().map(|value| value.as_str().ok_or_else(|| error("chars must be a string")));
    let characters = characters.transpose()?;
    let drop = |c: char| characters.map_or_else(|| is_space(c), |characters| characters.contains(c));
    Ok(Value::from(text.trim_matches(drop)))
}

pub(super) fn string(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("object")?;
    if value.as_str().is_some() {
        return Ok(value);
    }
    Ok(Value::from(to_text(state, &value)?))
}

pub(super) fn replace(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let text = subject(state, arguments)?;
    let (old, new) = (arguments.required("old")?, arguments.required("new")?);
    let count = match arguments.given("count")? {
        Some(count) => integer(&count)?,
        None => -1,
    };
    strings::replace(state, &text, &to_text(state, &old)?, &to_text(state, &new)?, count)
}

/// `text | format(…)` is `text % …`.
pub(super) fn format(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let template = Value::from(subject(state, arguments)?);
    let (values, named) = (arguments.rest(), arguments.rest_named());
    let values = match (values, named.is_empty()) {
        (values, true) => sequence(state, Kind::Tuple, values.to_vec())?,
        ([], false) => dict(state, named.into_iter().map(|(key, value)| (Value::from(key), value)))?,
        _ => return Err(error("can't handle positional and keyword arguments at the same time")),
    };
    formatting::percent(state, &template, &values)
}

pub(super) fn indent(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let text = subject(state, arguments)? + "\n";
    let width = arguments.or("width", 4)?;
    let first = arguments.flag("first", false)?;
    let blank = arguments.flag("blank", false)?;
    let mut indention = Text::new(state);
    match width.as_str() {
        Some(indent) => indention.push(indent)?,
        None => indention.repeat(" ", usize::try_from(integer(&width)?.max(0)).unwrap_or(usize::MAX))?,
    }
    let mut indented = Text::new(state);
    for (at, line) in splitting::split_lines(&text, false).into_iter().enumerate() {
        indented.push(if at == 0 { "" } else { "\n" })?;
        if at == 0 && first || at > 0 && (blank || !line.is_empty()) {
            indented.push(indention.as_str())?;
        }
        indented.push(line)?;
    }
    Ok(indented.into_value())
}

pub(super) fn truncate(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("s")?;
    let text = to_text(state, &value)?;
    let length = arguments.integer("length", 255)?;
    let kill_words = arguments.flag("killwords", false)?;
    let end = arguments.text_or("end", "...")?;
    let leeway = match arguments.given("leeway")? {
        Some(leeway) => integer(&leeway)?,
        None => 5,
    };
    let end_length = end.chars().count() as i128;
    if length < end_length {
        return Err(error(format!("expected length >= {end_length}, got {length}")));
    }
    if leeway < 0 {
        return Err(error(format!("expected leeway >= 0, got {leeway}")));
    }
    let is_text = value.as_str().is_some();
    let len = if is_text || value.is_undefined() { Some(text.chars().count()) } else { value.len() };
    let len = len.ok_or_else(|| error(format!("object of type '{}' has no len()", type_name(&value))))?;
    if len as i128 <= length.saturating_add(leeway) {
        return Ok(value);
    }
    if !is_text {
        return Err(error(format!("a '{}' cannot be truncated", type_name(&value))));
    }
    let keep = usize::try_from(length - end_length).unwrap_or(usize::MAX);
    let mut kept: String = text.chars().take(keep).collect();
    if !kill_words && let Some(at) = kept.rfind(' ') {
        kept.truncate(at);
    }
    Ok(Value::from(kept + &end))
}

pub(super) fn wordcount(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let text = subject(state, arguments)?;
    let is_word = |c: char| c == '_' || unicode::is_alpha(c) || unicode::is_numeric(c);
    Ok(Value::from(text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).count()))
}

pub(super) fn wordwrap(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let text = subject(state, arguments)?;
    let width = arguments.integer("width", 79)?;
    let width = usize::try_from(width).ok().filter(|width| *width > 0);
    let width = width.ok_or_else(|| error("invalid width (must be > 0)"))?;
    let break_long_words = arguments.flag("break_long_words", true)?;
    let between = arguments.given("wrapstring")?.map_or_else(|| "\n".to_owned(), |value| value.to_string());
    let break_on_hyphens = arguments.flag("break_on_hyphens", true)?;
    let mut wrapped = Text::new(state);
    for (at, line) in splitting::split_lines(&text, false).into_iter().enumerate() {
        wrapped.push(if at == 0 { "" } else { &between })?;
        for (at, line) in wrap::lines(line, width, break_long_words, break_on_hyphens).iter().enumerate() {
            wrapped.push(if at == 0 { "" } else { &between })?;
            wrapped.push(line)?;
        }
    }
    Ok(wrapped.into_value())
}

pub(super) fn pprint(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    pretty::print(state, &arguments.required("value")?)
}
