//! Files of ternary language models, read and written with every bound checked.
//!
//! - [`ModelFiles`] holds the files of one model, whatever their format.
//! - [`Config`] is the model's architecture, and lists its tensors.
//! - [`Checkpoint`] reads the tensors, by transformers' names.
//! - [`convert()`] writes the model in another format.
//!
//! # Examples
//! ```
//! use tercet_formats::{Config, ModelFiles, open_checkpoint};
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
//! let files = ModelFiles::open(folder.as_ref())?;
//! let config = Config::load(&files)?;
//! let checkpoint = open_checkpoint(&files, &config)?;
//!
//! let norm = config.final_norm();
//! let gain = checkpoint.vector(&norm.name, config.hidden_size)?;
//! assert_eq!(gain.len(), 256);
//! # Ok::<(), tercet_formats::Error>(())
//! ```

mod atomic;
mod bytes;
mod chat_template;
mod checkpoint;
pub mod config;
mod convert;
mod description;
mod embedding;
mod error;
mod files;
mod floats;
mod gguf;
mod guard;
mod json;
mod keys;
mod opening;
mod regular;
mod safetensors;
mod ternary;
mod tokenizer;
mod tokenizer_json;
mod transformers;
mod unused;
mod warnings;

pub use atomic::write_output;
pub use bytes::Bytes;
pub use chat_template::TemplateSource;
pub use checkpoint::{Checkpoint, Table, open_checkpoint};
pub use config::{Config, GenerationDefaults};
pub use convert::{Converted, Format, convert, convert_checked};
pub use description::Description;
pub use embedding::EmbeddingConfig;
pub use error::{Error, Result, one_line, without_password};
pub use files::{CONFIG, MODEL, ModelFiles, SHARD_INDEX};
pub(crate) use floats::FloatKind;
pub use floats::{BlockKind, Floats, StoredFloats};
pub use gguf::{GgufFile, GgufHeader, TensorType};
pub(crate) use gguf::{ROPE_FACTORS, encode_ternary, recognize_pre};
pub use guard::{guarded, hide_caught_panics};
pub use regular::{create_own, lock_own, open_own, open_regular, read_regular};
pub use safetensors::{TensorFile, write_f32};
pub use ternary::{Scales, Ternary};
pub use tokenizer::{Frame, TokenizerSource};
pub use transformers::shard_index;
