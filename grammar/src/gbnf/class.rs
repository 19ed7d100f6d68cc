//! Sets of characters.

use std::fmt::Write;

const LAST: u32 = char::MAX as u32;

/// A set of characters: ranges in ascending order that do not touch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Class(Vec<(u32, u32)>);

impl Class {
    pub(super) fn of(ranges: impl IntoIterator<Item = (char, char)>) -> Self {
        Self::normal(ranges.into_iter().map(|(first, last)| (first as u32, last as u32)).collect())
    }

    pub(super) fn any() -> Self {
        Class(vec![(0, LAST)])
    }

    fn normal(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Class(merged)
    }

    /// Returns all other characters.
    pub(super) fn negated(&self) -> Self {
        let (mut rest, mut next) = (Vec::new(), 0);
        for &(first, last) in &self.0 {
            if next < first {
                rest.push((next, first - 1));
            }
            next = last + 1;
        }
        if next <= LAST {
            rest.push((next, LAST));
        }
        Class(rest)
    }

    /// Adds the characters of `other`, and returns true if there was a new one.
    pub(super) fn add(&mut self, other: &Class) -> bool {
        let union = Self::normal(self.0.iter().chain(&other.0).copied().collect());
        let grows = union != *self;
        *self = union;
        grows
    }

    /// Returns true if no character is in both.
    pub(super) fn is_disjoint(&self, other: &Class) -> bool {
        let meets = |&(first, last): &(u32, u32)| {
            let at = other.0.partition_point(|(_, end)| *end < first);
            other.0.get(at).is_some_and(|(start, _)| *start <= last)
        };
        !self.0.iter().any(meets)
    }

    /// Returns true if there is no character.
    pub(super) fn is_empty(&self) -> bool {
        self.regex().is_none()
    }

    /// Returns the set as a regular expression. None if it has no character.
    pub(super) fn regex(&self) -> Option<String> {
        const SURROGATES: (u32, u32) = (0xD800, 0xDFFF);
        let mut text = String::new();
        for &(first, last) in &self.0 {
            let parts = [(first, last.min(SURROGATES.0 - 1)), (first.max(SURROGATES.1 + 1), last)];
            for (first, last) in parts.into_iter().filter(|(first, last)| first <= last) {
                let _ = write!(text, "\\x{{{first:x}}}-\\x{{{last:x}}}");
            }
        }
        (!text.is_empty()).then(|| format!("[{text}]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_what_their_members_say() {
        let letters = Class::of([('a', 'f'), ('c', 'k'), ('l', 'm'), ('x', 'x')]);
        assert_eq!(letters.regex().unwrap(), "[\\x{61}-\\x{6d}\\x{78}-\\x{78}]");
        let others = letters.negated();
        assert!(letters.is_disjoint(&others) && others.is_disjoint(&letters));
        let mut all = letters.clone();
        assert!(all.add(&others) && !all.add(&letters));
        assert_eq!(all, Class::any());
        assert!(Class::any().negated().is_empty());
        assert!(!letters.is_disjoint(&Class::of([('z', 'z'), ('m', 'n')])));
    }
}
