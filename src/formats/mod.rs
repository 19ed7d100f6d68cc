//! Bounds-checked readers of model files: bytes in, validated values out.

mod atomic;
mod bytes;
mod checkpoint;
mod files;
mod floats;
mod gguf;
pub(crate) mod json;
mod safetensors;
mod transformers;

pub use atomic::write_atomically;
pub use bytes::Bytes;
pub use checkpoint::{Checkpoint, Scales, Ternary, open_checkpoint};
pub use files::{CONFIG, MODEL, ModelFiles};
pub use floats::{BlockKind, Floats, StoredFloats};
pub use gguf::{GgufFile, GgufHeader, TensorType};
pub(crate) use gguf::{encode_ternary, recognize_pre};
pub use safetensors::{TensorFile, write_f32};
