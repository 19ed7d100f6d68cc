//! Models with the shapes of published models and seeded random weights, for benchmarks without
//! downloads.

mod likeness;
mod presets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use half::bf16;
use tercet_kernels_ref::random::SplitMix;
use tercet_pool::Pool;

use super::linear::Linear;
use super::norm::Norm;
use super::packer::{Packer, Skipped};
use super::weights::{FloatRows, Source, Table, Weights};
use crate::error::Result;
pub use presets::{PRESETS, Preset};
use tercet_formats::config::{Config, HEAD, Part, Role, Tensor};
use tercet_formats::{Scales, StoredFloats, Ternary};

/// Embeddings are uniform over a range of this width.
const WIDTH: f32 = 0.1;

impl Preset {
    /// Draws seeded random weights. A third of the ternary ones are zero, and norms but the last are 1.
    pub(super) fn weights(&self, config: &Config, packer: &Packer<'_>, pool: &Pool) -> Result<Weights> {
        let parts = (0..config.layers).flat_map(|layer| config.layer(layer));
        let ternary = parts.filter(|(_, tensor)| matches!(tensor.role, Role::Ternary(..)));
        let parts = ternary.zip(0..).map(|((part, tensor), seed)| (tensor.name, (part, seed))).collect();
        Weights::of(config, &Random { preset: self, config, packer, pool, parts }, pool)
    }
}

/// Draws a preset's tensors at random.
struct Random<'a> {
    preset: &'a Preset,
    config: &'a Config,
    packer: &'a Packer<'a>,
    pool: &'a Pool,
    /// Parts and seeds of the ternary layers by the names of their tensors.
    parts: HashMap<String, (Part, u64)>,
}

impl Random<'_> {
    /// Packs n × k `trits`. Row i is `length(i)` times as long as its weights are by `scale`. The layer may skip some weights.
    fn matrix(
        &self,
        (n, k): (usize, usize),
        trits: Vec<i8>,
        scale: f32,
        length: impl Fn(usize) -> f32,
        skipped: Skipped,
    ) -> Result<Linear> {
        let scales = match self.preset.group_size {
            None => Scales::Tensor(scale),
            Some(size) => {
                let groups = |row| std::iter::repeat_n(scale * length(row), k.div_ceil(size));
                Scales::Groups { size, values: (0..n).flat_map(groups).collect() }
            }
        };
        let ternary = Ternary { trits, scales };
        self.packer.skipping(skipped, (n, k), ternary, None)
    }
}

impl Source for Random<'_> {
    fn norm(&self, tensor: &Tensor) -> Result<Norm> {
        let mut norm = Norm::plain(tensor.matrix().0, self.config.rms_norm_eps);
        if self.preset.has_zero_gates() && *tensor == self.config.final_norm() {
            let gains = norm.gain.iter_mut().enumerate();
            gains.for_each(|(channel, gain)| *gain = likeness::last_gain(channel));
        }
        Ok(norm)
    }

    fn linear(&self, tensor: &Tensor, skipped: Skipped) -> Result<Linear> {
        let ((n, k), &(part, seed)) = (tensor.matrix(), &self.parts[&tensor.name]);
        let (mut trits, mut scale) = (random_trits(n * k, seed), 1.0 / (k as f32).sqrt());
        match part {
            _ if !self.preset.has_zero_gates() => {}
            Part::Gate => likeness::lean(&mut trits, k, self.preset.gate_density, seed),
            Part::Output | Part::Down => scale = likeness::added_scale(WIDTH, k, self.config.layers),
            _ => {}
        }
        self.matrix((n, k), trits, scale, |_| 1.0, skipped)
    }

    fn table(&self, tensor: &Tensor) -> Result<Table> {
        let (rows, width) = tensor.matrix();
        let seed = u64::from(tensor.module() == HEAD);
        let length = |row| likeness::length(row, rows, self.preset.head_peak);
        if self.preset.group_size.is_some() {
            let (trits, scale) = (random_trits(rows * width, !seed), 1.0 / (width as f32).sqrt());
            return Ok(Table::Ternary(Box::new(self.matrix(
                (rows, width),
                trits,
                scale,
                length,
                Skipped::Nothing,
            )?)));
        }
        let mut floats = vec![0; 2 * rows * width];
        self.pool.chunks(&mut floats, 2 * width, |row, bytes| {
            let mut random = SplitMix(!(row as u64 + (seed << 32)));
            let length = length(row);
            let elements = bytes.as_chunks_mut::<2>().0;
            for element in &mut *elements {
                let uniform = (random.next_u64() >> 40) as f32 / (1 << 24) as f32;
                *element = bf16::from_f32(length * (uniform - 0.5) * WIDTH).to_le_bytes();
            }
            if self.preset.has_zero_gates() {
                let constant = bf16::from_f32(length * likeness::constant(WIDTH)).to_le_bytes();
                likeness::constant_channels(width).for_each(|channel| elements[channel] = constant);
            }
        });
        Ok(Table::Floats(FloatRows { floats: StoredFloats::of_bf16(floats), width }))
    }
}

/// Returns `count` seeded random ternary weights.
pub(crate) fn random_trits(count: usize, seed: u64) -> Vec<i8> {
    let mut random = SplitMix(seed << 32);
    let mut trits = Vec::with_capacity(count + 8);
    while trits.len() < count {
        trits.extend(random.next_u64().to_le_bytes().map(|byte| (byte % 3) as i8 - 1));
    }
    trits.truncate(count);
    trits
}
