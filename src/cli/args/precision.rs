//! The arithmetic of the model: mode, activations, output head, keys and values.

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tercet_engine::{ActivationType, CacheType, HeadMode, Mode, RuntimeOptions};

use super::RuntimeArgs;

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Precision")]
pub(in crate::cli) struct ModeArgs {
    /// Arithmetic of the ternary layers; by default fast
    #[arg(long, value_name = "MODE", value_parser = mode(), display_order = 0, hide_short_help = true)]
    pub(in crate::cli) mode: Option<Mode>,
}

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Precision")]
pub(in crate::cli) struct PrecisionArgs {
    /// Activations in the exact mode; by default int8
    #[arg(long, value_name = "TYPE", value_parser = activations(), hide_short_help = true)]
    pub(in crate::cli) activations: Option<ActivationType>,
    /// Computation of the output head; by default exact
    ///
    /// TERCET_HEAD sets the default.
    #[arg(long, value_name = "HEAD", value_parser = head(), hide_short_help = true)]
    head: Option<HeadMode>,
    /// Type of keys and values; by default f16, and f32 in the exact mode
    ///
    /// TERCET_CACHE_TYPE sets the default.
    #[arg(long, value_name = "TYPE", value_parser = cache_type(), hide_short_help = true)]
    cache_type: Option<CacheType>,
}

impl RuntimeArgs for ModeArgs {
    fn apply(&self, options: &mut RuntimeOptions) -> Result<()> {
        options.mode = self.mode.unwrap_or(options.mode);
        Ok(())
    }
}

/// Applies after [`ModeArgs`], because only the exact mode has a choice of activations.
impl RuntimeArgs for PrecisionArgs {
    fn apply(&self, options: &mut RuntimeOptions) -> Result<()> {
        if let Some(activations) = self.activations {
            options.mode = options.mode.with_activations(activations)?;
        }
        options.head = self.head.unwrap_or(options.head);
        options.cache_type = self.cache_type.or(options.cache_type);
        Ok(())
    }
}

fn mode() -> impl TypedValueParser<Value = Mode> {
    let modes = [Mode::Fast, Mode::Exact(ActivationType::default())];
    let values = modes.map(|mode| {
        PossibleValue::new(mode.name()).help(match mode {
            Mode::Fast => "Integers and micro-kernels",
            Mode::Exact(_) => "Floats, slow, as a reference",
        })
    });
    PossibleValuesParser::new(values).map(|name| name.parse().unwrap_or_default())
}

fn activations() -> impl TypedValueParser<Value = ActivationType> {
    let values = ActivationType::ALL.map(|kind| {
        PossibleValue::new(kind.name()).help(match kind {
            ActivationType::Int8 => "Rounded as in the fast mode",
            ActivationType::F32 => "Not rounded",
        })
    });
    PossibleValuesParser::new(values).map(|name| name.parse().unwrap_or_default())
}

fn head() -> impl TypedValueParser<Value = HeadMode> {
    let values = HeadMode::ALL.map(|head| {
        PossibleValue::new(head.name()).help(match head {
            HeadMode::Exact => "The text of bf16 from half the bytes: a bound proves most rows irrelevant",
            HeadMode::Bf16 => "Every row as stored",
            HeadMode::Int8 => "Every row from a quantized copy: approximate",
        })
    });
    PossibleValuesParser::new(values).map(|name| name.parse().unwrap_or_default())
}

fn cache_type() -> impl TypedValueParser<Value = CacheType> {
    let values = CacheType::ALL.map(|kind| {
        PossibleValue::new(kind.name()).help(match kind {
            CacheType::F16 => "Half precision: half the memory",
            CacheType::F32 => "As computed",
            CacheType::Q8 => "A byte each: a quarter, for long contexts",
        })
    });
    PossibleValuesParser::new(values).map(|name| name.parse().unwrap_or_default())
}
