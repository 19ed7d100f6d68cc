//! Compares the hand-written kernels with the truth, bit for bit.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

use tercet_kernels_ref::gemm::gemm;
use tercet_kernels_ref::intrinsics::{self, Activations, Level, Packed};

/// Returns random bytes that are the same in every run, from Marsaglia's xorshift.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn trits(len: usize, seed: u64) -> Vec<i8> {
    bytes(len, seed).into_iter().map(|b| (b % 3) as i8 - 1).collect()
}

fn acts(len: usize, seed: u64) -> Vec<i8> {
    bytes(len, seed).into_iter().map(|b| if b < 16 { -128 } else { b.cast_signed() }).collect()
}

fn run(level: Level, weights: &[i8], acts: &[i8], n: usize, k: usize, m: usize) -> Vec<i32> {
    let mut out = vec![i32::MIN; m * n];
    intrinsics::gemm(&Packed::new(level, weights, n, k), &Activations::new(acts, m, k), 0..n, &mut out);
    out
}

#[test]
fn every_level_equals_the_truth_on_awkward_sizes() {
    const SIZES: [usize; 8] = [1, 3, 15, 16, 17, 64, 100, 640];
    for (n, k) in SIZES.into_iter().flat_map(|n| SIZES.map(|k| (n, k))) {
        for m in 1..=9 {
            let (weights, acts) = (trits(n * k, (n + k) as u64), acts(m * k, (k + m) as u64));
            let expected = gemm(&weights, &acts, n, k, m);
            for level in Level::available() {
                assert_eq!(run(level, &weights, &acts, n, k, m), expected, "{level:?}: n {n}, k {k}, m {m}");
            }
        }
    }
}

#[test]
fn extreme_sums_do_not_overflow() {
    let (n, k) = (17, 1 << 18);
    for (weight, act) in [(1, -128), (1, 127), (-1, -128), (-1, 127), (0, -128)] {
        for (level, m) in Level::available().into_iter().flat_map(|level| [(level, 1), (level, 3)]) {
            let out = run(level, &vec![weight; n * k], &vec![act; m * k], n, k, m);
            let expected = i32::from(weight) * i32::from(act) * k as i32;
            assert!(out.iter().all(|&dot| dot == expected), "{level:?}: {weight} × {act}, m {m}");
        }
    }
}

#[test]
fn rows_may_be_split() {
    let (n, k, m) = (200, 48, 7);
    let (weights, acts) = (trits(n * k, 1), acts(m * k, 2));
    let expected = gemm(&weights, &acts, n, k, m);
    let padded = Activations::new(&acts, m, k);
    for level in Level::available() {
        let packed = Packed::new(level, &weights, n, k);
        for rows in [0..64, 64..192, 192..200, 128..128] {
            let mut out = vec![0; m * rows.len()];
            intrinsics::gemm(&packed, &padded, rows.clone(), &mut out);
            let expected: Vec<i32> =
                expected.chunks(n).flat_map(|token| &token[rows.clone()]).copied().collect();
            assert_eq!(out, expected, "{level:?}: {rows:?}");
        }
    }
}

#[test]
#[should_panic(expected = "rows start at a block")]
fn split_rows_are_checked() {
    let Some(&level) = Level::available().first() else { panic!("rows start at a block: no level to try") };
    let packed = Packed::new(level, &[0; 128], 128, 1);
    intrinsics::gemm(&packed, &Activations::new(&[1], 1, 1), 16..128, &mut [0; 112]);
}
