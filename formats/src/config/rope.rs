//! Frequencies of the rotary embedding (Su et al. 2021), and their stretching for long contexts.

use std::f64::consts::PI;
use std::sync::Arc;

use super::Family;
use crate::error::Result;
use crate::json::Object;
use crate::keys;

/// A rotary embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f32,
    /// The change to the frequencies for long contexts.
    pub scaling: RopeScaling,
}

/// A change to the frequencies, as in transformers' `modeling_rope_utils`.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// No change.
    None,
    /// Every frequency is divided by the factor.
    Linear {
        /// Length of the stretched context, relative to the original one.
        factor: f32,
    },
    /// Llama 3.1's rule. Frequencies of long waves are divided by the factor, those of short waves
    /// are kept, and the rest is interpolated.
    Llama3 {
        /// Length of the stretched context, relative to the original one.
        factor: f32,
        /// Waves longer than the original context divided by this number are long.
        low_freq_factor: f32,
        /// Waves shorter than the original context divided by this number are short.
        high_freq_factor: f32,
        /// Positions before stretching.
        original_positions: f32,
    },
    /// YaRN (Peng et al. 2023), which also scales cosines and sines.
    Yarn {
        /// Length of the stretched context, relative to the original one.
        factor: f32,
        /// Turns within the original context above which a frequency is kept.
        beta_fast: f32,
        /// Turns within the original context below which a frequency is divided by the factor.
        beta_slow: f32,
        /// Positions before stretching.
        original_positions: f32,
        /// Factor of cosines and sines.
        attention_factor: f32,
    },
    /// LongRoPE (Ding et al. 2024) with the same factors for short and long texts: every frequency
    /// has a divisor of its own. GGUF stores any stretching in this form.
    LongRope {
        /// One divisor for each frequency.
        factors: Arc<[f32]>,
        /// Factor of cosines and sines.
        attention_factor: f32,
    },
}

impl Rope {
    /// Reads the embedding of a `config.json`, from its top level and from its [`scaling`].
    pub(super) fn parse(
        root: &Object<'_>,
        default_theta: f32,
        head_dim: usize,
        max_positions: usize,
    ) -> Result<Self> {
        let base = |object: &Object<'_>| object.number("rope_theta", "a positive number", |n| n > 0.0);
        let theta = base(root)?.unwrap_or(default_theta);
        let Some(object) = scaling(root)? else { return Ok(Rope { theta, scaling: RopeScaling::None }) };
        let original =
            root.number(ORIGINAL, "a positive number", |n| n > 0.0)?.or(positive(&object, ORIGINAL)?);
        Ok(Rope {
            theta: base(&object)?.unwrap_or(theta),
            scaling: RopeScaling::parse(&object, head_dim, original.unwrap_or(max_positions as f32))?,
        })
    }

    /// Returns the angle per position of each pair of elements, computed in f32 like in
    /// transformers.
    pub fn frequencies(&self, head_dim: usize) -> Vec<f32> {
        let frequency = |i| 1.0 / libm::powf(self.theta, (2 * i) as f32 / head_dim as f32);
        (0..head_dim / 2).map(|i| self.stretched(frequency(i), i, head_dim)).collect()
    }

    /// Returns the divisor of each frequency, or `None` for YaRN, which has keys of its own in GGUF.
    pub fn factors(&self, head_dim: usize) -> Option<Vec<f32>> {
        match &self.scaling {
            RopeScaling::None | RopeScaling::Linear { .. } | RopeScaling::Llama3 { .. } => {
                let plain = Rope { scaling: RopeScaling::None, ..self.clone() }.frequencies(head_dim);
                let stretched = self.frequencies(head_dim);
                Some(plain.iter().zip(stretched).map(|(plain, stretched)| plain / stretched).collect())
            }
            RopeScaling::LongRope { factors, .. } => Some(factors.to_vec()),
            RopeScaling::Yarn { .. } => None,
        }
    }

    /// Returns the stretched frequency of pair `i`.
    fn stretched(&self, frequency: f32, i: usize, head_dim: usize) -> f32 {
        match &self.scaling {
            RopeScaling::LongRope { factors, .. } => frequency / factors[i],
            &RopeScaling::None => frequency,
            &RopeScaling::Linear { factor } => frequency / factor,
            &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => {
                let wave = 2.0 * PI as f32 / frequency;
                if wave < original_positions / high_freq_factor {
                    return frequency;
                }
                if wave > original_positions / low_freq_factor {
                    return frequency / factor;
                }
                let kept =
                    (original_positions / wave - low_freq_factor) / (high_freq_factor - low_freq_factor);
                (1.0 - kept) * frequency / factor + kept * frequency
            }
            &RopeScaling::Yarn { factor, beta_fast, beta_slow, original_positions, .. } => {
                let pair = |turns: f32| {
                    let wave = f64::from(original_positions) / (f64::from(turns) * 2.0 * PI);
                    head_dim as f64 * libm::log(wave) / (2.0 * libm::log(f64::from(self.theta)))
                };
                let first = pair(beta_fast).floor().max(0.0) as f32;
                let last = pair(beta_slow).ceil().min((head_dim - 1) as f64) as f32;
                let width = if first == last { 0.001 } else { last - first };
                let kept = 1.0 - ((i as f32 - first) / width).clamp(0.0, 1.0);
                frequency / factor * (1.0 - kept) + frequency * kept
            }
        }
    }

    /// Returns the factor of cosines and sines.
    pub fn attention_factor(&self) -> f32 {
        match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } => {
                attention_factor
            }
            _ => 1.0,
        }
    }
}

impl RopeScaling {
    fn parse(object: &Object<'_>, head_dim: usize, original_positions: f32) -> Result<Self> {
        let positive = |name| positive(object, name);
        let required = |name| object.require(name, positive(name)?);
        let (name, kind) = kind(object)?;
        match kind {
            "default" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor: required("factor")? }),
            "llama3" => {
                let (low_freq_factor, high_freq_factor) =
                    (required("low_freq_factor")?, required("high_freq_factor")?);
                if high_freq_factor <= low_freq_factor {
                    let problem =
                        format!("{high_freq_factor} is not above low_freq_factor, {low_freq_factor}");
                    return Err(object.malformed("high_freq_factor", &problem));
                }
                Ok(RopeScaling::Llama3 {
                    factor: required("factor")?,
                    low_freq_factor,
                    high_freq_factor,
                    original_positions,
                })
            }
            "yarn" => {
                let factor = required("factor")?;
                // Without a factor, the paper's rule holds, or DeepSeek's with two multipliers.
                let magnitude =
                    |scale: f32| if factor <= 1.0 { 1.0 } else { 0.1 * scale * libm::logf(factor) + 1.0 };
                let derived = match (positive("mscale")?, positive("mscale_all_dim")?) {
                    (Some(scale), Some(of_all)) => magnitude(scale) / magnitude(of_all),
                    _ => magnitude(1.0),
                };
                Ok(RopeScaling::Yarn {
                    factor,
                    beta_fast: positive("beta_fast")?.unwrap_or(32.0),
                    beta_slow: positive("beta_slow")?.unwrap_or(1.0),
                    original_positions,
                    attention_factor: positive("attention_factor")?.unwrap_or(derived),
                })
            }
            "longrope" => {
                let required = |name| object.require(name, object.positive_numbers(name, head_dim / 2)?);
                let factors = required("short_factor")?;
                if required("long_factor")? != factors {
                    return Err(object.unsupported("long_factor", "another than short_factor", "the same"));
                }
                let attention_factor = positive("attention_factor")?;
                let attention_factor = object.require("attention_factor", attention_factor)?;
                Ok(RopeScaling::LongRope { factors: factors.into(), attention_factor })
            }
            other => Err(object.unsupported(name, other, "default, linear, llama3, yarn or longrope")),
        }
    }
}

/// Field with the positions before stretching. At the top level of a file, it goes before the others.
const ORIGINAL: &str = "original_max_position_embeddings";

fn positive(object: &Object<'_>, name: &str) -> Result<Option<f32>> {
    object.number(name, "a positive number", |n| n > 0.0)
}

/// Returns the object that describes the stretching: `rope_scaling`, or else `rope_parameters`, which
/// newer versions of transformers write.
pub(super) fn scaling<'a>(root: &Object<'a>) -> Result<Option<Object<'a>>> {
    match root.object("rope_scaling", "rope_scaling.")? {
        Some(object) if object.fields().next().is_some() => Ok(Some(object)),
        _ => match by_layer(root)? {
            Some(parameters) => parameters.object(FULL, "rope_parameters.full_attention."),
            None => root.object("rope_parameters", "rope_parameters."),
        },
    }
}

/// Name of the object for layers that see everything.
const FULL: &str = "full_attention";

/// Returns `rope_parameters` if they differ between kinds of layers, which only some families have.
fn by_layer<'a>(root: &Object<'a>) -> Result<Option<Object<'a>>> {
    let differs = Family::find(root).is_some_and(|family| family.has_windows);
    let parameters = root.object("rope_parameters", "rope_parameters.")?;
    Ok(parameters.filter(|parameters| differs && parameters.get(FULL).is_some()))
}

/// Returns the base of the frequencies in layers that see a window.
pub(super) fn local_theta(root: &Object<'_>) -> Result<Option<f32>> {
    let positive = |object: &Object<'_>, name| positive(object, name);
    let parameters = by_layer(root)?;
    let local = parameters
        .map(|parameters| parameters.object("sliding_attention", "rope_parameters.sliding_attention."));
    match local.transpose()?.flatten() {
        Some(local) => match kind(&local)? {
            (_, "default") => positive(&local, "rope_theta"),
            (name, other) => Err(local.unsupported(name, other, "default")),
        },
        None => positive(root, "rope_local_base_freq"),
    }
}

/// Returns the type of stretching, after the name of its field.
fn kind<'a>(object: &Object<'a>) -> Result<(&'static str, &'a str)> {
    match object.text("rope_type")? {
        Some(kind) => Ok(("rope_type", kind)),
        None => Ok(("type", object.text("type")?.unwrap_or("default"))),
    }
}

/// Returns the fields that this type of stretching does not read.
pub(super) fn unused(object: &Object<'_>) -> Result<Vec<String>> {
    let used = keys::config::of_rope(kind(object)?.1);
    let names = object.fields().filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str());
    let unused = names.filter(|name| !keys::config::OF_EVERY_ROPE.contains(name) && !used.contains(name));
    Ok(unused.map(|name| object.field(name)).collect())
}
