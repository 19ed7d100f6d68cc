//! Methods of `str`.

use minijinja::{Error, State, Value};

use super::padding::{expand_tabs, pad};
use super::splitting::{split, split_lines, strip};
use crate::arguments::Arguments;
use crate::format;
use crate::printing::{Text, is_printable};
use crate::unicode::{self, is_space};
use crate::value::{Kind, error, items, list, pairs, sequence, type_name};

pub(super) const NAMES: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

pub(super) fn call(
    state: &State<'_, '_>,
    text: &str,
    name: &str,
    arguments: &mut Arguments<'_>,
) -> Result<Value, Error> {
    let all = |test: fn(char) -> bool| Value::from(!text.is_empty() && text.chars().all(test));
    Ok(match name {
        "upper" => Value::from(text.to_uppercase()),
        "lower" => Value::from(text.to_lowercase()),
        "casefold" => Value::from(unicode::casefold(text)),
        "swapcase" => Value::from(unicode::swapcase(text)),
        "title" => Value::from(unicode::title(text)),
        "capitalize" => Value::from(unicode::capitalize(text)),
        "isalpha" => all(unicode::is_alpha),
        "isalnum" => all(|c| unicode::is_alpha(c) || unicode::is_numeric(c)),
        "isdecimal" => all(unicode::is_decimal),
        "isdigit" => all(unicode::is_digit),
        "isnumeric" => all(unicode::is_numeric),
        "isspace" => all(is_space),
        "isprintable" => Value::from(text.chars().all(is_printable)),
        "isascii" => Value::from(text.is_ascii()),
        "isidentifier" => Value::from(unicode::is_identifier(text)),
        "islower" => {
            Value::from(text.chars().any(char::is_lowercase) && !text.chars().any(unicode::is_cased_up))
        }
        "isupper" => {
            Value::from(text.chars().any(unicode::is_cased_up) && !text.chars().any(char::is_lowercase))
        }
        "istitle" => Value::from(unicode::is_title(text)),
        "strip" | "lstrip" | "rstrip" => {
            let characters = arguments.given("chars")?;
            let characters = characters.map(|value| string(name, &value)).transpose()?;
            Value::from(strip(text, characters.as_deref(), name))
        }
        "split" | "rsplit" => {
            let separator = arguments.given("sep")?.map(|value| string(name, &value)).transpose()?;
            let most = arguments.integer("maxsplit", -1)?;
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let parts = split(text, separator.as_deref(), most, name == "rsplit")?;
            list(state, parts.into_iter().map(Value::from).collect())?
        }
        "splitlines" => {
            let keep = arguments.flag("keepends", false)?;
            list(state, split_lines(text, keep).into_iter().map(Value::from).collect())?
        }
        "partition" | "rpartition" => {
            let separator = arguments.text("sep")?;
            let last = name == "rpartition";
            let halves = if last { text.rsplit_once(&separator) } else { text.split_once(&separator) };
            let parts = match halves {
                _ if separator.is_empty() => return Err(error("empty separator")),
                Some((before, after)) => [before, &separator, after],
                None if last => ["", "", text],
                None => [text, "", ""],
            };
            sequence(state, Kind::Tuple, parts.into_iter().map(Value::from).collect())?
        }
        "removeprefix" => {
            let prefix = arguments.text("prefix")?;
            Value::from(text.strip_prefix(prefix.as_str()).unwrap_or(text))
        }
        "removesuffix" => {
            let suffix = arguments.text("suffix")?;
            Value::from(text.strip_suffix(suffix.as_str()).unwrap_or(text))
        }
        "replace" => {
            let (old, new) = (arguments.text("old")?, arguments.text("new")?);
            replace(state, text, &old, &new, arguments.integer("count", -1)?)?
        }
        "join" => {
            let parts = items(state, &arguments.required("iterable")?)?;
            let mut joined = Text::new(state);
            for (at, part) in parts.iter().enumerate() {
                joined.push(if at == 0 { "" } else { text })?;
                joined.push(&string(name, part)?)?;
            }
            joined.into_value()
        }
        "startswith" | "endswith" => {
            let wanted = arguments.required("prefix")?;
            let part = text_between(text, arguments)?.map(|(_, part)| part);
            let wanted = if wanted.as_str().is_some() { vec![wanted] } else { items(state, &wanted)? };
            let mut found = false;
            for affix in &wanted {
                let affix = string(name, affix)?;
                found |= part.is_some_and(|part| {
                    if name == "startswith" { part.starts_with(&affix) } else { part.ends_with(&affix) }
                });
            }
            Value::from(found)
        }
        "find" | "rfind" | "index" | "rindex" => {
            let part = arguments.text("sub")?;
            let within = text_between(text, arguments)?;
            let found = within.and_then(|(start, within)| {
                let at = if name.starts_with('r') { within.rfind(&part) } else { within.find(&part) };
                at.map(|at| start + within[..at].chars().count())
            });
            match found {
                Some(at) => Value::from(at),
                None if name.ends_with("find") => Value::from(-1),
                None => return Err(error("substring not found")),
            }
        }
        "count" => {
            let part = arguments.text("sub")?;
            let within = text_between(text, arguments)?.map_or("", |(_, within)| within);
            let empty = part.is_empty().then(|| within.chars().count() + 1);
            Value::from(empty.unwrap_or_else(|| within.matches(&part).count()))
        }
        "center" | "ljust" | "rjust" | "zfill" => {
            let width = arguments.integer("width", i128::MIN)?;
            if width == i128::MIN {
                return Err(arguments.wrong("missing argument 'width'"));
            }
            let fill = if name == "zfill" { "0".to_owned() } else { arguments.text_or("fillchar", " ")? };
            pad(state, text, name, width, &fill)?
        }
        "expandtabs" => expand_tabs(state, text, arguments.count("tabsize", 8)?)?,
        "format" => format::braces(state, text, arguments)?,
        "format_map" => {
            let mapping = arguments.required("mapping")?;
            let kwargs =
                pairs(&mapping).unwrap_or_default().into_iter().map(|(key, value)| (key.to_string(), value));
            let kwargs = Value::from(kwargs.collect::<minijinja::value::Kwargs>());
            format::braces(state, text, &mut Arguments::new(name, &[kwargs])?)?
        }
        "translate" => translate(state, text, &arguments.required("table")?)?,
        "encode" => {
            let encoding = arguments.text_or("encoding", "utf-8")?;
            if !matches!(encoding.to_lowercase().as_str(), "utf-8" | "utf8") {
                return Err(error(format!("unknown encoding: {encoding}")));
            }
            Value::from_bytes(text.as_bytes().to_vec())
        }
        _ => return Err(error(format!("str.{name} is not supported"))),
    })
}

fn string(name: &str, value: &Value) -> Result<String, Error> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| error(format!("{name}: expected str instance, {} found", type_name(value))))
}

/// Replaces the first `count` occurrences, or all if it is negative.
pub(crate) fn replace(
    state: &State<'_, '_>,
    text: &str,
    old: &str,
    new: &str,
    count: i128,
) -> Result<Value, Error> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut replaced = Text::new(state);
    let mut from = 0;
    for (at, found) in text.match_indices(old).take(most) {
        replaced.push(&text[from..at])?;
        replaced.push(new)?;
        from = at + found.len();
    }
    replaced.push(&text[from..])?;
    Ok(replaced.into_value())
}

/// Returns the text between the next two arguments, `start` and `end`, and the number of characters before it.
fn text_between<'a>(text: &'a str, arguments: &mut Arguments<'_>) -> Result<Option<(usize, &'a str)>, Error> {
    let mut bound = |name: &str| match arguments.given(name)? {
        Some(value) => crate::arguments::integer(&value).map(Some),
        None => Ok(None),
    };
    let (start, end) = (bound("start")?, bound("end")?);
    if start.is_none() && end.is_none() {
        return Ok(Some((0, text)));
    }
    let len = text.chars().count() as i128;
    let clamp = |at: i128| if at < 0 { at.saturating_add(len).max(0) } else { at };
    let (start, end) = (start.map_or(0, clamp), end.map_or(len, clamp).min(len));
    let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else { return Ok(None) };
    if start > end {
        return Ok(None);
    }
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    Ok(Some((start, &text[byte(start)..byte(end)])))
}

fn translate(state: &State<'_, '_>, text: &str, table: &Value) -> Result<Value, Error> {
    let mut translated = Text::new(state);
    for c in text.chars() {
        let to = table.get_item(&Value::from(c as u32)).unwrap_or_default();
        if to.is_undefined() {
            translated.push(c.encode_utf8(&mut [0; 4]))?;
        } else if let Some(text) = to.as_str() {
            translated.push(text)?;
        } else if !to.is_none() {
            let code = crate::arguments::integer(&to)?;
            let c = u32::try_from(code).ok().and_then(char::from_u32);
            let c = c.ok_or_else(|| error("character mapping must be in range(0x110000)"))?;
            translated.push(c.encode_utf8(&mut [0; 4]))?;
        }
    }
    Ok(translated.into_value())
}
