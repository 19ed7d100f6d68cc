//! The hand-written kernels, which exist for x86-64 and AArch64.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod hand_written;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod none;

/// The prefix of the names of these kernels.
pub(super) const PREFIX: &str = "reference/";

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use hand_written::{Activations, HandWritten, activations};
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use none::{Activations, HandWritten, activations};
