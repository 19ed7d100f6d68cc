//! Converts models to another format.
//!
//! Ternary weights stay the same. Scales are rounded only by GGUF's block types, which store them
//! in f16.

mod gguf;
mod safetensors;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::atomic::{self, Output, StagedDirectory};
use crate::config::{Config, Family, Role, Tensor};
use crate::error::{Error, Result};
use crate::transformers::holds_master_weights;
use crate::{
    Bytes, CONFIG, Checkpoint, Floats, GgufFile, ModelFiles, Table, TensorType, json, open_checkpoint,
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converted {
    /// Tensors written.
    pub tensors: usize,
    /// The largest change of a scale by rounding, relative to the scale.
    pub rounding: f32,
    /// What is lost, or what programs other than Tercet do not learn from the result. A line each.
    pub losses: Vec<String>,
}

/// Writes the model of `files` to `out` in `format`, completely or not at all.
///
/// An existing file or directory is replaced only if `replace` is true. Files of an existing directory
/// that are no part of a model stay.
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
    convert_checked(files, out, format, replace, |_| Ok(()))
}

/// Converts like [`convert`], and calls `check` with the new model before it appears at `out`. If
/// `check` fails, nothing is written. A device or pipe at `out` is not checked.
///
/// # Errors
/// Those of [`convert`] and `check`.
pub fn convert_checked<E: From<Error>>(
    files: &ModelFiles,
    out: &Path,
    format: Format,
    replace: bool,
    check: impl FnOnce(&ModelFiles) -> Result<(), E>,
) -> Result<Converted, E> {
    atomic::recover(out);
    if out.exists() && !replace {
        let remedy = "choose another place, or allow it to be replaced";
        return Err(Error::bad_argument("output", format!("{} exists", out.display()), remedy).into());
    }
    let source = Source::open(files)?;
    if let Some(loss) = source.losses()
        && source.is_at(out)?
    {
        let problem = format!("{} is the model itself, and {loss}", out.display());
        return Err(Error::bad_argument("output", problem, "choose another place").into());
    }
    match format {
        Format::Safetensors => {
            let staged = StagedDirectory::beside(out)?;
            let mut converted =
                safetensors::write(&source, &safetensors::Place { directory: staged.path(), out })?;
            converted.losses.extend(source.losses());
            check(&ModelFiles::open(staged.path())?)?;
            source.checkpoint.check()?;
            staged.publish(&safetensors::FILES)?;
            Ok(converted)
        }
        Format::Gguf(kind) => {
            let failed = |e| Error::io("write", out, e);
            let output = Output::at(out).map_err(failed)?;
            let mut converted = gguf::write(&source, output.handle(), out, kind)?;
            converted.losses.extend(source.losses());
            if let Output::File(staged) = &output {
                let gguf = GgufFile::open(Bytes::map(staged.path())?, out.display().to_string())?;
                check(&ModelFiles::in_gguf(files.name().to_owned(), gguf))?;
            }
            source.checkpoint.check()?;
            output.publish().map_err(failed)?;
            Ok(converted)
        }
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
    /// Returns true if `out` is the place of this model.
    fn is_at(&self, out: &Path) -> Result<bool> {
        let Ok(out) = out.canonicalize() else { return Ok(false) };
        let is_there =
            |path: &PathBuf| path.canonicalize().is_ok_and(|path| path == out || path.parent() == Some(&out));
        Ok(self.files.paths()?.is_some_and(|paths| paths.iter().any(is_there)))
    }

    /// Returns what no format that is written here can hold.
    fn losses(&self) -> Option<String> {
        let label = self.files.label(CONFIG);
        let is_master = holds_master_weights(&json::Object::new(&label, &self.fields), &self.config);
        is_master.then(|| {
            "the weights for training are lost: only the trits that they round to are kept".to_owned()
        })
    }

    fn open(files: &'a ModelFiles) -> Result<Self> {
        let config = Config::load(files)?;
        let checkpoint = open_checkpoint(files, &config)?;
        if let Some(module) = config.float_modules.first() {
            let expected = "only ternary layers, to be converted";
            return Err(Error::unsupported(files.label(CONFIG), module, "a layer of floats", expected));
        }
        let mut tensors = config.tensors();
        for tensor in &mut tensors {
            if let Role::Table(n, k) = tensor.role
                && let Table::Ternary(_) = checkpoint.table(&tensor.name, n, k)?
            {
                tensor.role = Role::Ternary(n, k);
            }
        }
        let label = files.label(CONFIG);
        let mut fields = json::parse(&files.get(CONFIG)?, &label)?;
        let family = Family::of(&json::Object::new(&label, &fields))?;
        if family.gguf.is_empty() {
            let expected = "another family, to be converted";
            return Err(Error::unsupported(label, "model_type", family.model_type, expected));
        }
        fields.insert("tie_word_embeddings".to_owned(), config.tie_word_embeddings.into());
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

/// Writes to `file`: `header`, then the bytes that `data` returns for each of `count` tensors, padded
/// to `alignment`. Messages call the file `path`.
fn write_tensors(
    file: &File,
    path: &Path,
    header: &[u8],
    count: usize,
    alignment: usize,
    mut data: impl FnMut(usize) -> Result<Vec<u8>>,
) -> Result<()> {
    let failed = |e: io::Error| Error::io("write", path, e);
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    writer.write_all(header).map_err(failed)?;
    for i in 0..count {
        let mut bytes = data(i)?;
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        writer.write_all(&bytes).map_err(failed)?;
    }
    writer.flush().map_err(failed)
}
