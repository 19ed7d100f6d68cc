//! The truth: plain, slow, obvious arithmetic for ternary language models.
//!
//! Everything faster in Tercet is judged by these functions, so they are written to be checked by eye:
//! [`ternary`] and [`quantize`] turn floats into integers, [`gemm`](mod@gemm) multiplies the integers exactly, and
//! [`ops`] holds the floating-point steps between the multiplications.
//!
//! Apart from the truth stands `intrinsics` (x86-64 and AArch64): hand-written SIMD kernels, the baseline that
//! generated code has to beat. They are judged by the truth like everything else.
//!
//! Matrices are row-major slices. `n` is the number of weight rows (outputs), `k` the length of a row (inputs),
//! `m` the number of tokens. Slices whose lengths contradict these numbers are a bug of the caller and panic.
#![deny(unsafe_code)]

pub mod gemm;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(unsafe_code)]
pub mod intrinsics;
pub mod ops;
pub mod quantize;
pub mod random;
pub mod ternary;
