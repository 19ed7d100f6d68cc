//! `tojson` as transformers defines it: Python's `json.dumps`.

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::arguments::Arguments;
use super::printing::{Text, float};
use super::value::{Kind, List, MAX_DEPTH, error, items, pairs, type_name};

/// How to write JSON.
struct Style {
    ascii: bool,
    indent: Option<String>,
    between: String,
    after_key: String,
    sorted: bool,
}

/// `value | tojson(ensure_ascii=false, indent=none, separators=none, sort_keys=false)`.
pub(super) fn tojson(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let value = arguments.required("x")?;
    let ascii = arguments.flag("ensure_ascii", false)?;
    let indent = match arguments.given("indent")? {
        Some(indent) if indent.as_str().is_some() => Some(indent.to_string()),
        Some(indent) => {
            let mut spaces = Text::new(state);
            let width = super::arguments::integer(&indent)?.max(0);
            spaces.repeat(" ", usize::try_from(width).unwrap_or(usize::MAX))?;
            Some(spaces.as_str().to_owned())
        }
        None => None,
    };
    let (between, after_key) = match arguments.given("separators")? {
        Some(separators) => match items(state, &separators)?.as_slice() {
            [between, after_key] => (between.to_string(), after_key.to_string()),
            _ => return Err(error("separators is a pair of strings")),
        },
        None => ((if indent.is_some() { "," } else { ", " }).to_owned(), ": ".to_owned()),
    };
    let sorted = arguments.flag("sort_keys", false)?;
    arguments.end()?;
    let style = Style { ascii, indent, between, after_key, sorted };
    let mut text = Text::new(state);
    style.write(state, &mut text, &value, 0)?;
    Ok(text.into_value())
}

impl Style {
    fn write(
        &self,
        state: &State<'_, '_>,
        text: &mut Text,
        value: &Value,
        level: usize,
    ) -> Result<(), Error> {
        if level > MAX_DEPTH {
            return Err(error("maximum recursion depth exceeded while encoding a JSON object"));
        }
        if let Some(plain) = value.as_str() {
            return self.write_text(text, plain);
        }
        if let Some(list) = value.downcast_object_ref::<List>()
            && matches!(list.kind, Kind::List | Kind::Tuple)
        {
            return self.write_all(text, "[]", list.items.len(), level, |text, at| {
                self.write(state, text, &list.items[at], level + 1)
            });
        }
        match (value.kind(), pairs(value)) {
            (ValueKind::None | ValueKind::Bool | ValueKind::Number, _) => text.push(&scalar(value)),
            (ValueKind::Map, Some(mut pairs)) if type_name(value) == "dict" => {
                if self.sorted {
                    sort(state, &mut pairs)?;
                }
                self.write_all(text, "{}", pairs.len(), level, |text, at| {
                    let (key, value) = &pairs[at];
                    self.write_text(text, &key_text(key)?)?;
                    text.push(&self.after_key)?;
                    self.write(state, text, value, level + 1)
                })
            }
            _ => Err(error(format!("Object of type {} is not JSON serializable", type_name(value)))),
        }
    }

    fn write_all(
        &self,
        text: &mut Text,
        brackets: &str,
        count: usize,
        level: usize,
        mut write: impl FnMut(&mut Text, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (open, close) = brackets.split_at(1);
        text.push(open)?;
        for at in 0..count {
            text.push(if at == 0 { "" } else { &self.between })?;
            self.write_line_end(text, level + 1)?;
            write(text, at)?;
        }
        if count > 0 {
            self.write_line_end(text, level)?;
        }
        text.push(close)
    }

    fn write_line_end(&self, text: &mut Text, level: usize) -> Result<(), Error> {
        let Some(indent) = &self.indent else { return Ok(()) };
        text.push("\n")?;
        text.repeat(indent, level)
    }

    fn write_text(&self, text: &mut Text, plain: &str) -> Result<(), Error> {
        let mut quoted = String::with_capacity(plain.len() + 2);
        quoted.push('"');
        for c in plain.chars() {
            match c {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\u{8}' => quoted.push_str("\\b"),
                '\u{c}' => quoted.push_str("\\f"),
                c if c < ' ' || (self.ascii && c > '~') => {
                    quoted.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
                }
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        text.push(&quoted)
    }
}

fn scalar(value: &Value) -> String {
    match value.kind() {
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.to_owned(),
        _ if value.is_integer() => value.to_string(),
        _ => match f64::try_from(value.clone()) {
            Ok(number) if number.is_nan() => "NaN".to_owned(),
            Ok(number) if number.is_infinite() => {
                if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
            }
            _ => float(value),
        },
    }
}

fn key_text(key: &Value) -> Result<String, Error> {
    match key.kind() {
        ValueKind::String => Ok(key.to_string()),
        ValueKind::None | ValueKind::Bool | ValueKind::Number => Ok(scalar(key)),
        _ => Err(error(format!("keys must be str, int, float, bool or None, not {}", type_name(key)))),
    }
}

fn sort(state: &State<'_, '_>, pairs: &mut [(Value, Value)]) -> Result<(), Error> {
    let keys: Vec<Value> = pairs.iter().map(|(key, _)| key.clone()).collect();
    let order = super::filters::ordering::sorted(state, &keys, false)?;
    let sorted: Vec<(Value, Value)> = order.into_iter().map(|at| pairs[at].clone()).collect();
    pairs.clone_from_slice(&sorted);
    Ok(())
}
