//! Ternary language models (BitNet b1.58) on ordinary CPUs, through micro-kernels assembled for the CPU at hand.

#[cfg(feature = "cli")]
pub mod cli;

pub use tercet_autotune as autotune;
pub use tercet_codegen as codegen;
pub use tercet_cpu as cpu;
pub use tercet_engine::*;
pub use tercet_formats as formats;
#[cfg(feature = "hub")]
pub use tercet_hub as hub;
