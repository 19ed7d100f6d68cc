//! Runs ternary language models: from a model's files to text.
//!
//! A [`Runtime`] chooses instruction set, threads and kernels. [`Model::load`] packs a model's weights for them. A
//! [`Generator`] turns a prompt into text.

mod chat;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod generate;
pub mod knobs;
mod model;
mod packed;
mod pool;
pub mod prediction;
mod runtime;
mod sampler;
mod source;
mod stop;
mod tokenizer;
pub mod tune;
pub mod verify;

pub use chat::{ChatTemplate, Message};
#[cfg(feature = "embedded")]
pub use embedded::fairy_tales;
pub use error::{Error, Result};
pub use generate::{Continuation, Generation, Generator, Request, Sequence, Step, Stop, step_all};
pub use model::{
    Candidates, Kernels, Logits, MemoryUse, Model, PLANNED_TOKENS, PRESETS, Preset, Rule, State,
    TernaryLinear,
};
pub use packed::{Kept, PackedCache};
pub use runtime::{ActivationType, CacheType, HeadMode, Mode, Runtime, RuntimeOptions, user_cache};
pub use sampler::{Sampler, SamplerOptions, SamplingChoices};
pub use source::{Progress as OpenProgress, open_model};
pub use stop::{Progress, StopMatcher};
pub use tokenizer::{StreamDecoder, Tokenizer};
