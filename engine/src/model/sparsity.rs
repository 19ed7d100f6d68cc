//! Counts of zeros in feed-forward blocks.

/// The zeros of one layer's feed-forward block, over the tokens of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zeros {
    /// Tokens × the width of the block.
    pub elements: u64,
    /// Gates that are not positive. With ReLU² their rows of `up` count for nothing.
    pub gates: u64,
    /// Inputs of `down` that are zero after rounding. Their columns count for nothing.
    pub inputs: u64,
}

impl Zeros {
    /// Adds the gates of some tokens, before the activation.
    pub(super) fn count_gates(&mut self, gates: &[f32]) {
        self.elements += gates.len() as u64;
        self.gates += gates.iter().filter(|gate| **gate <= 0.0).count() as u64;
    }
}
