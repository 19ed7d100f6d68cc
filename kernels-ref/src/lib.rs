//! The truth: plain, slow, obvious arithmetic for ternary language models.
//!
//! Tests compare every faster kernel of Tercet with these functions. So a reader can check them by
//! eye:
//!
//! - [`ternary`] and [`quantize`] turn floats into integers.
//! - [`gemm`](mod@gemm) multiplies the integers exactly.
//! - [`ops`] has the floating-point steps between the multiplications.
//!
//! `intrinsics` (x86-64 and AArch64) is not part of the truth. It has hand-written SIMD kernels, the
//! baseline that generated code has to beat. Tests compare them with the truth too.
//!
//! Matrices are row-major slices. `n` is the number of weight rows (outputs), `k` is the length of a
//! row (inputs), and `m` is the number of tokens. A slice with the wrong length is a bug of the
//! caller and panics.
//!
//! A BitNet linear layer, from floats to floats:
//!
//! ```
//! use tercet_kernels_ref::{gemm, quantize, ternary};
//!
//! let (n, k, m) = (2, 3, 1);
//! let (trits, magnitude) = ternary::absmean(&[0.5, -0.5, 0.01, 0.49, 0.0, 0.5]);
//! let (acts, scale) = quantize::absmax(&[1.0, 2.0, -4.0]);
//!
//! // weight ≈ trit · magnitude, and activation ≈ integer / scale.
//! let sums = gemm::gemm(&trits, &acts, n, k, m);
//! let y: Vec<f32> = sums.iter().map(|&sum| gemm::scaled(sum, magnitude / scale)).collect();
//! assert_eq!(trits, [1, -1, 0, 1, 0, 1]);
//! assert_eq!(sums, [-32, -95]);
//! assert!((y[0] - -0.336).abs() < 0.001 && (y[1] - -0.997).abs() < 0.001);
//! ```
#![deny(unsafe_code)]

pub mod gemm;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(unsafe_code)]
pub mod intrinsics;
pub mod ops;
pub mod quantize;
pub mod random;
pub mod ternary;
