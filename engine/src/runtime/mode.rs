//! In which arithmetic ternary layers are computed.

use std::str::FromStr;

use crate::error::{Error, Result};

/// In which arithmetic ternary layers are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// In integers, by micro-kernels, from packed weights.
    #[default]
    Fast,
    /// In floats, from weights that are not packed, as transformers does: what the fast mode is judged by.
    Exact(ActivationType),
}

/// What the exact mode multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationType {
    /// Floats that are rounded to what int8 can hold, as the fast mode rounds them.
    #[default]
    Int8,
    /// Floats as they are, for models of which only the weights were quantized in training.
    F32,
}

impl Mode {
    /// The name of each, and what Litespark-Inference calls it.
    pub const NAMES: [[&str; 2]; 2] = [["fast", "neon"], ["exact", "accelerate"]];

    /// Name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Fast => Self::NAMES[0][0],
            Mode::Exact(_) => Self::NAMES[1][0],
        }
    }

    /// The same mode with these activations.
    ///
    /// # Errors
    /// Fails if it cannot multiply them.
    pub fn with_activations(self, activations: ActivationType) -> Result<Self> {
        match (self, activations) {
            (Mode::Fast, ActivationType::F32) => Err(Error::bad_argument(
                "the activations",
                "the fast mode multiplies integers, not f32",
                "use the exact mode",
            )),
            (Mode::Fast, ActivationType::Int8) => Ok(Mode::Fast),
            (Mode::Exact(_), activations) => Ok(Mode::Exact(activations)),
        }
    }
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let modes = [Mode::Fast, Mode::Exact(ActivationType::default())];
        let named = modes.into_iter().zip(Self::NAMES).find(|(_, names)| names.contains(&name));
        named.map(|(mode, _)| mode).ok_or(())
    }
}

impl ActivationType {
    /// Both.
    pub const ALL: [ActivationType; 2] = [ActivationType::Int8, ActivationType::F32];

    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            ActivationType::Int8 => "int8",
            ActivationType::F32 => "f32",
        }
    }
}

impl FromStr for ActivationType {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        ActivationType::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}
