//! Finds stop strings in text that arrives in pieces.

use std::iter;
use std::ops::Range;

use crate::error::{Error, Result};

/// Finds stop strings in a stream of text, and withholds text that could be the start of one.
///
/// The result does not depend on how the text is cut into pieces. The stop string that is complete
/// first ends the text. If several are complete at the same character, it ends before the longest.
///
/// Text may be hidden, such as the spelling of special tokens. Stop strings are found in the text with the hidden parts, and
/// in the text without them.
///
/// ```
/// use tercet_engine::{Progress, StopMatcher};
///
/// let mut matcher = StopMatcher::new(["END".to_owned(), ".<|end|>".to_owned()])?;
/// assert_eq!(matcher.push("one E"), Progress::Continue("one ".to_owned()));
/// assert_eq!(matcher.push("NTER two EN"), Progress::Continue("ENTER two ".to_owned()));
/// assert_eq!(matcher.push_hidden("<|end|>"), Progress::Continue(String::new()));
/// assert_eq!(matcher.push(" three."), Progress::Continue("EN three".to_owned()));
/// assert_eq!(matcher.push_hidden("<|end|>"), Progress::Stopped(String::new()));
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StopMatcher {
    stops: Vec<String>,
    /// The withheld text, with its hidden parts.
    held: String,
    hidden: Vec<Range<usize>>,
    found: Option<usize>,
}

/// The result of a piece of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No stop string is complete. This text can be shown now.
    Continue(String),
    /// A stop string is complete. This is the last text to show, which comes before it.
    Stopped(String),
}

impl StopMatcher {
    /// Returns a matcher for `stops`. Without stop strings every piece passes.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if a stop string is empty.
    pub fn new(stops: impl IntoIterator<Item = String>) -> Result<Self> {
        let stops: Vec<String> = stops.into_iter().collect();
        if stops.iter().any(String::is_empty) {
            return Err(Error::bad_argument("stop", "a stop string is empty", "give at least one character"));
        }
        Ok(StopMatcher { stops, held: String::new(), hidden: Vec::new(), found: None })
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, piece: &str) -> Progress {
        self.held.push_str(piece);
        let shown = Shown::of(&self.held, &self.hidden);
        match self.first_stop(&shown) {
            Some((start, stop)) => {
                let text = shown.before(start);
                self.found = Some(stop);
                self.finish();
                Progress::Stopped(text)
            }
            None => {
                let safe = self.safe_len(&shown);
                let text = shown.before(safe);
                self.held.drain(..safe);
                self.hidden.retain_mut(|hidden| {
                    *hidden = hidden.start.saturating_sub(safe)..hidden.end.saturating_sub(safe);
                    hidden.start < hidden.end
                });
                Progress::Continue(text)
            }
        }
    }

    /// Takes a piece of text that is not shown.
    pub fn push_hidden(&mut self, piece: &str) -> Progress {
        let start = self.held.len();
        self.hidden.push(start..start + piece.len());
        self.push(piece)
    }

    /// Returns the withheld text, at the end of the stream.
    pub fn finish(&mut self) -> String {
        let text = Shown::of(&self.held, &self.hidden).text;
        self.held.clear();
        self.hidden.clear();
        text
    }

    /// Returns the stop string that ended the text.
    pub fn found(&self) -> Option<&str> {
        self.found.map(|stop| self.stops[stop].as_str())
    }

    /// Returns the start and the index of the stop string that ends first.
    fn first_stop(&self, shown: &Shown) -> Option<(usize, usize)> {
        let stops = || self.stops.iter().enumerate();
        let within = |text: &str, (index, stop): (usize, &String)| {
            text.find(stop).map(|start| (start + stop.len(), start, index))
        };
        let whole = stops().filter_map(|stop| within(&self.held, stop));
        let visible = stops().filter_map(|stop| within(&shown.text, stop));
        let visible =
            visible.map(|(end, start, index)| (shown.places[end - 1] + 1, shown.places[start], index));
        whole.chain(visible).min().map(|(_, start, index)| (start, index))
    }

    /// Returns the number of bytes before the earliest suffix that could start a stop string.
    fn safe_len(&self, shown: &Shown) -> usize {
        let visible = self.earliest_start(&shown.text).map(|start| shown.places[start]);
        let whole = self.earliest_start(&self.held);
        whole.into_iter().chain(visible).min().unwrap_or(self.held.len())
    }

    /// Returns the start of the earliest suffix of `text` that could start a stop string.
    fn earliest_start(&self, text: &str) -> Option<usize> {
        let begins_stop = |suffix: &str| self.stops.iter().any(|stop| stop.starts_with(suffix));
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let first = text.len().saturating_sub(longest);
        let starts = text.char_indices().map(|(start, _)| start);
        starts.filter(|&start| start >= first).find(|&start| begins_stop(&text[start..]))
    }
}

/// The visible part of a text.
struct Shown {
    text: String,
    /// The place of each byte in the whole text.
    places: Vec<usize>,
}

impl Shown {
    fn of(held: &str, hidden: &[Range<usize>]) -> Self {
        let (mut text, mut places, mut start) = (String::new(), Vec::new(), 0);
        for gap in hidden.iter().cloned().chain(iter::once(held.len()..held.len())) {
            text.push_str(&held[start..gap.start]);
            places.extend(start..gap.start);
            start = gap.end;
        }
        Shown { text, places }
    }

    /// Returns the visible part of the first `len` bytes of the whole text.
    fn before(&self, len: usize) -> String {
        self.text[..self.places.partition_point(|&place| place < len)].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text that is shown if `text` arrives in pieces of `size` characters, and true if it
    /// stopped. Text in angle brackets is hidden.
    fn run(stops: &[&str], text: &str, size: usize) -> (String, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(|s| s.to_string())).unwrap();
        let mut shown = String::new();
        let tokens = text.split_inclusive('>').flat_map(|part| {
            let (visible, hidden) = part.split_at(part.find('<').unwrap_or(part.len()));
            [visible, hidden]
        });
        for token in tokens {
            let hidden = token.starts_with('<');
            for piece in token.chars().collect::<Vec<_>>().chunks(size) {
                let piece: String = piece.iter().collect();
                match if hidden { matcher.push_hidden(&piece) } else { matcher.push(&piece) } {
                    Progress::Continue(text) => shown += &text,
                    Progress::Stopped(text) => return (shown + &text, true),
                }
            }
        }
        (shown + &matcher.finish(), false)
    }

    #[test]
    fn the_result_does_not_depend_on_the_pieces() {
        let cases: [(&[&str], &str, &str, bool); 17] = [
            (&[], "all of it", "all of it", false),
            (&["END"], "one ENTER two END three", "one ENTER two ", true),
            (&["END"], "one EN", "one EN", false),
            (&["aab"], "aaaab", "aa", true),
            (&["abc", "b"], "xabc", "xa", true),
            (&["bc", "abc"], "xabc", "x", true),
            (&["\n\n", "User:"], "hi\nUser: x", "hi\n", true),
            (&["🦀é"], "a🦀🦀éb", "a🦀", true),
            (&["日本"], "日日本語", "日", true),
            (&[], "a<eot>b", "ab", false),
            (&["<eot>"], "hello<eot>more", "hello", true),
            (&["<eot>"], "<eot>", "", true),
            (&["o<eot>m"], "hello<eot>more", "hell", true),
            (&["<a><b>"], "x<a>y<a><b>z", "xy", true),
            (&["ab"], "xa<eot>bc", "x", true),
            (&["a<eot>c", "ab"], "xa<eot>bc", "x", true),
            (&["<eot>!"], "a<eot>b<eo", "ab", false),
        ];
        for (stops, text, shown, stopped) in cases {
            for size in 1..=text.len() {
                assert_eq!(
                    run(stops, text, size),
                    (shown.to_owned(), stopped),
                    "{stops:?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn only_possible_starts_of_stop_strings_are_withheld() {
        let mut matcher = StopMatcher::new(["stop".to_owned()]).unwrap();
        assert_eq!(matcher.push("a first st"), Progress::Continue("a first ".into()));
        assert_eq!(matcher.push("ep"), Progress::Continue("step".into()));
        assert_eq!(matcher.push("s"), Progress::Continue(String::new()));
        assert_eq!(matcher.finish(), "s");
    }

    #[test]
    fn the_stop_string_that_ended_the_text_is_known() {
        let mut matcher = StopMatcher::new(["bc", "abc", "x"].map(str::to_owned)).unwrap();
        matcher.push("ab");
        assert_eq!(matcher.found(), None);
        matcher.push("c");
        assert_eq!(matcher.found(), Some("abc"));
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        assert!(StopMatcher::new([String::new()]).unwrap_err().to_string().starts_with("stop: "));
    }
}
