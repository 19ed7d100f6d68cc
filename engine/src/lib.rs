//! Runs ternary language models: from a model's files to text.
//!
//! A [`Runtime`] chooses instruction set, threads and kernels. [`Model::load`] packs a model's weights for them. A
//! [`Generator`] turns a prompt into text.

#![deny(unsafe_code)]

mod cancel;
mod conversation;
mod conversion;
#[cfg(feature = "embedded")]
mod embedded;
mod embedding;
mod error;
mod generate;
pub mod knobs;
mod memory;
mod model;
mod named;
pub mod options;
mod packed;
mod pool;
pub mod prediction;
pub mod profile;
mod runtime;
mod sampler;
mod scheduler;
mod session;
mod size;
mod source;
mod stop;
mod tokenizer;
pub mod tune;
mod vectors;
pub mod verify;

pub use cancel::Cancel;
pub use conversation::{Conversation, Reply};
pub use conversion::{Conversion, convert};
#[cfg(feature = "embedded")]
pub use embedded::fairy_tales;
pub use embedding::{Embedder, cosine};
pub use error::{Error, Result};
pub use generate::{
    Continuation, Draft, DraftModel, Generation, Generator, LogitsProcessor, Logprob, Request, Sequence,
    Step, Stop, TokenLogprobs,
};
pub use model::{
    Candidates, Kernels, Logits, MemoryUse, Model, PLANNED_TOKENS, PRESETS, Preset, Rule, State,
    TernaryLinear, Work, Zeros,
};
pub use packed::{Cleared, Kept, PackedCache};
pub use runtime::{ActivationType, CacheType, HeadMode, Mode, Runtime, RuntimeOptions, user_cache};
pub use sampler::{Sampler, SamplerOptions, SamplingChoices};
pub use scheduler::{
    Event, JobId, Scheduler, SchedulerOptions, SchedulerStatus, SchedulerTotals, SequenceStatus,
};
#[cfg(feature = "async")]
pub use session::{AsyncSession, AsyncStream};
pub use session::{Loading, Session, SessionOptions, Stream};
pub use size::{Size, UnknownSize};
pub use source::{Progress as OpenProgress, open_model};
pub use stop::{Progress, StopMatcher};
pub use tercet_chat::{ChatInput, ChatTemplate, Message};
pub use tercet_formats::hide_caught_panics;
pub use tercet_grammar::{Grammar, Mask, Matcher, Next};
pub use tokenizer::{Spelled, StreamDecoder, Tokenizer};
