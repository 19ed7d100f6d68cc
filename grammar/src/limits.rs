//! Bounds on what a grammar may cost, because grammars come from outside.

use std::thread;

use llguidance::api::ParserLimits;
use llguidance::panic_utils::catch_unwind;
use serde_json::Value;

use crate::error::{Error, Result};

/// Longest schema or grammar, in bytes.
const BYTES: usize = 1 << 20;
/// Deepest nesting of a schema.
const DEPTH: usize = 100;
/// Most brackets and colons of a grammar, each of which may take a level of the library's recursion.
const LEVELS: usize = 10_000;
/// Stack of the thread that compiles: [`LEVELS`] with some kilobytes each. Pages that are not touched cost nothing.
const STACK: usize = 256 << 20;

/// Returns the library's limits. All are numbers of steps, so that they hold on every machine alike.
pub(crate) fn parser() -> ParserLimits {
    ParserLimits {
        // A state takes 1 to 2 kB.
        max_lexer_states: 50_000,
        max_grammar_size: 200_000,
        // Messages without the text so far, which may be private.
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

/// Checks the size of a grammar in any notation.
///
/// # Errors
/// [`Error::TooLarge`].
pub(crate) fn check_text(text: &str) -> Result<()> {
    check_bytes(text.len())?;
    let levels = text.bytes().filter(|byte| b"([{:".contains(byte)).count();
    match levels <= LEVELS {
        true => Ok(()),
        false => Err(Error::TooLarge(format!(
            "it has {levels} brackets and colons and the limit is {LEVELS}; shorten it"
        ))),
    }
}

/// Checks the size and the depth of a schema.
///
/// # Errors
/// [`Error::TooLarge`].
pub(crate) fn check_schema(schema: &Value) -> Result<()> {
    let (mut bytes, mut todo) = (0, vec![(schema, 1)]);
    while let Some((value, depth)) = todo.pop() {
        if depth > DEPTH {
            return Err(Error::TooLarge(format!(
                "it nests deeper than {DEPTH} levels; use $ref for what repeats"
            )));
        }
        bytes += match value {
            Value::String(text) => text.len() + 2,
            Value::Object(fields) => fields.keys().map(|key| key.len() + 4).sum(),
            Value::Array(items) => items.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        };
        check_bytes(bytes)?;
        match value {
            Value::Array(items) => todo.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => todo.extend(fields.values().map(|field| (field, depth + 1))),
            _ => {}
        }
    }
    Ok(())
}

fn check_bytes(bytes: usize) -> Result<()> {
    match bytes <= BYTES {
        true => Ok(()),
        false => Err(Error::TooLarge(format!("it is longer than {} kB; shorten it", BYTES >> 10))),
    }
}

/// Runs `compile` of the library with room for its recursion, and behind a wall against its panics.
///
/// # Errors
/// Those of `compile`, and a panic.
pub(crate) fn bounded<T: Send>(compile: impl FnOnce() -> std::result::Result<T, Error> + Send) -> Result<T> {
    thread::scope(|scope| {
        let guarded = || catch_unwind(std::panic::AssertUnwindSafe(|| Ok(compile())));
        let thread = thread::Builder::new().name("grammar".to_owned()).stack_size(STACK);
        let handle = thread.spawn_scoped(scope, guarded);
        let handle =
            handle.map_err(|error| Error::TooLarge(format!("the system refuses a thread: {error}")))?;
        match handle.join() {
            Ok(outcome) => outcome.map_err(Error::invalid)?,
            Err(_) => Err(Error::invalid("the grammar library has failed")),
        }
    })
}
