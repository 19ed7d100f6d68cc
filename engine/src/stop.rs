//! Finds stop strings in text that arrives in pieces.

use crate::error::{Error, Result};

/// Finds stop strings in a stream of text, and withholds text that could be the start of one.
///
/// The result does not depend on how the text is cut into pieces. The stop string that is complete
/// first ends the text. If several are complete at the same character, it ends before the longest.
///
/// ```
/// use tercet_engine::{Progress, StopMatcher};
///
/// let mut matcher = StopMatcher::new(["END".to_owned()])?;
/// assert_eq!(matcher.push("one E"), Progress::Continue("one ".to_owned()));
/// assert_eq!(matcher.push("NTER two EN"), Progress::Continue("ENTER two ".to_owned()));
/// assert_eq!(matcher.push("D three"), Progress::Stopped(String::new()));
/// # Ok::<(), tercet_engine::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
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
        Ok(StopMatcher { stops, held: String::new() })
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, piece: &str) -> Progress {
        self.held.push_str(piece);
        match self.first_stop() {
            Some(start) => {
                self.held.truncate(start);
                Progress::Stopped(std::mem::take(&mut self.held))
            }
            None => {
                let doubtful = self.held.split_off(self.safe_len());
                Progress::Continue(std::mem::replace(&mut self.held, doubtful))
            }
        }
    }

    /// Returns the withheld text, at the end of the stream.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Returns the start of the stop string that ends first.
    fn first_stop(&self) -> Option<usize> {
        let found = |stop: &String| self.held.find(stop.as_str()).map(|start| (start + stop.len(), start));
        self.stops.iter().filter_map(found).min().map(|(_, start)| start)
    }

    /// Returns the number of bytes before the earliest suffix that could start a stop string.
    fn safe_len(&self) -> usize {
        let begins_stop = |suffix: &str| self.stops.iter().any(|stop| stop.starts_with(suffix));
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let first = self.held.len().saturating_sub(longest);
        let starts = self.held.char_indices().map(|(start, _)| start);
        starts
            .filter(|&start| start >= first)
            .find(|&start| begins_stop(&self.held[start..]))
            .unwrap_or(self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text that is shown if `text` arrives in pieces of `size` characters, and true if it
    /// stopped.
    fn run(stops: &[&str], text: &str, size: usize) -> (String, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(|s| s.to_string())).unwrap();
        let mut shown = String::new();
        for piece in text.chars().collect::<Vec<_>>().chunks(size) {
            match matcher.push(&piece.iter().collect::<String>()) {
                Progress::Continue(text) => shown += &text,
                Progress::Stopped(text) => return (shown + &text, true),
            }
        }
        (shown + &matcher.finish(), false)
    }

    #[test]
    fn the_result_does_not_depend_on_the_pieces() {
        let cases: [(&[&str], &str, &str, bool); 9] = [
            (&[], "all of it", "all of it", false),
            (&["END"], "one ENTER two END three", "one ENTER two ", true),
            (&["END"], "one EN", "one EN", false),
            (&["aab"], "aaaab", "aa", true),
            (&["abc", "b"], "xabc", "xa", true),
            (&["bc", "abc"], "xabc", "x", true),
            (&["\n\n", "User:"], "hi\nUser: x", "hi\n", true),
            (&["🦀é"], "a🦀🦀éb", "a🦀", true),
            (&["日本"], "日日本語", "日", true),
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
    fn an_empty_stop_string_is_refused() {
        assert!(StopMatcher::new([String::new()]).unwrap_err().to_string().starts_with("stop: "));
    }
}
