//! The kernels written by hand, which exist for x86-64.

#[cfg(not(target_arch = "x86_64"))]
mod none;
#[cfg(target_arch = "x86_64")]
mod x86;

/// What the names of these kernels begin with.
pub(super) const PREFIX: &str = "reference/";

#[cfg(not(target_arch = "x86_64"))]
pub(super) use none::{Activations, HandWritten, activations};
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Activations, HandWritten, activations};
