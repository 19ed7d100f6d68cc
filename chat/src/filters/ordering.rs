//! Filters that sort, group and compare.

use std::cmp::Ordering;

use minijinja::{Error, State, Value};

use super::sequences::{lookup, tuples};
use crate::arguments::Arguments;
use crate::comparison::{equal, order};
use crate::value::{self, Kind, error, sequence};

type Outcome = Result<Value, Error>;

/// Returns the value by which filters sort and compare: its attribute, without regard to case unless that counts.
fn sort_key(item: &Value, attribute: Option<&Value>, case_sensitive: bool) -> Outcome {
    let value = match attribute {
        Some(attribute) => lookup(item, attribute)?,
        None => item.clone(),
    };
    Ok(match value.as_str() {
        Some(text) if !case_sensitive => Value::from(text.to_lowercase()),
        _ => value,
    })
}

/// Returns the order that sorts `keys`.
///
/// # Errors
/// Fails if Python cannot compare some of them.
pub(crate) fn sorted(state: &State<'_, '_>, keys: &[Value], reverse: bool) -> Result<Vec<usize>, Error> {
    let mut places: Vec<usize> = (0..keys.len()).collect();
    let mut failure = None;
    // The order of a merge sort needs no consistency, so a comparison that fails may count as equal.
    let mut compare = |a: &usize, b: &usize| {
        let (a, b) = (&keys[*a], &keys[*b]);
        let outcome = state.consume_fuel(1).and_then(|()| {
            // Python compares what it sorts as parts of lists, where equal ones need no order.
            if equal(state, a, b)? { Ok(Some(Ordering::Equal)) } else { order(state, a, b) }
        });
        outcome.map(|ordering| ordering.unwrap_or(Ordering::Equal)).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            Ordering::Equal
        })
    };
    merge_sort(&mut places, &mut |a, b| if reverse { compare(b, a) } else { compare(a, b) });
    failure.map_or(Ok(places), Err)
}

/// A stable sort that bears comparisons without a total order, such as those of NaN, which std's may refuse by a panic.
fn merge_sort(order: &mut Vec<usize>, compare: &mut dyn FnMut(&usize, &usize) -> Ordering) {
    if order.len() < 2 {
        return;
    }
    let mut right = order.split_off(order.len() / 2);
    merge_sort(order, compare);
    merge_sort(&mut right, compare);
    let mut merged = Vec::with_capacity(order.len() + right.len());
    let (mut left, mut right) = (order.drain(..).peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let from_right = compare(b, a) == Ordering::Less;
        merged.extend(if from_right { right.next() } else { left.next() });
    }
    merged.extend(left.by_ref().chain(right));
    drop(left);
    *order = merged;
}

fn picked(state: &State<'_, '_>, items: &[Value], order: &[usize]) -> Outcome {
    value::list(state, order.iter().map(|at| items[*at].clone()).collect())
}

pub(super) fn sort(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = value::items(state, &arguments.required("value")?)?;
    let reverse = arguments.flag("reverse", false)?;
    let case_sensitive = arguments.flag("case_sensitive", false)?;
    let attribute = arguments.given("attribute")?;
    let attributes: Vec<Value> = match attribute.as_ref().and_then(Value::as_str) {
        Some(names) => names.split(',').map(Value::from).collect(),
        None => attribute.into_iter().collect(),
    };
    let mut keys = Vec::with_capacity(items.len());
    for item in &items {
        let part = |attribute: &Value| sort_key(item, Some(attribute), case_sensitive);
        let parts = attributes.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        keys.push(if attributes.is_empty() {
            sort_key(item, None, case_sensitive)?
        } else {
            value::list(state, parts)?
        });
    }
    let places = sorted(state, &keys, reverse)?;
    picked(state, &items, &places)
}

pub(super) fn dictsort(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let value = arguments.required("value")?;
    let case_sensitive = arguments.flag("case_sensitive", false)?;
    let by = arguments.text_or("by", "key")?;
    let reverse = arguments.flag("reverse", false)?;
    let pairs = value::pairs(&value).ok_or_else(|| error("dictsort needs a dict"))?;
    if !matches!(by.as_str(), "key" | "value") {
        return Err(error("You can only sort by either \"key\" or \"value\""));
    }
    let key =
        |(key, value): &(Value, Value)| sort_key(if by == "key" { key } else { value }, None, case_sensitive);
    let keys = pairs.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let places = sorted(state, &keys, reverse)?;
    tuples(state, places.into_iter().map(|at| pairs[at].clone()).collect())
}

pub(super) fn groupby(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = value::items(state, &arguments.required("value")?)?;
    let attribute = arguments.required("attribute")?;
    let default = arguments.given("default")?;
    let case_sensitive = arguments.flag("case_sensitive", false)?;
    let plain = |item: &Value| {
        let value = lookup(item, &attribute)?;
        Ok::<_, Error>(if value.is_undefined() { default.clone().unwrap_or(value) } else { value })
    };
    let groupers = items.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
    let keys =
        groupers.iter().map(|key| sort_key(key, None, case_sensitive)).collect::<Result<Vec<_>, _>>()?;
    let places = sorted(state, &keys, false)?;
    let mut groups: Vec<Value> = Vec::new();
    let mut start = 0;
    while start < places.len() {
        let mut end = start + 1;
        while end < places.len() && equal(state, &keys[places[start]], &keys[places[end]])? {
            end += 1;
        }
        let members = picked(state, &items, &places[start..end])?;
        groups.push(sequence(state, Kind::Group, vec![groupers[places[start]].clone(), members])?);
        start = end;
    }
    value::list(state, groups)
}

pub(super) fn unique(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    let items = value::items(state, &arguments.required("value")?)?;
    let case_sensitive = arguments.flag("case_sensitive", false)?;
    let attribute = arguments.given("attribute")?;
    let mut seen = indexmap::IndexSet::new();
    let mut kept = Vec::new();
    for item in items {
        let key = sort_key(&item, attribute.as_ref(), case_sensitive)?;
        // A dict with this key alone refuses what Python cannot hash.
        value::dict(state, [(key.clone(), Value::from(()))])?;
        if seen.insert(key) {
            kept.push(item);
        }
    }
    value::list(state, kept)
}

fn extreme(state: &State<'_, '_>, arguments: &mut Arguments<'_>, wanted: Ordering) -> Outcome {
    let items = value::items(state, &arguments.required("value")?)?;
    let case_sensitive = arguments.flag("case_sensitive", false)?;
    let attribute = arguments.given("attribute")?;
    let mut best: Option<(Value, Value)> = None;
    for item in items {
        let key = sort_key(&item, attribute.as_ref(), case_sensitive)?;
        let better = match &best {
            Some((best, _)) => order(state, &key, best)? == Some(wanted),
            None => true,
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::UNDEFINED, |(_, item)| item))
}

pub(super) fn max(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    extreme(state, arguments, Ordering::Greater)
}

pub(super) fn min(state: &mut State<'_, '_>, arguments: &mut Arguments<'_>) -> Outcome {
    extreme(state, arguments, Ordering::Less)
}
