//! Ternary language models (BitNet b1.58) on ordinary CPUs, through micro-kernels assembled for the CPU at hand.
//!
//! ```
//! use tercet::prelude::*;
//!
//! let session = Session::open("fairy-tales")?;
//! for text in session.stream("Once upon a time", session.request())? {
//!     print!("{}", text?);
//! }
//! # Ok::<(), Error>(())
//! ```
//!
//! `fairy-tales` is a toy inside the program; `bitnet-2b` is a real model, which is downloaded once. There are four doors.
//!
//! # Run a model
//!
//! A [`Session`] is a model, ready to use. [`Session::stream`] is an iterator over a text, [`Session::batch`] continues many
//! prompts in one call, and a [`Conversation`] remembers what was said. With the feature `async`, `AsyncSession` has streams
//! for asynchronous programs. A [`Scheduler`] is what all of these are made of.
//!
//! ```
//! # use tercet::prelude::*;
//! # let session = Session::open("fairy-tales")?;
//! let mut chat = session.conversation(None)?;
//! println!("{}", chat.say("Tell me about the sea")?);
//!
//! for text in session.batch(["The dragon", "The king"], &session.request())? {
//!     println!("{}", text.text);
//! }
//! # Ok::<(), Error>(())
//! ```
//!
//! # Serve it
//!
//! The feature `server` has the HTTP server of `tercet serve`, for clients of OpenAI, Anthropic and Ollama.
//!
//! ```no_run
//! use tercet::prelude::*;
//! use tercet::server::{Server, ServerOptions};
//!
//! let server = Server::bind("127.0.0.1:8080".parse()?, &ServerOptions::default())?;
//! server.run([Session::open("bitnet-2b")?], tercet::server::interrupted())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Bring your own layer
//!
//! A [`TernaryLinear`] is one layer for a model of your own, with the kernels, the rounding and the threads of Tercet's.
//!
//! ```
//! use tercet::formats::Ternary;
//! use tercet::{Runtime, RuntimeOptions, TernaryLinear};
//!
//! let floats: Vec<f32> = (0..64 * 32).map(|i| (i as f32).sin()).collect();
//! let runtime = Runtime::new(&RuntimeOptions::default());
//! let layer = TernaryLinear::new(&runtime, (64, 32), Ternary::absmean(&floats))?;
//! assert_eq!(layer.forward(&[1.0; 32]).len(), 64);
//! # Ok::<(), tercet::Error>(())
//! ```
//!
//! # Generate kernels
//!
//! [`codegen`] assembles a micro-kernel for any CPU on any host, and runs it where it can. It is a crate of its own,
//! `tercet-codegen`, with examples that emit, run, list and time kernels.
//!
//! ```
//! use tercet::codegen::{KernelSpec, Listing};
//!
//! let kernel: KernelSpec = "avx2/2bit/x1/m1n16u1/shift/p0/f32".parse()?;
//! println!("{}", Listing::new(&kernel)?);
//! # Ok::<(), tercet::codegen::SpecError>(())
//! ```
//!
//! # Features
//!
//! | feature | contents |
//! |---|---|
//! | `embedded` (default) | the fairy-tales model as part of the program |
//! | `hub` (default) | models by name or repository, downloaded from the Hugging Face hub |
//! | `async` | `AsyncSession`: texts as asynchronous streams, for any executor |
//! | `server` | the HTTP server |
//! | `cli` | the `tercet` command: `cargo install tercet --features cli` |

#[cfg(feature = "cli")]
#[doc(hidden)]
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
#[cfg(feature = "server")]
pub use tercet_server as server;

/// Compiles the examples of the README and of the documentation.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/rust.md")]
    struct Rust;
}
