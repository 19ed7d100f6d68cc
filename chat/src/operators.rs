//! Python's operators. [`syntax`](super::syntax) turns them into calls of these functions.

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Error, State, Value};

use super::printing::{Text, afford, to_text, write_text};
use super::value::{Kind, List, error, sequence, type_name};
use super::{format, markup};

/// A number as Python computes with it. Integers beyond 128 bits are refused.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value.kind() {
            ValueKind::Bool => Some(Number::Int(i128::from(value.is_true()))),
            ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(Number::Int),
            ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
            _ => None,
        }
    }

    pub(super) fn float(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        }
    }
}

/// Computes `left op right`.
pub(super) fn binary(state: &State<'_, '_>, op: &str, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (Number::of(left), Number::of(right)) {
        return arithmetic(op, a, b);
    }
    match op {
        "+" => add(state, left, right),
        "*" => match (Number::of(left), Number::of(right)) {
            (None, Some(Number::Int(times))) => repeat(state, left, times),
            (Some(Number::Int(times)), None) => repeat(state, right, times),
            _ => Err(unsupported(op, left, right)),
        },
        "%" if left.as_str().is_some() => format::percent(state, left, right),
        _ => Err(unsupported(op, left, right)),
    }
}

fn unsupported(op: &str, left: &Value, right: &Value) -> Error {
    error(format!("unsupported operand type(s) for {op}: '{}' and '{}'", type_name(left), type_name(right)))
}

fn arithmetic(op: &str, left: Number, right: Number) -> Result<Value, Error> {
    let too_large = || error("an integer has more than 128 bits");
    if let (Number::Int(a), Number::Int(b)) = (left, right) {
        let by_zero = || error("integer division or modulo by zero");
        let int = match op {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "//" if b == 0 => return Err(by_zero()),
            "%" if b == 0 => return Err(by_zero()),
            "//" => a.checked_div(b).map(|quotient| quotient - i128::from(a % b != 0 && (a < 0) != (b < 0))),
            "%" => {
                a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
            }
            "**" if b >= 0 => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            _ => return floats(op, a as f64, b as f64),
        };
        return int.map(Value::from).ok_or_else(too_large);
    }
    floats(op, left.float(), right.float())
}

fn floats(op: &str, a: f64, b: f64) -> Result<Value, Error> {
    let result = match op {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" | "//" | "%" if b == 0.0 => return Err(error("division by zero")),
        "/" => a / b,
        "//" | "%" => {
            let (quotient, rest) = divide(a, b);
            if op == "%" { rest } else { quotient }
        }
        _ if a == 0.0 && b < 0.0 => return Err(error("0.0 cannot be raised to a negative power")),
        _ if a < 0.0 && b.fract() != 0.0 => return Err(error("complex numbers are not supported")),
        _ => a.powf(b),
    };
    Ok(Value::from(result))
}

/// Returns the floored quotient and the rest that has the sign of `b`, as CPython's `float_divmod`.
fn divide(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(b);
    } else if (rest < 0.0) != (b < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(a / b), rest);
    }
    let floor = quotient.floor();
    (if quotient - floor > 0.5 { floor + 1.0 } else { floor }, rest)
}

fn add(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        if left.is_safe() || right.is_safe() {
            return join(state, &[left.clone(), right.clone()], true);
        }
        afford(state, a.len() + b.len())?;
        return Ok(Value::from([a, b].concat()));
    }
    match (left.downcast_object_ref::<List>(), right.downcast_object_ref::<List>()) {
        (Some(a), Some(b)) if a.kind == b.kind && matches!(a.kind, Kind::List | Kind::Tuple) => {
            afford(state, (a.items.len() + b.items.len()) * size_of::<Value>())?;
            sequence(state, a.kind, [a.items.as_slice(), &b.items].concat())
        }
        _ => Err(unsupported("+", left, right)),
    }
}

fn repeat(state: &State<'_, '_>, value: &Value, times: i128) -> Result<Value, Error> {
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    if let Some(piece) = value.as_str() {
        let mut text = Text::new(state);
        text.repeat(piece, times)?;
        return Ok(text.into_value());
    }
    match value.downcast_object_ref::<List>() {
        Some(from) if matches!(from.kind, Kind::List | Kind::Tuple) => {
            afford(state, from.items.len().saturating_mul(times).saturating_mul(size_of::<Value>()))?;
            let times = if from.items.is_empty() { 0 } else { times };
            let items = std::iter::repeat_n(&from.items, times).flatten().cloned().collect();
            sequence(state, from.kind, items)
        }
        _ => Err(error(format!("can't multiply sequence by non-int of type '{}'", type_name(value)))),
    }
}

/// Computes `a ~ b`: the texts of both. Where HTML is escaped, so are texts beside markup.
pub(super) fn concatenate(state: &State<'_, '_>, values: &[Value]) -> Result<Value, Error> {
    let escapes = *state.auto_escape() != AutoEscape::None && values.iter().any(Value::is_safe);
    join(state, values, escapes)
}

fn join(state: &State<'_, '_>, values: &[Value], as_markup: bool) -> Result<Value, Error> {
    let mut text = Text::new(state);
    for value in values {
        if as_markup && !value.is_safe() {
            text.push(&markup::escape(&to_text(state, value)?))?;
        } else {
            write_text(&mut text, value)?;
        }
    }
    Ok(if as_markup { Value::from_safe_string(text.into_string()) } else { text.into_value() })
}

/// Computes `-value`.
pub(super) fn negate(value: &Value) -> Result<Value, Error> {
    match Number::of(value) {
        Some(Number::Int(int)) => Ok(Value::from(int.saturating_neg())),
        Some(Number::Float(float)) => Ok(Value::from(-float)),
        None => Err(error(format!("bad operand type for unary -: '{}'", type_name(value)))),
    }
}
