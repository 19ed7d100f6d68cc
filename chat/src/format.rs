//! Python's two ways to format: `'%s' % x` and `'{}'.format(x)`. minijinja formats single values.

mod braces;
mod percent;

use minijinja::{Error, State};

use super::printing::{Text, afford};
use super::value::error;
pub(super) use braces::braces;
pub(super) use percent::percent;

/// Returns an error if a width or precision in `spec` asks for a text that is too long.
fn bounded(state: &State<'_, '_>, spec: &str) -> Result<(), Error> {
    for digits in spec.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()) {
        afford(state, digits.parse::<usize>().unwrap_or(usize::MAX).saturating_mul(4))?;
    }
    Ok(())
}

/// Cuts a text to a precision and pads it to a width. `measures` is both, such as `9.3`.
fn padded(
    state: &State<'_, '_>,
    text: &str,
    fill: char,
    align: char,
    measures: &str,
) -> Result<String, Error> {
    let (width, precision) = measures.split_once('.').unwrap_or((measures, ""));
    let number = |digits: &str, default: usize| match digits {
        "" => Ok(default),
        digits => {
            digits.parse::<usize>().map_err(|_| error(format!("invalid format specifier '{measures}'")))
        }
    };
    let cut = number(precision, usize::MAX)?;
    let end = text.char_indices().nth(cut).map_or(text.len(), |(at, _)| at);
    let text = &text[..end];
    let missing = number(width, 0)?.saturating_sub(text.chars().count());
    let left = match align {
        '>' => missing,
        '^' => missing / 2,
        _ => 0,
    };
    let fill = fill.to_string();
    let mut padded = Text::new(state);
    padded.repeat(&fill, left)?;
    padded.push(text)?;
    padded.repeat(&fill, missing - left)?;
    Ok(padded.into_string())
}
