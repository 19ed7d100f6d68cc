//! Bounds-checked readers of model files: bytes in, validated values out.

mod atomic;
mod bytes;
mod files;
pub(crate) mod json;
mod safetensors;

pub use atomic::write_atomically;
pub use bytes::Bytes;
pub use files::{CONFIG, MODEL, ModelFiles};
pub use safetensors::{Floats, StoredFloats, TensorFile, write_f32};
