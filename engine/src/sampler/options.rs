//! Options of sampling, and a caller's choices among them.

use tercet_formats::GenerationDefaults;

use crate::error::{Error, Result};

/// Options of a [`Sampler`](crate::Sampler). The default is greedy.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerOptions {
    /// Divides the logits; 0 takes the best token without chance.
    pub temperature: f32,
    /// Keeps this many of the best tokens; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest best tokens that together hold this share of the probability; 1 keeps all.
    pub top_p: f32,
    /// Keeps tokens at least this probable relative to the best; 0 keeps all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens already in the history; 1 changes none.
    pub repetition_penalty: f32,
    /// Number of the latest tokens that the repetition penalty looks at; 0 for all.
    pub repetition_window: usize,
    /// Taken from the logits of tokens that were generated before, once; 0 changes none.
    pub presence_penalty: f32,
    /// Taken from the logits of tokens that were generated before, once for each time; 0 changes none.
    pub frequency_penalty: f32,
    /// Added to the logits of these tokens. A token may be named once.
    pub logit_bias: Vec<(u32, f32)>,
    /// Same seed, same choices.
    pub seed: u64,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        SamplerOptions {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl SamplerOptions {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::BadArgument`] with the field's name.
    pub fn validate(&self) -> Result<()> {
        let check = |valid: bool, field: &str, value: f32, remedy: &str| match valid {
            true => Ok(()),
            false => Err(Error::bad_argument(field, format!("{value} is out of range"), remedy)),
        };
        let Self { temperature, top_p, min_p, repetition_penalty, .. } = *self;
        let Self { presence_penalty, frequency_penalty, .. } = *self;
        check(temperature >= 0.0 && temperature.is_finite(), "temperature", temperature, "use 0 or more")?;
        check(top_p > 0.0 && top_p <= 1.0, "top_p", top_p, "use a number above 0 and up to 1")?;
        check((0.0..=1.0).contains(&min_p), "min_p", min_p, "use a number from 0 to 1")?;
        let penalty_is_valid = repetition_penalty > 0.0 && repetition_penalty.is_finite();
        check(
            penalty_is_valid,
            "repetition_penalty",
            repetition_penalty,
            "use a number above 0, 1 for none",
        )?;
        check(
            presence_penalty.is_finite(),
            "presence_penalty",
            presence_penalty,
            "use a number, 0 for none",
        )?;
        check(
            frequency_penalty.is_finite(),
            "frequency_penalty",
            frequency_penalty,
            "use a number, 0 for none",
        )?;
        let unusable = self.logit_bias.iter().find(|(_, bias)| !bias.is_finite());
        unusable.map_or(Ok(()), |(_, bias)| check(false, "logit_bias", *bias, "use a number"))
    }
}

/// A caller's choices of sampling. The model's authors decide the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingChoices {
    /// Always take the best token.
    pub greedy: bool,
    /// See [`SamplerOptions::temperature`].
    pub temperature: Option<f32>,
    /// See [`SamplerOptions::top_k`].
    pub top_k: Option<usize>,
    /// See [`SamplerOptions::top_p`].
    pub top_p: Option<f32>,
    /// See [`SamplerOptions::min_p`].
    pub min_p: Option<f32>,
    /// See [`SamplerOptions::repetition_penalty`].
    pub repetition_penalty: Option<f32>,
    /// See [`SamplerOptions::repetition_window`].
    pub repetition_window: Option<usize>,
    /// See [`SamplerOptions::presence_penalty`].
    pub presence_penalty: f32,
    /// See [`SamplerOptions::frequency_penalty`].
    pub frequency_penalty: f32,
    /// See [`SamplerOptions::logit_bias`].
    pub logit_bias: Vec<(u32, f32)>,
    /// See [`SamplerOptions::seed`].
    pub seed: u64,
}

impl SamplingChoices {
    /// The choices over the suggestions in `defaults`: chance comes in if either asks for it.
    pub fn over(&self, defaults: &GenerationDefaults) -> SamplerOptions {
        let repetition_penalty = self.repetition_penalty.or(defaults.repetition_penalty).unwrap_or(1.0);
        let greedy = SamplerOptions {
            repetition_penalty,
            repetition_window: self.repetition_window.unwrap_or(0),
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            logit_bias: self.logit_bias.clone(),
            seed: self.seed,
            ..SamplerOptions::default()
        };
        let asked = self.temperature.is_some()
            || self.top_k.is_some()
            || self.top_p.is_some()
            || self.min_p.is_some();
        if self.greedy || !(asked || defaults.do_sample == Some(true)) {
            return greedy;
        }
        SamplerOptions {
            temperature: self.temperature.or(defaults.temperature).unwrap_or(1.0),
            top_k: self.top_k.or(defaults.top_k).unwrap_or(GenerationDefaults::TOP_K),
            top_p: self.top_p.or(defaults.top_p).unwrap_or(1.0),
            min_p: self.min_p.or(defaults.min_p).unwrap_or(0.0),
            ..greedy
        }
    }
}
