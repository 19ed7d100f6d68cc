//! Arguments of calls, bound to names as in Python.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, Value};

use super::value::{error, type_name};

/// The arguments of one call. Parameters are taken in their order, and [`Arguments::end`] refuses what is left.
pub(super) struct Arguments<'a> {
    function: &'a str,
    positional: &'a [Value],
    named: Vec<(String, Value)>,
    taken: usize,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(function: &'a str, values: &'a [Value]) -> Result<Self, Error> {
        let (positional, named) = match values.split_last() {
            Some((last, rest)) if last.is_kwargs() => (rest, named(last)?),
            _ => (values, Vec::new()),
        };
        Ok(Arguments { function, positional, named, taken: 0 })
    }

    /// Returns the next parameter, or `None` if it was not given.
    pub(super) fn optional(&mut self, name: &str) -> Result<Option<Value>, Error> {
        let positional = self.positional.get(self.taken).cloned();
        self.taken += 1;
        let at = self.named.iter().position(|(key, _)| key == name);
        match (positional, at) {
            (Some(_), Some(_)) => Err(self.wrong(&format!("got multiple values for argument '{name}'"))),
            (Some(value), None) => Ok(Some(value)),
            (None, Some(at)) => Ok(Some(self.named.remove(at).1)),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn required(&mut self, name: &str) -> Result<Value, Error> {
        self.optional(name)?.ok_or_else(|| self.wrong(&format!("missing argument '{name}'")))
    }

    pub(super) fn or(&mut self, name: &str, default: impl Into<Value>) -> Result<Value, Error> {
        Ok(self.optional(name)?.unwrap_or_else(|| default.into()))
    }

    /// Returns the next parameter if it is given and not `none`.
    pub(super) fn given(&mut self, name: &str) -> Result<Option<Value>, Error> {
        Ok(self.optional(name)?.filter(|value| !value.is_none()))
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, Error> {
        Ok(self.or(name, default)?.is_true())
    }

    pub(super) fn integer(&mut self, name: &str, default: i128) -> Result<i128, Error> {
        integer(&self.or(name, default)?)
    }

    /// Returns the next parameter as a number of characters or items; negative ones are 0.
    pub(super) fn count(&mut self, name: &str, default: usize) -> Result<usize, Error> {
        let count = self.integer(name, default as i128)?;
        Ok(usize::try_from(count.max(0)).unwrap_or(usize::MAX))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, Error> {
        let value = self.required(name)?;
        self.as_text(name, &value)
    }

    pub(super) fn text_or(&mut self, name: &str, default: &str) -> Result<String, Error> {
        match self.optional(name)? {
            Some(value) => self.as_text(name, &value),
            None => Ok(default.to_owned()),
        }
    }

    fn as_text(&self, name: &str, value: &Value) -> Result<String, Error> {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| self.wrong(&format!("argument '{name}' must be str, not {}", type_name(value))))
    }

    /// Takes all arguments that are left and have no name.
    pub(super) fn rest(&mut self) -> &'a [Value] {
        let rest = self.positional.get(self.taken..).unwrap_or_default();
        self.taken = self.positional.len();
        rest
    }

    /// Takes all arguments that are left and have a name.
    pub(super) fn rest_named(&mut self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.named)
    }

    /// Refuses arguments that no parameter took.
    pub(super) fn end(&self) -> Result<(), Error> {
        if let Some((name, _)) = self.named.first() {
            return Err(self.wrong(&format!("got an unexpected keyword argument '{name}'")));
        }
        if self.taken < self.positional.len() {
            return Err(self.wrong(&format!(
                "takes {} arguments but {} were given",
                self.taken,
                self.positional.len()
            )));
        }
        Ok(())
    }

    pub(super) fn wrong(&self, problem: &str) -> Error {
        error(format!("{}() {problem}", self.function))
    }
}

fn named(kwargs: &Value) -> Result<Vec<(String, Value)>, Error> {
    let kwargs = Kwargs::try_from(kwargs.clone())?;
    kwargs.args().map(|name| Ok((name.to_owned(), kwargs.peek(name)?))).collect()
}

/// Returns the value as an integer; `true` is 1.
pub(super) fn integer(value: &Value) -> Result<i128, Error> {
    let int = match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        _ => None,
    };
    int.ok_or_else(|| error(format!("'{}' object cannot be interpreted as an integer", type_name(value))))
}
