//! Models written in another format than they were read in. Weights stay what they are; only GGUF's types of blocks round
//! scales.

mod gguf;
mod safetensors;

use std::io;
use std::path::Path;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::{
    CONFIG, Checkpoint, Floats, ModelFiles, Table, TensorType, json, open_checkpoint, write_atomically,
};

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A directory in the Hugging Face format, packed as transformers packs it; in floats if groups of a row have scales of
    /// their own, for which it has no packed form.
    Safetensors,
    /// A GGUF file with ternary matrices of this type.
    Gguf(TensorType),
}

/// What came of a conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Converted {
    /// Tensors written.
    pub tensors: usize,
    /// The largest change of a scale, relative to it.
    pub rounding: f32,
}

/// Writes the model of `files` to `out` in `format`: whole or not at all. What is there already is only replaced if
/// `replace` says so; files of a directory that the model does not have stay.
///
/// # Errors
/// Fails if the model cannot be read or written, or the format cannot hold it.
pub fn convert(files: &ModelFiles, out: &Path, format: Format, replace: bool) -> Result<Converted> {
    if out.exists() && !replace {
        let remedy = "choose another place, or replace what is there with --force";
        return Err(Error::bad_argument("--output", format!("{} exists", out.display()), remedy));
    }
    let checkpoint = open_checkpoint(files)?;
    let source = Source {
        files,
        tensors: tensors(files, &*checkpoint)?,
        checkpoint,
        config: json::parse(&files.get(CONFIG)?, &files.label(CONFIG))?,
    };
    match format {
        Format::Safetensors => safetensors::write(&source, out),
        Format::Gguf(kind) => gguf::write(&source, out, kind),
    }
}

/// The model to convert.
struct Source<'a> {
    files: &'a ModelFiles,
    checkpoint: Box<dyn Checkpoint>,
    /// By transformers' names.
    tensors: Vec<(String, Role)>,
    config: serde_json::Map<String, serde_json::Value>,
}

/// What becomes of one tensor of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// A vector of floats.
    Vector(usize),
    /// Rows and columns of floats.
    Floats(usize, usize),
    /// Rows and columns of ternary weights.
    Ternary(usize, usize),
}

/// The tensors of a model, by transformers' names.
fn tensors(files: &ModelFiles, checkpoint: &dyn Checkpoint) -> Result<Vec<(String, Role)>> {
    let config = Config::load(files)?;
    let Config { vocab_size, hidden_size: hidden, intermediate_size: ffn, head_dim, .. } = config;
    if config.linear_norm_eps.is_some() {
        let expected = "no norms in front of ternary layers, to be converted";
        return Err(Error::unsupported(files.label(CONFIG), "use_rms_norm", "true", expected));
    }
    let table = |name: &str| -> Result<(String, Role)> {
        let role = match checkpoint.table(name, vocab_size, hidden)? {
            Table::Floats(_) => Role::Floats(vocab_size, hidden),
            Table::Ternary(_) => Role::Ternary(vocab_size, hidden),
        };
        Ok((name.to_owned(), role))
    };
    let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let mut tensors = vec![table("model.embed_tokens.weight")?];
    for layer in 0..config.layers {
        let parts = [
            ("input_layernorm", Role::Vector(hidden)),
            ("self_attn.q_proj", Role::Ternary(q, hidden)),
            ("self_attn.k_proj", Role::Ternary(kv, hidden)),
            ("self_attn.v_proj", Role::Ternary(kv, hidden)),
            ("self_attn.o_proj", Role::Ternary(hidden, q)),
            ("post_attention_layernorm", Role::Vector(hidden)),
            ("mlp.gate_proj", Role::Ternary(ffn, hidden)),
            ("mlp.up_proj", Role::Ternary(ffn, hidden)),
            ("mlp.down_proj", Role::Ternary(hidden, ffn)),
        ];
        let sub_norms =
            [("self_attn.attn_sub_norm", Role::Vector(q)), ("mlp.ffn_sub_norm", Role::Vector(ffn))];
        let head_norms = ["self_attn.q_norm", "self_attn.k_norm"].map(|part| (part, Role::Vector(head_dim)));
        let parts = parts
            .into_iter()
            .chain(sub_norms.into_iter().filter(|_| config.sub_norms))
            .chain(head_norms.into_iter().filter(|_| config.query_key_norms));
        tensors.extend(parts.map(|(part, role)| (format!("model.layers.{layer}.{part}.weight"), role)));
    }
    tensors.push(("model.norm.weight".to_owned(), Role::Vector(hidden)));
    if !config.tie_word_embeddings {
        tensors.push(table("lm_head.weight")?);
    }
    Ok(tensors)
}

impl Source<'_> {
    /// The floats of the matrix `name` in their own type, or in f32 if they are stored in blocks.
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

/// Writes the file at `path`: `header`, then what `data` returns for each of `count` tensors, padded to `alignment`.
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
