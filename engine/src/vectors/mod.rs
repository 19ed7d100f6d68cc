//! Arithmetic on vectors of floats: dot products, norms, activations, and the inner loops of attention.
//!
//! Every function gives the same bits on every CPU and thread count. Vector width changes speed only.
//! This module knows slices, not models. It holds the crate's unsafe code, apart from one block in
//! [`pool`](crate::pool).

#![expect(unsafe_code, reason = "vector instructions need pointers and checks of CPU features")]

pub(crate) mod attention;
pub(crate) mod dot;
pub(crate) mod estimate;
pub(crate) mod ops;
mod vector;
