//! The way from tokens to the caller's text.

use crate::error::Result;
use crate::stop::{Progress, StopMatcher};
use crate::tokenizer::{StreamDecoder, Tokenizer};

/// Text so far, up to a stop string.
#[derive(Debug)]
pub(super) struct TextStream {
    tokenizer: Tokenizer,
    decoder: StreamDecoder,
    stops: StopMatcher,
    has_stops: bool,
    text: String,
}

impl TextStream {
    /// Continues the text of the tokens `before`.
    pub(super) fn new(tokenizer: &Tokenizer, before: &[u32], stops: &[String]) -> Result<Self> {
        Ok(TextStream {
            tokenizer: tokenizer.clone(),
            decoder: tokenizer.stream_after(before, true)?,
            has_stops: !stops.is_empty(),
            stops: StopMatcher::new(stops.iter().cloned())?,
            text: String::new(),
        })
    }

    /// The text that `id` makes certain, and whether a stop string is now complete. Special tokens have no text, but stop
    /// strings may spell them.
    pub(super) fn push(&mut self, id: u32) -> Result<(String, bool)> {
        let special = self.tokenizer.special(id).filter(|_| self.has_stops);
        // A special token that may end the text comes after all text so far.
        let piece = if special.is_some() { self.decoder.flush()? } else { self.decoder.push(id)? };
        let (mut shown, mut stopped) = self.pass(|stops| stops.push(&piece));
        if let Some(special) = special.filter(|_| !stopped) {
            let (more, complete) = self.pass(|stops| stops.push_hidden(&special));
            shown.push_str(&more);
            stopped = complete;
        }
        Ok((shown, stopped))
    }

    /// The text that was withheld, once no token can follow, and whether a stop string cut it.
    pub(super) fn flush(&mut self) -> Result<(String, bool)> {
        let rest = self.decoder.flush()?;
        let (mut shown, stopped) = self.pass(|stops| stops.push(&rest));
        if !stopped {
            let withheld = self.stops.finish();
            self.text.push_str(&withheld);
            shown.push_str(&withheld);
        }
        Ok((shown, stopped))
    }

    /// The whole text, and the stop string that ended it.
    pub(super) fn finish(self) -> (String, Option<String>) {
        (self.text, self.stops.found().map(str::to_owned))
    }

    fn pass(&mut self, push: impl FnOnce(&mut StopMatcher) -> Progress) -> (String, bool) {
        let (shown, stopped) = match push(&mut self.stops) {
            Progress::Continue(shown) => (shown, false),
            Progress::Stopped(shown) => (shown, true),
        };
        self.text.push_str(&shown);
        (shown, stopped)
    }
}
