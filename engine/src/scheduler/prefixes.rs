//! Finished sequences, kept because later prompts may begin like them.

use std::collections::VecDeque;

use crate::generate::Sequence;

/// Most sequences that are kept: every prompt is compared with all of them.
const MOST: usize = 256;

/// Kept sequences, the least recently used first.
#[derive(Debug, Default)]
pub(super) struct Prefixes(VecDeque<Sequence>);

impl Prefixes {
    /// Keeps a sequence that has ended, in place of those that it begins with.
    pub(super) fn keep(&mut self, mut sequence: Sequence) {
        if self.0.iter().any(|kept| kept.read().starts_with(sequence.read())) {
            return;
        }
        sequence.freeze();
        self.0.retain(|kept| !sequence.read().starts_with(kept.read()));
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(sequence);
    }

    /// Drops the least recently used sequence. Returns false if there is none.
    pub(super) fn drop_oldest(&mut self) -> bool {
        self.0.pop_front().is_some()
    }

    /// Lets `reader` share the longest prefix that one of the kept sequences has read, if that is longer than what it has.
    pub(super) fn share(&mut self, reader: &mut Sequence) {
        let lengths = self.0.iter().map(|kept| reader.common_prefix(kept));
        let longest = lengths.enumerate().max_by_key(|(_, length)| *length);
        let Some(kept) = longest.and_then(|(at, _)| self.0.remove(at)) else { return };
        reader.share_prefix(&kept);
        self.0.push_back(kept);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sequence> {
        self.0.iter()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
