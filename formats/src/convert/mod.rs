//! Converts models to another format.
//!
//! Ternary weights stay the same. Scales are rounded only by GGUF's block types, which store them
//! in f16.

mod gguf;
mod safetensors;

use std::io;
use std::path::Path;

use crate::config::{Config, Role, Tensor};
use crate::error::{Error, Result};
use crate::{
    CONFIG, Checkpoint, Floats, ModelFiles, Table, TensorType, json, open_checkpoint, write_atomically,
};

/// A format to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A directory in the Hugging Face format, with ternary matrices packed like in transformers.
    /// If groups of a row have scales of their own, the matrices are floats: transformers has no
    /// packed form for such groups.
    Safetensors,
    /// A GGUF file whose ternary matrices have this type.
    Gguf(TensorType),
}

/// The result of a conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Converted {
    /// Tensors written.
    pub tensors: usize,
    /// The largest change of a scale by rounding, relative to the scale.
    pub rounding: f32,
}

/// Writes the model of `files` to `out` in `format`, completely or not at all.
///
/// An existing file or directory is replaced only if `replace` is true. Other files in an existing
/// directory stay.
///
/// # Errors
/// Fails if the model cannot be read or written, or if the format cannot hold it.
/// [`Error::BadArgument`] names `output` if it exists and `replace` is false.
///
/// # Examples
/// ```
/// use tercet_formats::{Config, Format, ModelFiles, TensorType, convert};
///
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
/// let files = ModelFiles::open(folder.as_ref())?;
/// let out = std::env::temp_dir().join(format!("tercet-convert-example-{}.gguf", std::process::id()));
///
/// let converted = convert(&files, &out, Format::Gguf(TensorType::I2S), true)?;
/// assert_eq!((converted.tensors, converted.rounding), (24, 0.0));
///
/// let gguf = ModelFiles::open(&out)?;
/// assert_eq!(Config::load(&gguf)?.layers, Config::load(&files)?.layers);
/// # drop(gguf);
/// # std::fs::remove_file(&out).ok();
/// # Ok::<(), tercet_formats::Error>(())
/// ```
pub fn convert(files: &ModelFiles, out: &Path, format: Format, replace: bool) -> Result<Converted> {
    if out.exists() && !replace {
        let remedy = "choose another place, or allow it to be replaced";
        return Err(Error::bad_argument("output", format!("{} exists", out.display()), remedy));
    }
    let source = Source::open(files)?;
    match format {
        Format::Safetensors => safetensors::write(&source, out),
        Format::Gguf(kind) => gguf::write(&source, out, kind),
    }
}

/// The model to convert.
struct Source<'a> {
    files: &'a ModelFiles,
    config: Config,
    checkpoint: Box<dyn Checkpoint>,
    /// Every tensor. A [`Role::Table`] holds floats, since ternary tables are [`Role::Ternary`]
    /// here.
    tensors: Vec<Tensor>,
    /// The fields of `config.json`.
    fields: serde_json::Map<String, serde_json::Value>,
}

impl<'a> Source<'a> {
    fn open(files: &'a ModelFiles) -> Result<Self> {
        let checkpoint = open_checkpoint(files)?;
        let config = Config::load(files)?;
        if config.linear_norm_eps.is_some() {
            let expected = "no norms before ternary layers, to be converted";
            return Err(Error::unsupported(files.label(CONFIG), "use_rms_norm", "true", expected));
        }
        let mut tensors = config.tensors();
        for tensor in &mut tensors {
            if let Role::Table(n, k) = tensor.role
                && let Table::Ternary(_) = checkpoint.table(&tensor.name, n, k)?
            {
                tensor.role = Role::Ternary(n, k);
            }
        }
        let fields = json::parse(&files.get(CONFIG)?, &files.label(CONFIG))?;
        Ok(Source { files, config, checkpoint, tensors, fields })
    }
}

impl Source<'_> {
    /// Reads the floats of the matrix `name` in their own type, or in f32 if they are stored in
    /// blocks.
    fn plain_floats(&self, name: &str, n: usize, k: usize) -> Result<Vec<u8>> {
        let stored = self.checkpoint.floats(name, n, k)?;
        Ok(match stored.get() {
            Floats::Bf16(bytes) | Floats::F16(bytes) | Floats::F32(bytes) => bytes.to_vec(),
            blocks @ Floats::Blocks(..) => f32_bytes(&blocks.to_vec()),
        })
    }

    fn vector(&self, name: &str, len: usize) -> Result<Vec<u8>> {
        Ok(f32_bytes(&self.checkpoint.vector(name, len)?))
    }
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Writes the file at `path`: `header`, then the bytes that `data` returns for each of `count`
/// tensors, padded to `alignment`.
fn write_tensors(
    path: &Path,
    header: &[u8],
    count: usize,
    alignment: usize,
    mut data: impl FnMut(usize) -> Result<Vec<u8>>,
) -> Result<()> {
    let mut unreadable = None;
    let written = write_atomically(path, |writer| {
        writer.write_all(header)?;
        for i in 0..count {
            let bytes = data(i).map_err(|error| {
                unreadable = Some(error);
                io::Error::other("the source is unreadable")
            })?;
            writer.write_all(&bytes)?;
            let padding = bytes.len().next_multiple_of(alignment) - bytes.len();
            writer.write_all(&vec![0; padding])?;
        }
        Ok(())
    });
    unreadable.map_or(written, Err)
}
