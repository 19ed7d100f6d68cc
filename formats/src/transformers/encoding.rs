//! The encoding of a checkpoint's ternary weights, as its `config.json` states it.

use std::fmt;

use crate::config::Family;
use crate::error::Result;
use crate::json::Object;

/// Encodings that can be read, for messages.
pub(super) const EXPECTED: &str = "a checkpoint packed by transformers (quant_method bitnet), master weights \
                                   (quantization_mode online), or floats that are ternary already";

/// An encoding of ternary weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Trits, packed or as floats, and a scale tensor for each matrix.
    Quantized(ScaleRule),
    /// Floats to be rounded to trits of their mean magnitude: transformers' online mode.
    Master,
    /// Floats that already are trits times a scale.
    Plain,
}

/// The rule by which a linear layer's `weight_scale` turns integer sums into outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScaleRule {
    /// transformers' `AutoBitLinear`: sums are multiplied by it.
    Multiply,
    /// transformers' `BitLinear`: sums are divided by it.
    Divide,
}

impl ScaleRule {
    pub(super) fn factor(self, scale: f32) -> f32 {
        match self {
            ScaleRule::Multiply => scale,
            ScaleRule::Divide => 1.0 / scale,
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Quantized(_) => "offline",
            Encoding::Master => "online",
            Encoding::Plain => "absent",
        })
    }
}

impl Encoding {
    /// Reads `quantization_config`, with the defaults of transformers' `BitNetQuantConfig`. `linear_norms` tells whether ternary
    /// layers have norms of their own.
    pub(super) fn of(root: &Object<'_>, linear_norms: bool) -> Result<Self> {
        let Some(quantization) = root.object("quantization_config", "quantization_config.")? else {
            // The layers of BitNet-embedding have norms, and round their weights at every call.
            let is_master = linear_norms || Family::find(root).is_some_and(|family| family.master_weights);
            return Ok(if is_master { Encoding::Master } else { Encoding::Plain });
        };
        let setting = |name, default| -> Result<_> { Ok(quantization.text(name)?.unwrap_or(default)) };
        let method = setting("quant_method", "")?;
        if method != "bitnet" {
            return Err(quantization.unsupported("quant_method", format!("{method:?}"), EXPECTED));
        }
        let rule = match setting("linear_class", "bitlinear")? {
            "autobitlinear" => ScaleRule::Multiply,
            "bitlinear" => ScaleRule::Divide,
            other => {
                return Err(quantization.unsupported("linear_class", other, "autobitlinear or bitlinear"));
            }
        };
        match (setting("quantization_mode", "offline")?, rule) {
            ("offline", _) => Ok(Encoding::Quantized(rule)),
            ("online", ScaleRule::Multiply) => Ok(Encoding::Master),
            // transformers' `BitLinear` ignores the mode.
            ("online", ScaleRule::Divide) => Ok(Encoding::Quantized(rule)),
            (other, _) => Err(quantization.unsupported("quantization_mode", other, "offline or online")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn encoding(config: Value) -> Result<Encoding> {
        let Value::Object(map) = config else { panic!("no object") };
        Encoding::of(&Object::new("config.json", &map), false)
    }

    fn bitnet(class: Value, mode: Value) -> Result<Encoding> {
        let quantization =
            json!({ "quant_method": "bitnet", "linear_class": class, "quantization_mode": mode });
        encoding(json!({ "quantization_config": quantization }))
    }

    #[test]
    fn what_a_scale_means_is_told_apart() {
        let (multiply, divide) = (ScaleRule::Multiply, ScaleRule::Divide);
        let absent = Value::Null;
        assert_eq!(bitnet(json!("autobitlinear"), absent.clone()).unwrap(), Encoding::Quantized(multiply));
        assert_eq!(bitnet(json!("bitlinear"), json!("offline")).unwrap(), Encoding::Quantized(divide));
        assert_eq!(bitnet(absent.clone(), absent.clone()).unwrap(), Encoding::Quantized(divide));
        assert_eq!(bitnet(json!("autobitlinear"), json!("online")).unwrap(), Encoding::Master);
        assert_eq!(encoding(json!({ "architectures": ["BitnetForCausalLM"] })).unwrap(), Encoding::Master);
        assert_eq!(encoding(json!({ "architectures": ["BitNetForCausalLM"] })).unwrap(), Encoding::Plain);
        assert_eq!((multiply.factor(4.0), divide.factor(4.0)), (4.0, 0.25));
    }

    #[test]
    fn other_quantizations_are_named() {
        let quantized = |quantization| encoding(json!({ "quantization_config": quantization }));
        for (found, part) in [
            (quantized(json!([])), "quantization_config: is not an object"),
            (quantized(json!({})), "quantization_config.quant_method is \"\""),
            (quantized(json!({ "quant_method": "gptq" })), "quantization_config.quant_method is \"gptq\""),
            (bitnet(json!("linear"), Value::Null), "quantization_config.linear_class is linear"),
            (bitnet(Value::Null, json!("never")), "quantization_config.quantization_mode is never"),
        ] {
            let message = found.unwrap_err().to_string();
            assert!(message.starts_with("config.json: ") && message.contains(part), "{message} lacks {part}");
        }
    }
}
