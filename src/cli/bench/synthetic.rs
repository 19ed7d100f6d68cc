//! Random weights: their shape, and what they have in common with trained ones.

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tercet_engine::Preset;

/// The choice of random weights.
#[derive(Args, Debug)]
#[command(next_help_heading = "Model")]
pub(super) struct SyntheticArgs {
    /// Use random weights in the shapes of a known model: bitnet-2b-4t
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    synthetic: Option<String>,
    /// Share of random gates that are positive, where the activation is ReLU² [default: 0.37]
    #[arg(long, value_name = "SHARE", requires = "synthetic", conflicts_with = "model")]
    gate_density: Option<f64>,
    /// Distance of the best random logit from the mean, in standard deviations [default: 9]
    #[arg(long, value_name = "DEVIATIONS", requires = "synthetic", conflicts_with = "model")]
    head_peak: Option<f64>,
}

impl SyntheticArgs {
    /// Returns the shape and likeness of random weights, if the model has these.
    ///
    /// # Errors
    /// Fails if there is no such shape, or it cannot have this likeness.
    pub(super) fn preset(&self) -> Result<Option<Preset>> {
        let Some(name) = &self.synthetic else { return Ok(None) };
        let mut preset = Preset::find(name)?;
        if let Some(share) = self.gate_density {
            preset = preset.with_gate_density(share)?;
        }
        if let Some(deviations) = self.head_peak {
            preset = preset.with_head_peak(deviations)?;
        }
        Ok(Some(preset))
    }
}

/// What random weights have in common with trained ones.
#[derive(Debug, Serialize)]
pub(super) struct Likeness {
    /// The share of gates that are positive. None if the activation is not ReLU².
    gate_density: Option<f64>,
    /// The distance of the best logit from the mean, in standard deviations.
    head_peak: f64,
}

impl Likeness {
    pub(super) fn of(preset: &Preset) -> Self {
        Likeness { gate_density: preset.gate_density(), head_peak: preset.head_peak() }
    }

    /// Returns a line for the table's title.
    pub(super) fn line(&self) -> String {
        let gates = self.gate_density.map(|share| format!("{:.0} % of gates positive, ", 100.0 * share));
        let (gates, peak) = (gates.unwrap_or_default(), self.head_peak);
        format!("random weights: {gates}best logit {peak:.1} deviations above the mean\n")
    }
}
