//! Checks a model's first layer against plain arithmetic on the same files.
//!
//! [`tercet_codegen::verify`] checks the kernels one by one. This module checks the engine around them.

mod reference;

use tercet_codegen::{Isa, Packing};

use crate::error::Result;
use crate::model::{Logits, Model};
use crate::runtime::{CacheType, Runtime, RuntimeOptions};
use crate::sampler::argmax;
use tercet_formats::Config;
use tercet_formats::ModelFiles;

/// The check of one ISA and packing: the first layer, followed by the output head.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// Instruction set.
    pub isa: Isa,
    /// Packing of the weights.
    pub packing: Packing,
    /// True if every logit has the same bits as with the portable kernels and 2-bit packing.
    pub identical: bool,
    /// Mean absolute difference between these logits and the reference's.
    pub mean_difference: f64,
    /// Positions with a wrong best token: its logit in the reference is below the largest by more than
    /// the [tolerance](LayerReport::TOLERANCE).
    pub other_choices: usize,
}

impl LayerReport {
    /// The largest mean difference that the order of summation can explain: it can round an activation
    /// the other way.
    pub const TOLERANCE: f64 = 0.02;

    /// Returns true if the check found no fault.
    pub fn passed(&self) -> bool {
        self.identical && self.mean_difference < Self::TOLERANCE && self.other_choices == 0
    }
}

/// Runs a few tokens through a model's first layer, with each of `isas` and each packing.
///
/// This CPU must have all of `isas`.
///
/// # Errors
/// Fails like [`Model::load`].
pub fn first_layer(files: &ModelFiles, isas: &[Isa]) -> Result<Vec<LayerReport>> {
    let config = Config::load(files)?;
    let tokens = tokens(&config);
    let expected = reference::logits(files, &config, &tokens)?;
    let portable = engine(files, Isa::Portable, Packing::Bits2, &tokens)?;
    let mut reports = Vec::new();
    for &isa in isas {
        for packing in Packing::TERNARY {
            let logits = engine(files, isa, packing, &tokens)?;
            reports.push(LayerReport {
                isa,
                packing,
                identical: logits.iter().map(|l| l.to_bits()).eq(portable.iter().map(|l| l.to_bits())),
                mean_difference: mean_difference(&logits, &expected),
                other_choices: other_choices(&logits, &expected, config.vocab_size),
            });
        }
    }
    Ok(reports)
}

/// Returns tokens from the whole vocabulary, more than fit one tile.
fn tokens(config: &Config) -> Vec<u32> {
    (0..config.max_positions.min(9)).map(|i| ((7919 * i + 5) % config.vocab_size) as u32).collect()
}

/// Returns the engine's logits, with a KV cache in f32 as in the reference.
fn engine(files: &ModelFiles, isa: Isa, packing: Packing, tokens: &[u32]) -> Result<Vec<f32>> {
    let options = RuntimeOptions {
        isa_cap: Some(isa),
        packing: Some(packing),
        cache_type: Some(CacheType::F32),
        ..RuntimeOptions::default()
    };
    let model = Model::load_layers(files, &Runtime::new(&options), 1)?;
    let mut state = model.new_state(tokens.len())?;
    Ok(model.forward(&mut state, tokens, Logits::All)?.to_vec())
}

fn mean_difference(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / a.len() as f64
}

fn other_choices(logits: &[f32], expected: &[f32], vocabulary: usize) -> usize {
    let rows = logits.chunks(vocabulary).zip(expected.chunks(vocabulary));
    let worse = |(logits, expected): &(&[f32], &[f32])| {
        let best = expected.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        f64::from(best - expected[argmax(logits).0 as usize]) > LayerReport::TOLERANCE
    };
    rows.filter(worse).count()
}
