//! Ternary language models (BitNet b1.58) on ordinary CPUs, through micro-kernels assembled for the CPU at hand.
//!
//! A [`Runtime`] probes the CPU; [`ModelFiles`] names a model's files; [`Model::load`] packs its weights and has the
//! kernels emitted; a [`Generator`] turns a prompt into text.

mod chat;
#[cfg(feature = "cli")]
pub mod cli;
mod convert;
#[cfg(feature = "cli")]
mod embedded;
mod error;
pub mod formats;
mod generate;
#[cfg(feature = "hub")]
pub mod hub;
pub mod knobs;
mod model;
mod packed;
mod pool;
pub mod prediction;
mod runtime;
mod sampler;
mod stop;
mod tokenizer;
pub mod tune;
pub mod verify;

pub use chat::{ChatTemplate, Message};
pub use convert::{Converted, Format, convert};
#[cfg(feature = "cli")]
pub use embedded::fairy_tales;
pub use error::{Error, Result};
pub use formats::ModelFiles;
pub use generate::{Continuation, Generation, Generator, Request, Sequence, Step, Stop, step_all};
pub use model::{
    Activation, Candidates, Config, GenerationDefaults, Kernels, Logits, MemoryUse, Model, PLANNED_TOKENS,
    PRESETS, Preset, Rope, RopeScaling, Rule, State, TernaryLinear,
};
pub use packed::{Kept, PackedCache};
pub use runtime::{ActivationType, CacheType, HeadMode, Mode, Runtime, RuntimeOptions};
pub use sampler::{Sampler, SamplerOptions, SamplingChoices};
pub use stop::{Progress, StopMatcher};
pub use tercet_autotune as autotune;
pub use tercet_codegen as codegen;
pub use tokenizer::{StreamDecoder, Tokenizer};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
