//! To a directory in the Hugging Face format.

use std::fs;
use std::path::Path;

use half::bf16;
use serde_json::{Map, Value, json};

use super::{Converted, Role, Source, write_tensors};
use crate::error::{Error, Result};
use crate::formats::{CONFIG, Floats, MODEL, Scales, write_atomically};

/// Files that are taken over as they are, if the source has them.
const COPIED: [&str; 5] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];

/// One tensor of the file to be.
struct Entry {
    name: String,
    role: Role,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: usize,
}

/// The type of all floats but the scales: transformers wants a quantized model's to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FloatType {
    Bf16,
    F32,
}

impl FloatType {
    /// The narrowest type that keeps every float of the source.
    fn of(source: &Source<'_>) -> Result<Self> {
        let exact = |values: &[f32]| values.iter().all(|value| bf16::from_f32(*value).to_f32() == *value);
        for (name, role) in source.tensors()? {
            let narrow = match role {
                Role::Ternary(..) => true,
                Role::Vector(len) => exact(&source.checkpoint.vector(&name, len)?),
                Role::Floats(n, k) => {
                    let stored = source.checkpoint.floats(&name, n, k)?;
                    let rows = stored.get();
                    matches!(rows, Floats::Bf16(_))
                        || (0..n).all(|row| exact(&rows.slice(row * k, k).to_vec()))
                }
            };
            if !narrow {
                return Ok(FloatType::F32);
            }
        }
        Ok(FloatType::Bf16)
    }

    /// transformers' name, the header's, and the bytes of an element.
    fn names(self) -> (&'static str, &'static str, usize) {
        match self {
            FloatType::Bf16 => ("bfloat16", "BF16", 2),
            FloatType::F32 => ("float32", "F32", 4),
        }
    }

    fn bytes(self, floats: Floats<'_>) -> Vec<u8> {
        match (self, floats) {
            (FloatType::Bf16, Floats::Bf16(bytes)) | (FloatType::F32, Floats::F32(bytes)) => bytes.to_vec(),
            (_, floats) => self.encode(&floats.to_vec()),
        }
    }

    fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            FloatType::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            FloatType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}

pub(super) fn write(source: &Source<'_>, out: &Path) -> Result<Converted> {
    let floats = FloatType::of(source)?;
    let entries = entries(source, floats)?;
    // A new directory appears whole; in one that exists, every file is replaced whole.
    let building = match out.exists() {
        true => out.to_owned(),
        false => out.with_added_extension(format!("{}.tmp", std::process::id())),
    };
    fs::create_dir_all(&building).map_err(|e| Error::io("write", &building, e))?;
    let outcome = fill(source, &entries, floats, &building);
    if building != out {
        let outcome =
            outcome.and_then(|()| fs::rename(&building, out).map_err(|e| Error::io("write", out, e)));
        if outcome.is_err() {
            // The first failure is the one to report.
            let _ = fs::remove_dir_all(&building);
        }
        outcome?;
    } else {
        outcome?;
    }
    Ok(Converted { tensors: entries.len(), rounding: 0.0 })
}

fn fill(source: &Source<'_>, entries: &[Entry], floats: FloatType, dir: &Path) -> Result<()> {
    let mut scale = 0.0;
    write_tensors(&dir.join(MODEL), &header(entries)?, entries.len(), 1, |i| {
        let Entry { name, role, .. } = &entries[i];
        match *role {
            Role::Ternary(n, k) => {
                let matrix = source.checkpoint.ternary(name, n, k)?;
                scale = whole(&matrix.scales, source, name)?;
                Ok(pack(&matrix.trits, n, k))
            }
            // The scale of the matrix before it.
            Role::Vector(1) if name.ends_with("_scale") => Ok(f32::to_le_bytes(scale).to_vec()),
            Role::Vector(len) => Ok(floats.encode(&source.checkpoint.vector(name, len)?)),
            Role::Floats(n, k) => Ok(floats.bytes(source.checkpoint.floats(name, n, k)?.get())),
        }
    })?;
    for file in COPIED {
        if let Some(bytes) = source.files.try_get(file)? {
            write_atomically(&dir.join(file), |writer| writer.write_all(&bytes))?;
        }
    }
    let mut config = source.config.clone();
    config.insert("quantization_config".to_owned(), quantization(&config));
    config.remove("dtype");
    config.insert("torch_dtype".to_owned(), floats.names().0.into());
    let text = serde_json::to_vec_pretty(&config).unwrap_or_default();
    write_atomically(&dir.join(CONFIG), |writer| writer.write_all(&text))
}

/// Scales multiply, and are stored beside the codes.
fn quantization(config: &Map<String, Value>) -> Value {
    let mut quantization = config.get("quantization_config").cloned().unwrap_or_else(|| json!({}));
    for (field, value) in
        [("quant_method", "bitnet"), ("linear_class", "autobitlinear"), ("quantization_mode", "offline")]
    {
        quantization[field] = value.into();
    }
    quantization
}

fn entries(source: &Source<'_>, floats: FloatType) -> Result<Vec<Entry>> {
    let (_, float, width) = floats.names();
    let mut entries = Vec::new();
    for (name, role) in source.tensors()? {
        let (dtype, shape, size) = match role {
            Role::Vector(len) => (float, vec![len], width * len),
            Role::Floats(n, k) => (float, vec![n, k], width * n * k),
            Role::Ternary(n, k) if n.is_multiple_of(4) => ("U8", vec![n / 4, k], n / 4 * k),
            Role::Ternary(n, _) => {
                let found = format!("{n} rows");
                return Err(Error::unsupported(source.files.name(), name, found, "a multiple of 4 rows"));
            }
        };
        let scaled = matches!(role, Role::Ternary(..)).then(|| format!("{name}_scale"));
        entries.push(Entry { name, role, dtype, shape, bytes: size });
        entries.extend(scaled.map(|name| Entry {
            name,
            role: Role::Vector(1),
            dtype: "F32",
            shape: vec![1],
            bytes: 4,
        }));
    }
    Ok(entries)
}

fn header(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut start = 0;
    for entry in entries {
        let end = start + entry.bytes;
        let described = json!({ "dtype": entry.dtype, "shape": entry.shape, "data_offsets": [start, end] });
        header.insert(entry.name.clone(), described);
        start = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok([&(text.len() as u64).to_le_bytes()[..], &text].concat())
}

fn whole(scales: &Scales, source: &Source<'_>, name: &str) -> Result<f32> {
    match scales {
        Scales::Tensor(scale) => Ok(*scale),
        Scales::Groups { size, .. } => {
            let found = format!("scaled in groups of {size}");
            let expected = "one scale for the whole matrix (write GGUF with --type tq2_0)";
            Err(Error::unsupported(source.files.name(), name, found, expected))
        }
    }
}

/// Four codes to a byte, rows n/4 apart, as transformers' `pack_weights` has it.
fn pack(trits: &[i8], n: usize, k: usize) -> Vec<u8> {
    let quarter = n / 4 * k;
    let code = |i: usize| (trits[i] + 1) as u8;
    (0..quarter).map(|i| (0..4).fold(0, |byte, part| byte | code(i + part * quarter) << (2 * part))).collect()
}
