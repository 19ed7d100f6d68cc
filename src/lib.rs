//! Ternary language models (BitNet b1.58) on ordinary CPUs, through micro-kernels assembled for the CPU at hand.
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # fn main() -> tercet::Result<()> {
//! use tercet::prelude::*;
//!
//! let session = Session::open("fairy-tales")?;
//! for text in session.stream("Once upon a time", session.request())? {
//!     print!("{}", text?);
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```
//!
//! Four ways in:
//! - run a model: [`Session`] and [`Conversation`]
//! - run many sequences at once: [`Scheduler`]
//! - bring a layer of your own: [`TernaryLinear`]
//! - generate kernels: [`codegen`]

#[cfg(feature = "cli")]
pub mod cli;
pub mod prelude;

pub use tercet_autotune as autotune;
pub use tercet_chat as chat;
pub use tercet_codegen as codegen;
pub use tercet_cpu as cpu;
pub use tercet_engine::*;
pub use tercet_formats as formats;
#[cfg(feature = "hub")]
pub use tercet_hub as hub;

/// Compiles the examples of the README and of the documentation.
#[cfg(all(doctest, feature = "embedded"))]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/rust.md")]
    struct Rust;
}
