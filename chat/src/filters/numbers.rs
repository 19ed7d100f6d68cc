//! Filters of numbers.

use minijinja::{Error, State, Value};

use super::sequences::lookup;
use crate::arguments::{Arguments, integer};
use crate::operators::{Number, binary};
use crate::unicode::is_space;
use crate::value::{error, items, type_name};

pub(super) fn abs(_: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let value = arguments.required("value")?;
    match Number::of(&value) {
        Some(Number::Int(int)) => Ok(Value::from(int.saturating_abs())),
        Some(Number::Float(float)) => Ok(Value::from(float.abs())),
        None => Err(error(format!("bad operand type for abs(): '{}'", type_name(&value)))),
    }
}

/// Returns the value of a text in Python's notation of numbers, with single underscores between digits.
fn plain_digits(text: &str) -> Option<String> {
    let text = text.trim_matches(is_space);
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric);
    let well_placed =
        |(at, byte): (usize, &u8)| *byte != b'_' || digit(at.checked_sub(1)) && digit(Some(at + 1));
    bytes.iter().enumerate().all(well_placed).then(|| text.replace('_', ""))
}

fn parse_float(text: &str) -> Option<f64> {
    plain_digits(text)?.parse().ok()
}

fn parse_int(text: &str, base: u32) -> Option<i128> {
    let digits = plain_digits(text)?;
    let (sign, magnitude) = digits.strip_prefix('-').map_or((1, digits.as_str()), |rest| (-1, rest));
    let magnitude = if sign == 1 { magnitude.strip_prefix('+').unwrap_or(magnitude) } else { magnitude };
    let prefixed = |prefix: &str| magnitude.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let (base, magnitude) = match base {
        16 | 0 if prefixed("0x") => (16, &magnitude[2..]),
        8 | 0 if prefixed("0o") => (8, &magnitude[2..]),
        2 | 0 if prefixed("0b") => (2, &magnitude[2..]),
        0 => (10, magnitude),
        base => (base, magnitude),
    };
    if magnitude.starts_with(['+', '-']) || !(2..=36).contains(&base) {
        return None;
    }
    Some(sign * i128::from_str_radix(magnitude, base).ok()?)
}

pub(super) fn int(_: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let (value, default) = (arguments.required("value")?, arguments.or("default", 0)?);
    let base = arguments.count("base", 10)? as u32;
    let whole = |float: f64| (float.abs() < 1.7e38).then_some(float.trunc() as i128);
    let int = match (value.as_str(), Number::of(&value)) {
        (Some(text), _) => parse_int(text, base).or_else(|| whole(parse_float(text)?)),
        (_, Some(Number::Int(int))) => Some(int),
        (_, Some(Number::Float(float))) if float.is_finite() => whole(float),
        _ if value.is_undefined() => return Err(error("an undefined value is not a number")),
        _ => None,
    };
    Ok(int.map_or(default, Value::from))
}

pub(super) fn float(_: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let (value, default) = (arguments.required("value")?, arguments.or("default", 0.0)?);
    let float = match value.as_str() {
        Some(text) => parse_float(text),
        None if value.is_undefined() => return Err(error("an undefined value is not a number")),
        None => Number::of(&value).map(Number::float),
    };
    Ok(float.map_or(default, Value::from))
}

pub(super) fn round(_: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let value = arguments.required("value")?;
    let precision = arguments.integer("precision", 0)?;
    let method = arguments.text_or("method", "common")?;
    let number = Number::of(&value)
        .ok_or_else(|| error(format!("type {} doesn't define __round__ method", type_name(&value))))?;
    let digits = i32::try_from(precision).map_err(|_| error("the precision is too large"))?;
    let power = 10_f64.powi(digits);
    match (method.as_str(), number) {
        ("common", Number::Int(int)) => Ok(Value::from(round_int(int, digits))),
        ("common", Number::Float(float)) => Ok(Value::from(round_float(float, digits))),
        ("ceil", number) => Ok(Value::from((number.float() * power).ceil() / power)),
        ("floor", number) => Ok(Value::from((number.float() * power).floor() / power)),
        _ => Err(error("method must be common, ceil or floor")),
    }
}

/// Rounds to a power of ten, halves to even.
fn round_int(int: i128, digits: i32) -> i128 {
    let Some(unit) = digits.checked_neg().filter(|d| *d > 0).and_then(|d| 10_i128.checked_pow(d as u32))
    else {
        return if digits < 0 { 0 } else { int };
    };
    let (quotient, rest) = (int.div_euclid(unit), int.rem_euclid(unit));
    let up = rest * 2 > unit || rest * 2 == unit && quotient % 2 != 0;
    (quotient + i128::from(up)) * unit
}

/// Rounds as Python does: correctly, from the number's exact decimal value.
fn round_float(float: f64, digits: i32) -> f64 {
    match usize::try_from(digits) {
        // A double has no digits beyond these.
        Ok(digits) if digits > 323 => float,
        Ok(digits) => format!("{float:.digits$}").parse().unwrap_or(float),
        Err(_) if digits < -308 => 0.0_f64.copysign(float),
        Err(_) => {
            let unit = 10_f64.powi(-digits);
            (float / unit).round_ties_even() * unit
        }
    }
}

pub(super) fn sum(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let value = arguments.required("iterable")?;
    let attribute = arguments.given("attribute")?;
    let mut total = arguments.or("start", 0)?;
    for item in items(state, &value)? {
        let item = match &attribute {
            Some(attribute) => lookup(&item, attribute)?,
            None => item,
        };
        total = binary(state, "+", &total, &item)?;
    }
    Ok(total)
}

pub(super) fn filesizeformat(_: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Result<Value, Error> {
    let value = arguments.required("value")?;
    let binary = arguments.flag("binary", false)?;
    let bytes = match value.as_str() {
        Some(text) => parse_float(text),
        None => Number::of(&value).map(Number::float),
    };
    let bytes = bytes.ok_or_else(|| error("the size is not a number"))?;
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    if bytes == 1.0 {
        return Ok(Value::from("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::from(format!("{} Bytes", bytes.trunc() as i128)));
    }
    let mut unit = base;
    let mut prefix = 'k';
    for next in "kMGTPEZY".chars() {
        unit *= base;
        prefix = next;
        if bytes < unit {
            break;
        }
    }
    let prefix = if binary { format!("{}i", prefix.to_ascii_uppercase()) } else { prefix.to_string() };
    Ok(Value::from(format!("{:.1} {prefix}B", base * bytes / unit)))
}

/// The argument `slices` or `linecount` of filters that divide a sequence.
pub(super) fn parts(arguments: &mut Arguments<'_>, name: &str) -> Result<usize, Error> {
    let parts = integer(&arguments.required(name)?)?;
    usize::try_from(parts).map_err(|_| error(format!("{name} is negative")))
}
