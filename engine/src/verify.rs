//! One layer of a model, judged by plain arithmetic on the same files.
//!
//! Kernels are judged one by one by [`tercet_codegen::verify`]; this judges what the engine makes of them.

mod reference;

use tercet_codegen::{Isa, Packing};

use crate::error::Result;
use crate::model::{Logits, Model};
use crate::runtime::{CacheType, Runtime, RuntimeOptions};
use tercet_formats::Config;
use tercet_formats::ModelFiles;

/// What one ISA and packing makes of the first layer, with the output head behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerReport {
    /// Instruction set.
    pub isa: Isa,
    /// Packing of the weights.
    pub packing: Packing,
    /// Whether every logit equals the portable family's 2-bit one, bit for bit.
    pub identical: bool,
    /// Mean |difference| of the logits to the reference's.
    pub mean_difference: f64,
    /// Positions whose best token the reference finds worse than its own best by more than [`LayerReport::TOLERANCE`].
    pub other_choices: usize,
}

impl LayerReport {
    /// Largest mean difference that orders of summation may cause: now and then an activation rounds the other way.
    pub const TOLERANCE: f64 = 0.02;

    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        self.identical && self.mean_difference < Self::TOLERANCE && self.other_choices == 0
    }
}

/// Runs a few tokens through the first layer of a model with each of `isas`, which this CPU must have, and each packing.
///
/// # Errors
/// Those of [`Model::load`].
pub fn first_layer(files: &ModelFiles, isas: &[Isa]) -> Result<Vec<LayerReport>> {
    let config = Config { layers: 1, ..Config::load(files)? };
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

/// More than a tile holds, spread over the vocabulary.
fn tokens(config: &Config) -> Vec<u32> {
    (0..config.max_positions.min(9)).map(|i| ((7919 * i + 5) % config.vocab_size) as u32).collect()
}

/// The engine's logits, with keys and values as the reference keeps them.
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
        f64::from(best - expected[argmax(logits)]) > LayerReport::TOLERANCE
    };
    rows.filter(worse).count()
}

fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
}
