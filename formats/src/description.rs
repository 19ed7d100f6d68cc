//! A model's words about itself, without a look at its weights.

use serde_json::Value;

use crate::error::Result;
use crate::files::{CONFIG, ModelFiles};
use crate::json;

/// The family of a model and the form of its weights, in the words of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// transformers' `model_type`, or GGUF's architecture.
    pub family: String,
    /// GGUF's type of most weights; otherwise the quantization method, or the type of floats.
    pub weights: String,
}

impl ModelFiles {
    /// Describes the model. A field that the files do not tell is `unknown`.
    ///
    /// # Errors
    /// Fails if `config.json` is missing or no JSON, or a GGUF file has no architecture.
    pub fn description(&self) -> Result<Description> {
        if let Some(gguf) = self.gguf() {
            let family = gguf.architecture()?.to_owned();
            let weights = gguf.main_type().unwrap_or("unknown").to_owned();
            return Ok(Description { family, weights });
        }
        let config = json::parse(&self.get(CONFIG)?, &self.label(CONFIG))?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let method =
            config.get("quantization_config").and_then(|quantization| quantization.get("quant_method"));
        let floats = config.get("dtype").or_else(|| config.get("torch_dtype"));
        let unknown = || "unknown".to_owned();
        Ok(Description {
            family: text(config.get("model_type")).unwrap_or_else(unknown),
            weights: text(method).or_else(|| text(floats)).unwrap_or_else(unknown),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn files_are_described_in_their_own_words() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
        for (path, family, weights) in [
            ("bitnet-tiny", "bitnet", "bitnet"),
            ("master-tiny", "llama", "bitnet"),
            ("gguf/bitnet-i2_s.gguf", "bitnet-b1.58", "I2_S"),
            ("gguf/llama-tq2_0.gguf", "llama", "TQ2_0"),
        ] {
            let found = ModelFiles::open(&fixtures.join(path)).unwrap().description().unwrap();
            assert_eq!((found.family.as_str(), found.weights.as_str()), (family, weights), "{path}");
        }
    }
}
