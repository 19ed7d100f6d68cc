//! Writes a directory in the Hugging Face format.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use half::{bf16, f16};
use serde_json::{Map, Value, json};

use super::{Converted, Source, write_tensors};
use crate::chat_template::{EXTENSION, FOLDER};
use crate::config::{Family, Role, Tensor};
use crate::error::{Error, Result};
use crate::json::Object;
use crate::{CONFIG, Floats, MODEL, SHARD_INDEX, Scales, Ternary};

/// Files that are copied if the source has them.
const COPIED: [&str; 5] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
];

/// Files of a model. A new model supersedes all of an old one's, so that none of them is read with it.
pub(super) const FILES: [&str; 9] =
    [CONFIG, MODEL, SHARD_INDEX, COPIED[0], COPIED[1], COPIED[2], COPIED[3], COPIED[4], FOLDER];

/// One tensor of the new file.
struct Entry {
    name: String,
    role: Role,
    dtype: &'static str,
    shape: Vec<usize>,
    bytes: usize,
}

/// The type of all floats except scales. transformers expects one type in a quantized model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FloatType {
    Bf16,
    F16,
    F32,
}

/// The form of ternary matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Four codes per byte, and one scale.
    Packed,
    /// Floats, for groups with scales of their own.
    Floats,
}

impl Form {
    fn of(source: &Source<'_>) -> Result<Self> {
        for Tensor { name, role, .. } in &source.tensors {
            if let Role::Ternary(n, k) = *role
                && matches!(source.checkpoint.ternary(name, n, k)?.scales, Scales::Groups { .. })
            {
                return Ok(Form::Floats);
            }
        }
        Ok(Form::Packed)
    }
}

impl FloatType {
    /// Returns the narrowest type that holds every float of the source exactly.
    fn of(source: &Source<'_>, form: Form) -> Result<Self> {
        // Activations of models with one scale exceed the range of f16.
        let mut types = match form {
            Form::Packed => vec![FloatType::Bf16, FloatType::F32],
            Form::Floats => vec![FloatType::Bf16, FloatType::F16, FloatType::F32],
        };
        for Tensor { name, role, .. } in &source.tensors {
            let mut narrow =
                |values: &[f32]| types.retain(|kind| values.iter().all(|v| kind.rounded(*v) == *v));
            match *role {
                Role::Vector(len) => narrow(&source.checkpoint.vector(name, len)?),
                Role::Dense(n, k) | Role::Table(n, k) => {
                    let stored = source.checkpoint.floats(name, n, k)?;
                    let rows = stored.get();
                    (0..n).for_each(|row| narrow(&rows.slice(row * k, k).to_vec()));
                }
                Role::Ternary(n, k) if form == Form::Floats => {
                    match source.checkpoint.ternary(name, n, k)?.scales {
                        Scales::Tensor(scale) => narrow(&[scale]),
                        Scales::Groups { values, .. } => narrow(&values),
                    }
                }
                Role::Ternary(..) => {}
            }
        }
        // f32 holds all floats, so the list is never empty.
        Ok(types.first().copied().unwrap_or(FloatType::F32))
    }

    /// Rounds to the nearest value of this type.
    fn rounded(self, value: f32) -> f32 {
        match self {
            FloatType::Bf16 => bf16::from_f32(value).to_f32(),
            FloatType::F16 => f16::from_f32(value).to_f32(),
            FloatType::F32 => value,
        }
    }

    /// Returns transformers' name, the header's name, and the bytes of an element.
    fn names(self) -> (&'static str, &'static str, usize) {
        match self {
            FloatType::Bf16 => ("bfloat16", "BF16", 2),
            FloatType::F16 => ("float16", "F16", 2),
            FloatType::F32 => ("float32", "F32", 4),
        }
    }

    fn bytes(self, floats: Floats<'_>) -> Vec<u8> {
        match (self, floats) {
            (FloatType::Bf16, Floats::Bf16(bytes))
            | (FloatType::F16, Floats::F16(bytes))
            | (FloatType::F32, Floats::F32(bytes)) => bytes.to_vec(),
            (_, floats) => self.encode(&floats.to_vec()),
        }
    }

    fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            FloatType::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            FloatType::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            FloatType::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}

/// The directory to fill, and the name that it will have.
pub(super) struct Place<'a> {
    pub(super) directory: &'a Path,
    pub(super) out: &'a Path,
}

impl Place<'_> {
    /// Makes the file `name` through `fill`, which also gets the name that it will have.
    fn create(&self, name: &str, fill: impl FnOnce(&File, &Path) -> Result<()>) -> Result<()> {
        let label = self.out.join(name);
        let failed = |e: io::Error| Error::io("write", &label, e);
        let file = File::create_new(self.directory.join(name)).map_err(failed)?;
        fill(&file, &label)?;
        file.sync_all().map_err(failed)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.create(name, |mut file, label| file.write_all(bytes).map_err(|e| Error::io("write", label, e)))
    }
}

pub(super) fn write(source: &Source<'_>, place: &Place<'_>) -> Result<Converted> {
    if source.config.linear_norm_eps.is_some() {
        let expected = "no norms before ternary layers, to write safetensors";
        return Err(Error::unsupported(source.files.label(CONFIG), "use_rms_norm", "true", expected));
    }
    let form = Form::of(source)?;
    let floats = FloatType::of(source, form)?;
    let entries = entries(source, form, floats)?;
    let mut scale = 0.0;
    let mut data = |i: usize| {
        let Entry { name, role, .. } = &entries[i];
        match *role {
            Role::Ternary(n, k) => {
                let Ternary { trits, scales } = source.checkpoint.ternary(name, n, k)?;
                match scales {
                    Scales::Tensor(one) if form == Form::Packed => {
                        scale = one;
                        Ok(pack(&trits, n, k))
                    }
                    scales => Ok(floats.encode(&weights(&trits, &scales, k))),
                }
            }
            // The scale belongs to the matrix before it.
            Role::Vector(1) if name.ends_with("_scale") => Ok(f32::to_le_bytes(scale).to_vec()),
            Role::Vector(len) => Ok(floats.encode(&source.checkpoint.vector(name, len)?)),
            Role::Dense(n, k) | Role::Table(n, k) => {
                Ok(floats.bytes(source.checkpoint.floats(name, n, k)?.get()))
            }
        }
    };
    let header = header(source, &entries)?;
    place.create(MODEL, |file, label| write_tensors(file, label, &header, entries.len(), 1, &mut data))?;
    for file in COPIED {
        if let Some(bytes) = source.files.try_get(file)? {
            place.write(file, &bytes)?;
        }
    }
    let templates = source.files.in_folder(FOLDER, EXTENSION)?;
    if !templates.is_empty() {
        let failed = |e| Error::io("write", &place.out.join(FOLDER), e);
        fs::create_dir(place.directory.join(FOLDER)).map_err(failed)?;
    }
    for (file, bytes) in templates {
        place.write(&format!("{FOLDER}/{file}"), &bytes)?;
    }
    let mut config = source.fields.clone();
    match form {
        Form::Packed => _ = config.insert("quantization_config".to_owned(), quantization(&config)),
        Form::Floats => _ = config.remove("quantization_config"),
    }
    config.remove("dtype");
    config.insert("torch_dtype".to_owned(), floats.names().0.into());
    let text = serde_json::to_vec_pretty(&config).unwrap_or_default();
    place.write(CONFIG, &text)?;
    Ok(Converted { tensors: entries.len(), ..Converted::default() })
}

/// Returns the `quantization_config` of a packed model, whose scales multiply and are stored next
/// to the codes.
fn quantization(config: &Map<String, Value>) -> Value {
    let mut quantization = config.get("quantization_config").cloned().unwrap_or_else(|| json!({}));
    for (field, value) in
        [("quant_method", "bitnet"), ("linear_class", "autobitlinear"), ("quantization_mode", "offline")]
    {
        quantization[field] = value.into();
    }
    quantization
}

fn entries(source: &Source<'_>, form: Form, floats: FloatType) -> Result<Vec<Entry>> {
    let (_, float, width) = floats.names();
    let mut entries = Vec::new();
    for Tensor { name, role, .. } in source.tensors.iter().cloned() {
        let (dtype, shape, size) = match role {
            Role::Vector(len) => (float, vec![len], width * len),
            Role::Dense(n, k) | Role::Table(n, k) => (float, vec![n, k], width * n * k),
            Role::Ternary(n, k) if form == Form::Floats => (float, vec![n, k], width * n * k),
            Role::Ternary(n, k) if n.is_multiple_of(4) => ("U8", vec![n / 4, k], n / 4 * k),
            Role::Ternary(n, _) => {
                let found = format!("{n} rows");
                return Err(Error::unsupported(source.files.name(), name, found, "a multiple of 4 rows"));
            }
        };
        let scaled = (dtype == "U8").then(|| format!("{name}_scale"));
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

/// Returns the header, with the names that the family's files have.
fn header(source: &Source<'_>, entries: &[Entry]) -> Result<Vec<u8>> {
    let label = source.files.label(CONFIG);
    let family = Family::of(&Object::new(&label, &source.fields))?;
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut start = 0;
    for entry in entries {
        let end = start + entry.bytes;
        let described = json!({ "dtype": entry.dtype, "shape": entry.shape, "data_offsets": [start, end] });
        header.insert(family.stored_name(&entry.name), described);
        start = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok([&(text.len() as u64).to_le_bytes()[..], &text].concat())
}

/// Returns the weights of a matrix with `k` columns.
fn weights(trits: &[i8], scales: &Scales, k: usize) -> Vec<f32> {
    let scale = |i: usize| match scales {
        Scales::Tensor(scale) => *scale,
        Scales::Groups { size, values } => values[i / k * k.div_ceil(*size) + i % k / size],
    };
    trits.iter().enumerate().map(|(i, trit)| f32::from(*trit) * scale(i)).collect()
}

/// Packs four codes per byte, from rows n/4 apart, like transformers' `pack_weights`.
fn pack(trits: &[i8], n: usize, k: usize) -> Vec<u8> {
    let quarter = n / 4 * k;
    let code = |i: usize| (trits[i] + 1) as u8;
    (0..quarter).map(|i| (0..4).fold(0, |byte, part| byte | code(i + part * quarter) << (2 * part))).collect()
}
