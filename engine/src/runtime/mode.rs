//! The arithmetic of ternary layers.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::named::named;
use crate::options::UnknownName;

/// The arithmetic of ternary layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Integers, by micro-kernels, from packed weights.
    #[default]
    Fast,
    /// Floats, from weights that are not packed, as transformers computes them. The fast mode is judged by it.
    Exact(ActivationType),
}

named! {
    /// The activations that the exact mode multiplies.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum ActivationType {
        /// Floats rounded to the values of int8, as in the fast mode.
        #[default]
        Int8 = "int8",
        /// Floats as they are, for models that quantize only weights in training.
        F32 = "f32",
    }
}

impl Mode {
    /// The names of the modes.
    pub const NAMES: [&str; 2] = ["fast", "exact"];

    /// Returns the name in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Fast => Self::NAMES[0],
            Mode::Exact(_) => Self::NAMES[1],
        }
    }

    /// Returns the same mode with these activations.
    ///
    /// # Errors
    /// Fails if the mode cannot multiply them.
    pub fn with_activations(self, activations: ActivationType) -> Result<Self> {
        match (self, activations) {
            (Mode::Fast, ActivationType::F32) => Err(Error::bad_argument(
                "activations",
                "the fast mode multiplies integers, not f32",
                "use the exact mode",
            )),
            (Mode::Fast, ActivationType::Int8) => Ok(Mode::Fast),
            (Mode::Exact(_), activations) => Ok(Mode::Exact(activations)),
        }
    }
}

impl FromStr for Mode {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "fast" => Ok(Mode::Fast),
            "exact" => Ok(Mode::Exact(ActivationType::default())),
            _ => Err(UnknownName),
        }
    }
}
