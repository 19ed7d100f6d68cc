//! The rotary embedding (Su et al. 2021).

use tercet_formats::config::Rope;

/// Cosines and sines of position · frequency, in f32 as transformers computes them.
#[derive(Debug)]
pub(super) struct Rotary {
    frequencies: Vec<f32>,
    factor: f32,
    half: usize,
    /// Of the positions reached so far.
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    pub(super) fn new(rope: &Rope, head_dim: usize) -> Self {
        let (frequencies, factor) = (rope.frequencies(head_dim), rope.attention_factor());
        Rotary { frequencies, factor, half: head_dim / 2, cos: Vec::new(), sin: Vec::new() }
    }

    /// Computes the positions below `end`, as far as they are not there yet.
    pub(super) fn reach(&mut self, end: usize) {
        for position in self.cos.len() / self.half..end {
            for frequency in &self.frequencies {
                let angle = position as f32 * frequency;
                self.cos.push(libm::cosf(angle) * self.factor);
                self.sin.push(libm::sinf(angle) * self.factor);
            }
        }
    }

    /// Returns the cosines and sines at `position`, head_dim / 2 of each.
    pub(super) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let start = position * self.half;
        (&self.cos[start..][..self.half], &self.sin[start..][..self.half])
    }
}
