//! Turns a [`KernelSpec`] into a callable micro-kernel for this CPU.
//!
//! This crate knows no models, token sequences, threads or files. The steps:
//! - [`Isa::available`] lists the ISAs of a [`Cpu`](tercet_cpu::Cpu);
//! - [`PackedMatrix`] packs ternary weights in a [`Layout`];
//! - [`emit`] assembles the code of a spec;
//! - [`KernelCache`] publishes it once;
//! - [`Gemm`] walks the tiles of a product and calls it.
//!
//! ```
//! use tercet_codegen::{Activations, ColumnsMut, Gemm, KernelCache, KernelSpec, PackedMatrix};
//!
//! // Y = X·Wᵀ for one token, k = 3 input features and n = 2 output features, as raw integer sums.
//! let spec: KernelSpec = "portable/2bit/x1/m1n16u1/shift/p0/i32".parse()?;
//! let weights = PackedMatrix::pack(spec.layout, 2, 3, &[1, 0, -1, 1, 1, 1])?;
//! let mut x = Activations::with_capacity(1, 3);
//! x.reset(1, 3);
//! for mut row in x.rows_mut() {
//!     row.set(|values| {
//!         values.copy_from_slice(&[10, 20, 30]);
//!         1.0
//!     });
//! }
//! let mut y = [0; 2];
//! Gemm::new(&KernelCache::default(), spec)?.compute(&weights, &x, ColumnsMut::new(&mut y, 1, 2));
//! assert_eq!(y, [-20, 60]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub mod sparse;
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
pub use sparse::{ColumnGemm, ColumnInput, ColumnMatrix, RowGemm, RowInput, RowMatrix};
pub use spec::{Epilogue, KernelSpec, Prefetch, Schedule, SpecError, Tile, Unpack};
