//! Bounds-checked readers of model files: bytes in, validated values out.

mod atomic;
mod bytes;
mod checkpoint;
mod files;
mod floats;
mod gguf;
pub(crate) mod json;
mod safetensors;
mod ternary;
mod transformers;

pub use atomic::write_atomically;
pub use bytes::Bytes;
pub use checkpoint::{Checkpoint, Table, open_checkpoint};
pub use files::{CONFIG, MODEL, ModelFiles, SHARD_INDEX};
pub use floats::{BlockKind, Floats, StoredFloats};
pub use gguf::{GgufFile, GgufHeader, TensorType};
pub(crate) use gguf::{encode_ternary, recognize_pre};
pub use safetensors::{TensorFile, write_f32};
pub use ternary::{Scales, Ternary};
pub(crate) use transformers::is_one_bit_llm;
pub use transformers::shard_index;
