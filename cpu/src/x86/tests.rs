//! Hostile tables: whatever they hold, a [`Cpu`] is made without a panic.

use super::*;
use crate::Cpu;
use crate::dump::Registers;

/// The leaves that are decoded, and their neighbours.
const LEAVES: [u32; 20] = [
    0,
    1,
    2,
    3,
    4,
    7,
    0xB,
    0xD,
    0x1A,
    0x1F,
    0x20,
    0x8000_0000,
    0x8000_0001,
    0x8000_0002,
    0x8000_0003,
    0x8000_0004,
    0x8000_0005,
    0x8000_0008,
    0x8000_001D,
    0x8000_0026,
];

/// Words that break arithmetic.
const EXTREMES: [u32; 8] = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0x8000_00FF, 0xFFFF_0000, u32::MAX - 1, u32::MAX];

/// Each vendor that raw-cpuid treats differently.
const VENDORS: [[u32; 3]; 3] = [
    [0x756E_6547, 0x6C65_746E, 0x4965_6E69],
    [0x6874_7541, 0x444D_4163, 0x6974_6E65],
    [0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF],
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    fn word(&mut self) -> u32 {
        match self.next() % 4 {
            0 => EXTREMES[self.next() as usize % EXTREMES.len()],
            1 => self.next() & self.next() & self.next(),
            _ => self.next(),
        }
    }
}

#[test]
fn no_table_makes_the_decoder_panic() {
    let mut random = Random(1);
    for round in 0..20_000 {
        let mut leaves = Leaves::default();
        leaves.xcr0 = u64::from(random.word()) << 32 | u64::from(random.word());
        for leaf in LEAVES {
            for subleaf in 0..random.next() % 8 {
                let answer: Registers = std::array::from_fn(|_| random.word());
                leaves.insert(leaf, subleaf, answer);
            }
        }
        // Most tables must be read beyond their first leaf.
        if round % 8 != 0 {
            let [ebx, ecx, edx] = VENDORS[round % VENDORS.len()];
            leaves.insert(0, 0, [0x20, ebx, ecx, edx]);
            leaves.insert(0x8000_0000, 0, [0x8000_0026, 0, 0, 0]);
        }
        let cpu = Cpu::from_leaves(&leaves);
        assert!(cpu.logical > 0 && cpu.caches.len() <= MOST);
        assert!(!cpu.fingerprint("portable").is_empty());
        if let Ok(recorded) = Cpu::from_dump(&leaves.to_string()) {
            assert_eq!(recorded.features, cpu.features);
        }
    }
}

/// Returns a CPU with AMX under a system that answers `answer`.
fn asked(answer: std::io::Result<()>) -> Cpu {
    let mut leaves = Leaves::default();
    let [ebx, ecx, edx] = VENDORS[0];
    leaves.insert(0, 0, [0x20, ebx, ecx, edx]);
    leaves.insert(1, 0, [0, 0, 1 << 27, 0]);
    leaves.insert(7, 0, [0, 1 << 5, 0, 1 << 24 | 1 << 25]);
    leaves.xcr0 = 0x6_0007;
    Cpu::from_leaves(&leaves).with_tiles_if(|| answer)
}

#[test]
fn a_refusal_of_tiles_takes_amx_away_and_nothing_else() {
    use std::io::{Error, ErrorKind};

    assert_eq!((asked(Ok(())).features, asked(Ok(())).refusal), (vec!["avx2", "amx_tile", "amx_int8"], None));
    let refused = asked(Err(Error::from(ErrorKind::PermissionDenied)));
    assert_eq!(refused.features, ["avx2"]);
    assert!(refused.refusal.unwrap().contains("permission denied"));
    let elsewhere = asked(Err(Error::from(ErrorKind::Unsupported)));
    assert_eq!((elsewhere.features, elsewhere.refusal), (vec!["avx2"], None));
}

#[test]
fn the_values_on_which_raw_cpuid_panics_are_read() {
    let mut leaves = Leaves::default();
    let [ebx, ecx, edx] = VENDORS[0];
    leaves.insert(0, 0, [0x20, ebx, ecx, edx]);
    leaves.insert(1, 0, [u32::MAX; 4]);
    leaves.insert(4, 0, [!31 | 1, u32::MAX, u32::MAX, u32::MAX]);
    // A level of type 6, a group of dies.
    leaves.insert(0x1F, 0, [0, 96, 0x0600, 0]);
    let cpu = Cpu::from_leaves(&leaves);
    assert_eq!((cpu.family, cpu.model, cpu.stepping), (0xF + 0xFF, 0xFF, 0xF));
    assert_eq!((cpu.logical, cpu.caches.len()), (96, 1));
}
