//! Stop strings in text that arrives in pieces.

use crate::error::{Error, Result};

/// Withholds text that may be the beginning of a stop string until it is known to be none.
///
/// The outcome depends on the text alone, not on where it was cut into pieces: the stop string that is complete
/// first ends it, and of those complete at once the longest.
#[derive(Clone, Debug)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What a piece of text led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No stop string yet; this much more may be shown.
    Continue(String),
    /// A stop string is complete; this much is to be shown before it, and nothing after.
    Stopped(String),
}

impl StopMatcher {
    /// Watches for any of `stops`; without any, every piece passes.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if one is empty.
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

    /// The text that was withheld, once no more can follow.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where the stop string that ends first starts.
    fn first_stop(&self) -> Option<usize> {
        let found = |stop: &String| self.held.find(stop.as_str()).map(|start| (start + stop.len(), start));
        self.stops.iter().filter_map(found).min().map(|(_, start)| start)
    }

    /// The bytes in front of the earliest suffix that begins a stop string.
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

    /// What is shown when `text` arrives in pieces of `size` characters, and whether it stopped.
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
    fn cuts_into_pieces_do_not_matter() {
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
    fn only_doubtful_text_is_withheld() {
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
