//! Python's slices.

use minijinja::{Error, State, Value};

use super::arguments::integer;
use super::printing::charge;
use super::value::{Kind, List, error, sequence};

/// Computes `value[start:stop:step]`.
pub(super) fn slice(state: &State<'_, '_>, value: &Value, bounds: &[Value]) -> Result<Value, Error> {
    let bound = |at: usize| match bounds.get(at) {
        Some(bound) if !bound.is_none() => integer(bound).map(Some),
        _ => Ok(None),
    };
    let (start, stop, step) = (bound(0)?, bound(1)?, bound(2)?.unwrap_or(1));
    if let Some(text) = value.as_str() {
        charge(state, text.len())?;
        let chars: Vec<char> = text.chars().collect();
        let picked = indices(chars.len(), start, stop, step)?;
        return Ok(Value::from(picked.map(|at| chars[at]).collect::<String>()));
    }
    match value.downcast_object_ref::<List>() {
        Some(from) if !matches!(from.kind, Kind::View(_)) => {
            let picked = indices(from.items.len(), start, stop, step)?;
            let kind = match from.kind {
                Kind::Range(first, _, by) => {
                    let len = from.items.len();
                    let (begin, end) = limits(len, start, stop, step);
                    let at = |index: i128| first.saturating_add(index.saturating_mul(by));
                    Kind::Range(at(begin), at(end), by.saturating_mul(step))
                }
                kind => kind,
            };
            sequence(state, kind, picked.map(|at| from.items[at].clone()).collect())
        }
        _ if value.is_undefined() => Err(error("an undefined value cannot be sliced")),
        // Jinja looks up the slice as an item, which is not there.
        _ => Ok(Value::UNDEFINED),
    }
}

/// Returns where a slice starts and ends, as Python's `slice.indices`.
fn limits(len: usize, start: Option<i128>, stop: Option<i128>, step: i128) -> (i128, i128) {
    let len = len as i128;
    let (lowest, highest) = if step < 0 { (-1, len - 1) } else { (0, len) };
    let clamp = |at: i128| if at < 0 { at.saturating_add(len).max(lowest) } else { at.min(highest) };
    let (first, last) = if step < 0 { (highest, lowest) } else { (lowest, highest) };
    (start.map_or(first, clamp), stop.map_or(last, clamp))
}

fn indices(
    len: usize,
    start: Option<i128>,
    stop: Option<i128>,
    step: i128,
) -> Result<impl Iterator<Item = usize>, Error> {
    if step == 0 {
        return Err(error("slice step cannot be zero"));
    }
    let (start, stop) = limits(len, start, stop, step);
    let next = move |at: &i128| at.checked_add(step);
    let inside = move |at: &i128| if step < 0 { *at > stop } else { *at < stop };
    Ok(std::iter::successors(Some(start), next).take_while(inside).filter_map(|at| usize::try_from(at).ok()))
}
