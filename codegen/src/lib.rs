//! Turns a [`KernelSpec`] into a callable micro-kernel for this CPU.
//!
//! This crate knows no models, token sequences, threads or files. The steps:
//! - [`Isa::available`] lists the ISAs of a [`Cpu`](tercet_cpu::Cpu);
//! - [`PackedMatrix`] packs ternary weights in a [`Layout`];
//! - [`emit`] assembles the code of a spec;
//! - [`KernelCache`] publishes it once;
//! - [`Gemm`] walks the tiles of a product and calls it.

pub mod activations;
mod blocks;
pub mod cache;
pub mod columns;
pub mod emit;
pub mod exec;
pub mod gemm;
pub mod isa;
pub mod kernel;
pub mod listing;
pub mod packing;
mod portable;
pub mod probe;
pub mod profile;
pub mod spec;
mod table;
mod unpacked;
pub mod verify;
mod view;

pub use activations::Activations;
pub use cache::KernelCache;
pub use columns::{ColumnsMut, Element};
pub use emit::{FAMILIES, Family};
pub use gemm::Gemm;
pub use isa::{Architecture, Isa};
pub use kernel::{KernelError, MicroKernel};
pub use listing::Listing;
pub use packing::{Layout, PackedMatrix, Packing};
pub use profile::Profiler;
pub use spec::{Epilogue, KernelSpec, Schedule, SpecError, Tile, Unpack};
