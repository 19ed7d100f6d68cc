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
    text: String,
}

impl TextStream {
    pub(super) fn new(tokenizer: &Tokenizer, stops: &[String]) -> Result<Self> {
        let stops = StopMatcher::new(stops.iter().cloned())?;
        let (tokenizer, decoder) = (tokenizer.clone(), tokenizer.stream(true));
        Ok(TextStream { tokenizer, decoder, stops, text: String::new() })
    }

    /// The text that `id` makes certain, and whether a stop string is now complete. Special tokens have no text, but stop
    /// strings may spell them.
    pub(super) fn push(&mut self, id: u32) -> Result<(String, bool)> {
        let piece = self.decoder.push(id)?;
        let (mut shown, mut stopped) = self.pass(|stops| stops.push(&piece));
        if let Some(special) = self.tokenizer.special(id).filter(|_| !stopped) {
            let (more, complete) = self.pass(|stops| stops.push_hidden(&special));
            shown.push_str(&more);
            stopped = complete;
        }
        Ok((shown, stopped))
    }

    /// The text that was withheld, once no token can follow, and whether a stop string cut it.
    pub(super) fn flush(&mut self) -> Result<(String, bool)> {
        let rest = self.decoder.clone().finish()?;
        let (mut shown, stopped) = self.pass(|stops| stops.push(&rest));
        if !stopped {
            let withheld = self.stops.finish();
            self.text.push_str(&withheld);
            shown.push_str(&withheld);
        }
        Ok((shown, stopped))
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.text
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
