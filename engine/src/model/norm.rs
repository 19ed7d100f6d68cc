//! RMSNorm with a gain.

use crate::error::Result;
use crate::vectors::ops;
use tercet_formats::Checkpoint;

/// The norm x / √(mean x² + eps) · gain (Zhang and Sennrich 2019).
#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) gain: Vec<f32>,
    pub(super) eps: f32,
}

impl Norm {
    /// Reads the norm with the gain `name.weight`, `width` wide.
    pub(super) fn load(checkpoint: &dyn Checkpoint, name: &str, width: usize, eps: f32) -> Result<Self> {
        Ok(Norm { gain: checkpoint.vector(&format!("{name}.weight"), width)?, eps })
    }

    /// Returns a norm with gain 1.
    pub(super) fn plain(width: usize, eps: f32) -> Self {
        Norm { gain: vec![1.0; width], eps }
    }

    /// Writes the normed `x` to `out`.
    pub(super) fn apply(&self, out: &mut [f32], x: &[f32]) {
        ops::rms_norm(out, x, &self.gain, self.eps);
    }

    /// Norms each chunk of `x` in place; a chunk is as long as the gain.
    pub(super) fn apply_in_place(&self, x: &mut [f32]) {
        x.chunks_exact_mut(self.gain.len()).for_each(|x| ops::rms_norm_in_place(x, &self.gain, self.eps));
    }
}
