//! What forward passes leave out, and what they compute: counted while somebody asks.

use std::ops::AddAssign;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Model;

/// The zeros of one layer's feed-forward block, over some tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zeros {
    /// Tokens × the width of the block.
    pub elements: u64,
    /// Gates that are not positive. With ReLU² their rows of `up` count for nothing.
    pub gates: u64,
    /// Inputs of `down` that are zero after rounding. Their columns count for nothing.
    pub inputs: u64,
    /// Bytes of `up` and `down` that were not read, because these rows and columns were skipped.
    pub skipped_bytes: u64,
}

impl AddAssign for Zeros {
    fn add_assign(&mut self, other: Zeros) {
        self.elements += other.elements;
        self.gates += other.gates;
        self.inputs += other.inputs;
        self.skipped_bytes += other.skipped_bytes;
    }
}

/// Counts of forward passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The zeros in each layer's feed-forward block. The last layer has those of the tokens with wanted logits only.
    pub layers: Vec<Zeros>,
    /// Tokens whose logits were wanted.
    pub predictions: u64,
    /// Rows of the output head that were computed exactly for them. A screen keeps these, and excludes the others.
    pub head_rows: u64,
    /// Bytes of the head's quantized copy that were read for them.
    pub screen_bytes: u64,
}

impl Work {
    /// Returns the zeros of all layers.
    pub fn zeros(&self) -> Zeros {
        let mut sum = Zeros::default();
        self.layers.iter().for_each(|layer| sum += *layer);
        sum
    }
}

/// The counts of one model, while somebody asks.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Option<Work>>);

impl Meter {
    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the zeros among some tokens' gates, before the activation, unless nobody asks.
    pub(super) fn gates(&self, gates: &[f32]) -> Option<Zeros> {
        self.work().as_ref()?;
        let negative = gates.iter().filter(|gate| **gate <= 0.0).count() as u64;
        Some(Zeros { elements: gates.len() as u64, gates: negative, ..Zeros::default() })
    }

    /// Adds the zeros of layer `layer`.
    pub(super) fn add_zeros(&self, layer: usize, zeros: Zeros) {
        if let Some(total) = self.work().as_mut().and_then(|work| work.layers.get_mut(layer)) {
            *total += zeros;
        }
    }

    /// Adds predictions of tokens, the rows of the head that were computed for them, and the bytes of its screen.
    pub(super) fn add_predictions(&self, predictions: usize, rows: usize, screen_bytes: usize) {
        if let Some(work) = self.work().as_mut() {
            work.predictions += predictions as u64;
            work.head_rows += rows as u64;
            work.screen_bytes += screen_bytes as u64;
        }
    }
}

impl Model {
    /// Calls `work`, and returns the counts of all forward passes meanwhile. One caller may count at a time: with several, the
    /// first to end has the counts since the last one began.
    pub fn counting<T>(&self, work: impl FnOnce() -> T) -> (T, Work) {
        let layers = vec![Zeros::default(); self.config.layers];
        *self.meter.work() = Some(Work { layers, ..Work::default() });
        let outcome = work();
        (outcome, self.meter.work().take().unwrap_or_default())
    }
}
