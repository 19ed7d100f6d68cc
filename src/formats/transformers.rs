//! Checkpoints as Hugging Face transformers packs them: four trits to a byte, and a scale beside each matrix.

use tercet_kernels_ref::ternary::{self, InvalidCode};

use super::checkpoint::{Checkpoint, Scales, Ternary};
use super::json::{self, Object};
use super::{CONFIG, MODEL, ModelFiles, StoredFloats, TensorFile};
use crate::error::{Error, Result};

/// `model.safetensors`, read as `config.json` says.
#[derive(Debug)]
pub(super) struct TransformersCheckpoint {
    tensors: TensorFile,
    scale_rule: ScaleRule,
}

/// How a linear layer's `weight_scale` turns its integer sums into outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScaleRule {
    /// transformers' `AutoBitLinear`: sums are multiplied by it.
    Multiply,
    /// transformers' `BitLinear`: sums are divided by it.
    Divide,
}

impl TransformersCheckpoint {
    pub(super) fn open(files: &ModelFiles) -> Result<Self> {
        let scale_rule = ScaleRule::parse(&files.get(CONFIG)?, &files.label(CONFIG))?;
        Ok(TransformersCheckpoint { tensors: TensorFile::load(files, MODEL)?, scale_rule })
    }
}

impl Checkpoint for TransformersCheckpoint {
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        self.tensors.vector(name, len)
    }

    fn floats(&self, name: &str, n: usize, k: usize) -> Result<StoredFloats> {
        self.tensors.stored_floats(name, &[n, k])
    }

    fn ternary(&self, name: &str, n: usize, k: usize) -> Result<Ternary> {
        let tensors = &self.tensors;
        if !n.is_multiple_of(4) {
            let found = format!("{n} rows");
            return Err(Error::unsupported(tensors.label(), name, found, "a multiple of 4 rows"));
        }
        let trits = unpack(tensors.u8(name, &[n / 4, k])?, n, k).map_err(|e| {
            let problem = format!("code 3 at row {}, column {} is no ternary weight", e.row, e.column);
            Error::malformed(tensors.label(), name, problem, "the file is damaged: download it again")
        })?;
        let scale = tensors.scale(&format!("{name}_scale"))?;
        let scale = match self.scale_rule {
            ScaleRule::Multiply => scale,
            ScaleRule::Divide => 1.0 / scale,
        };
        Ok(Ternary { trits, scales: Scales::Tensor(scale) })
    }
}

/// [`ternary::unpack`], in vectors.
fn unpack(packed: &[u8], n: usize, k: usize) -> Result<Vec<i8>, InvalidCode> {
    let threes = packed.iter().fold(0, |threes, byte| threes | byte & byte >> 1 & 0x55);
    if threes != 0 || packed.is_empty() {
        return ternary::unpack(packed, n, k);
    }
    let mut trits = vec![0; n * k];
    for (quarter, shift) in trits.chunks_exact_mut(packed.len()).zip([0, 2, 4, 6]) {
        quarter.iter_mut().zip(packed).for_each(|(trit, byte)| *trit = (byte >> shift & 3) as i8 - 1);
    }
    Ok(trits)
}

impl ScaleRule {
    /// What the `quantization_config` of a `config.json` means, with the defaults of transformers' `BitNetQuantConfig`.
    fn parse(config: &[u8], label: &str) -> Result<Self> {
        const PACKED: &str =
            "a checkpoint packed by transformers (quant_method bitnet, quantization_mode offline)";
        let map = json::parse(config, label)?;
        let root = Object::new(label, &map);
        let Some(quantization) = root.object("quantization_config", "quantization_config.")? else {
            return Err(root.unsupported("quantization_config", "absent", PACKED));
        };
        let setting = |name, default| -> Result<_> { Ok(quantization.text(name)?.unwrap_or(default)) };
        for (name, default, supported) in
            [("quant_method", "", "bitnet"), ("quantization_mode", "offline", "offline")]
        {
            let found = setting(name, default)?;
            if found != supported {
                return Err(quantization.unsupported(name, format!("{found:?}"), PACKED));
            }
        }
        match setting("linear_class", "bitlinear")? {
            "autobitlinear" => Ok(ScaleRule::Multiply),
            "bitlinear" => Ok(ScaleRule::Divide),
            other => Err(quantization.unsupported("linear_class", other, "autobitlinear or bitlinear")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn unpacking_in_vectors_is_unpacking() {
        for (n, k) in [(4, 1), (8, 33), (12, 64)] {
            let mut packed: Vec<u8> =
                (0..n / 4 * k).map(|i| [0x00, 0x19, 0x86, 0xA9, 0x61][i * i % 5]).collect();
            assert_eq!(unpack(&packed, n, k).unwrap(), ternary::unpack(&packed, n, k).unwrap());
            for code in [0x03, 0x0C, 0x30, 0xC0] {
                packed[k / 2] = code;
                assert_eq!(unpack(&packed, n, k), ternary::unpack(&packed, n, k));
                assert!(unpack(&packed, n, k).is_err());
            }
        }
    }

    fn rule(quantization: Value) -> Result<ScaleRule> {
        ScaleRule::parse(json!({ "quantization_config": quantization }).to_string().as_bytes(), "config.json")
    }

    #[test]
    fn both_meanings_of_a_scale_are_told_apart() {
        let bitnet = |class: Value| json!({ "quant_method": "bitnet", "linear_class": class });
        assert_eq!(rule(bitnet(json!("autobitlinear"))).unwrap(), ScaleRule::Multiply);
        assert_eq!(rule(bitnet(json!("bitlinear"))).unwrap(), ScaleRule::Divide);
        assert_eq!(rule(bitnet(Value::Null)).unwrap(), ScaleRule::Divide);
    }

    #[test]
    fn other_quantizations_are_named() {
        for (quantization, part) in [
            (Value::Null, "quantization_config is absent"),
            (json!([]), "quantization_config: is no object"),
            (json!({}), "quantization_config.quant_method is \"\""),
            (json!({ "quant_method": "gptq" }), "quantization_config.quant_method is \"gptq\""),
            (
                json!({ "quant_method": "bitnet", "quantization_mode": "online" }),
                "quantization_config.quantization_mode is \"online\"",
            ),
            (
                json!({ "quant_method": "bitnet", "linear_class": "linear" }),
                "quantization_config.linear_class is linear",
            ),
        ] {
            let message = rule(quantization).unwrap_err().to_string();
            assert!(message.starts_with("config.json: ") && message.contains(part), "{message} lacks {part}");
        }
    }
}
