//! Products of tiles: shapes that the grid of all families leaves out.

use crate::activations::Activations;
use crate::cache::KernelCache;
use crate::columns::ColumnsMut;
use crate::emit::asm::{Asm, Gpr, Mem, Tmm, Width};
use crate::emit::emulator::Program;
use crate::gemm::Gemm;
use crate::isa::Isa;
use crate::packing::{Layout, MAX_K, PANEL_ROWS, PackedMatrix, Packing};
use crate::spec::{Epilogue, KernelSpec, Prefetch, Schedule, Tile, Unpack};
use crate::verify::{self, Expected};
use tercet_cpu::Cpu;
use tercet_kernels_ref::random::SplitMix;

/// Returns every legal tile of both strategies.
fn specs(packing: Packing) -> impl Iterator<Item = KernelSpec> {
    let panels =
        Layout::INTERLEAVES.into_iter().flat_map(|interleave| (1..=interleave).map(move |p| (interleave, p)));
    let tiles =
        panels.flat_map(|(interleave, panels)| (1..=Tile::MAX_MR).map(move |mr| (interleave, panels, mr)));
    let spec = move |(interleave, panels, mr): (usize, usize, usize)| {
        [Unpack::Tiles, Unpack::Ring].map(|unpack| KernelSpec {
            isa: Isa::AmxInt8,
            layout: Layout { packing, interleave },
            tile: Tile { mr, nr: panels * PANEL_ROWS, ku: 1 },
            schedule: Schedule { unpack, prefetch: Prefetch::NONE },
            epilogue: if mr % 2 == 0 { Epilogue::I32 } else { Epilogue::F32 },
        })
    };
    tiles.flat_map(spec).filter(|spec| spec.validate().is_ok())
}

#[test]
fn every_legal_tile_equals_the_reference() {
    let (n, k) = (150, 83);
    let cache = KernelCache::emulating();
    let mut judged = 0;
    for packing in Packing::ALL {
        let expected = Expected::new(packing, n, k, Tile::MAX_MR);
        for spec in specs(packing) {
            let gemm = Gemm::new(&cache, spec).unwrap();
            assert_eq!(expected.judge(&gemm, &expected.pack(spec.layout), spec.tile.mr), None);
            judged += 1;
        }
    }
    assert!(judged > 500, "{judged}");
}

#[test]
fn many_tokens_equal_the_reference() {
    let cache = KernelCache::emulating();
    for (packing, n, k) in
        [(Packing::Trits5, 130, 2560), (Packing::Bits2, 33, 64), (Packing::Trits5, 16, 129)]
    {
        let tokens = [15, 17, 47, 48, 49, 97, 128];
        let expected = Expected::new(packing, n, k, 128);
        let tiles = verify::specs(Isa::AmxInt8, packing).into_iter().map(|(_, spec)| spec);
        for spec in tiles.filter(|spec| spec.schedule.unpack == Unpack::Tiles) {
            assert_eq!(spec.tile.mr, Tile::MAX_MR);
            let (gemm, packed) = (Gemm::new(&cache, spec).unwrap(), expected.pack(spec.layout));
            for m in tokens {
                assert_eq!(expected.judge(&gemm, &packed, m), None);
            }
        }
    }
}

#[test]
fn a_wrong_weight_is_noticed() {
    let spec: KernelSpec = "amx-int8/1.6bit/x4/m48n64u1/tiles/p0/f32".parse().unwrap();
    let expected = Expected::new(spec.layout.packing, 17, 40, 20);
    let mut wrong = expected.pack(spec.layout).unpack();
    wrong[16 * 40 + 39] = if wrong[16 * 40 + 39] == 0 { -1 } else { 0 };
    let packed = PackedMatrix::pack(spec.layout, 17, 40, &wrong).unwrap().with_scale(verify::SCALE);
    let gemm = Gemm::new(&KernelCache::emulating(), spec).unwrap();
    assert_eq!(expected.judge(&gemm, &packed, 20).expect("one weight differs").row, 16);
}

#[test]
fn the_largest_sums_are_exact() {
    let spec: KernelSpec = "amx-int8/2bit/x1/m48n16u1/tiles/p0/i32".parse().unwrap();
    let weights: Vec<i8> = [1, -1].into_iter().flat_map(|weight| [weight; MAX_K]).collect();
    let packed = PackedMatrix::pack(spec.layout, 2, MAX_K, &weights).unwrap();
    let gemm = Gemm::new(&KernelCache::emulating(), spec).unwrap();
    for a in [-128i8, 127] {
        let mut acts = Activations::with_capacity(1, MAX_K);
        acts.rows_mut().for_each(|mut row| {
            row.set(|values| {
                values.fill(a);
                1.0
            });
        });
        let mut out = [0i32; 2];
        gemm.compute(&packed, &acts, ColumnsMut::new(&mut out, 1, 2));
        let sum = i32::from(a) * MAX_K as i32;
        assert_eq!(out, [sum, -sum]);
    }
}

/// Scales lie between the groups of the unpacked rows.
#[test]
fn groups_equal_those_of_the_portable_family() {
    for (n, k, size, tokens) in [(70, 300, 128, 1), (130, 256, 64, 7), (33, 96, 96, 50), (16, 1000, 20, 17)] {
        let groups = usize::div_ceil(k, size);
        let trits: Vec<i8> = (0..n * k).map(|i| (i * i % 11 % 3) as i8 - 1).collect();
        let scales: Vec<f32> = (0..n * groups).map(|i| 0.001 * (1 + i * 7 % 13) as f32).collect();
        let mut acts = Activations::default();
        acts.reset_groups(tokens, k, size);
        for (i, mut row) in acts.rows_mut().enumerate() {
            row.set(|values| {
                values.iter_mut().zip(0..).for_each(|(value, c)| *value = ((31 * i + 17 * c) % 255) as i8);
                0.5 + i as f32 * 0.25
            });
        }
        let compute = |cache: &KernelCache, spec: &str| {
            let spec: KernelSpec = spec.parse().unwrap();
            let matrix = PackedMatrix::pack_groups(spec.layout, (n, k), &trits, size, &scales).unwrap();
            let mut out = vec![f32::NAN; tokens * n];
            let gemm = Gemm::new(cache, spec).unwrap();
            gemm.compute_groups(&matrix, &acts, ColumnsMut::new(&mut out, tokens, n));
            out
        };
        let expected = compute(&KernelCache::default(), "portable/2bit/x1/m15n16u1/shift/p0/i32");
        for spec in [
            "amx-int8/1.6bit/x4/m48n64u1/tiles/p0/i32",
            "amx-int8/2bit/x2/m20n32u1/tiles/p0/i32",
            "amx-int8/1.6bit/x4/m16n64u1/ring/p0/i32",
            "amx-int8/2bit/x2/m5n16u1/ring/p0/i32",
        ] {
            assert_eq!(
                compute(&KernelCache::emulating(), spec),
                expected,
                "{spec}, {n}x{k}/{size}, {tokens}"
            );
        }
    }
}

/// A configuration of tiles, and the bytes of A, B and C in rows of 64.
#[repr(C, align(64))]
#[derive(Clone, PartialEq, Eq, Debug)]
struct State {
    config: [u8; 64],
    a: [[u8; 64]; 16],
    b: [[u8; 64]; 16],
    c: [[u8; 64]; 16],
}

/// Returns a function that adds A · B to C in a [`State`].
fn product() -> Vec<u8> {
    let mut asm = Asm::new(Width::Zmm);
    let [c, a, b] = [0, 1, 2].map(Tmm::new);
    let matrix = |index| Mem::strided(Gpr::Rdi, Gpr::Rdx, 1, 64 + 1024 * index);
    asm.mov_imm32(Gpr::Rdx, 64);
    asm.ldtilecfg(Mem::at(Gpr::Rdi, 0));
    asm.tileloadd(a, matrix(0));
    asm.tileloadd(b, matrix(1));
    asm.tileloadd(c, matrix(2));
    asm.tdpbsud(c, a, b);
    asm.tilestored(matrix(2), c);
    asm.tilerelease();
    asm.ret();
    asm.finish().0
}

/// The emulator, and this CPU if it has AMX, multiply as plain loops do.
#[test]
fn products_of_tiles_are_those_of_plain_loops() {
    let code = product();
    let emulated = Program::new(&code);
    let native = Isa::AmxInt8.runs_on(Cpu::host()).then(|| native(&code));
    println!("{} AMX", if native.is_some() { "with" } else { "without" });
    let mut random = SplitMix(5);
    for (m, n, k) in [(16, 16, 16), (1, 1, 1), (5, 16, 3), (13, 7, 16), (16, 2, 9)] {
        let mut matrix = || [(); 16].map(|()| [(); 64].map(|()| random.next_u64() as u8));
        let mut state = State { config: [0; 64], a: matrix(), b: matrix(), c: matrix() };
        state.config[0] = 1;
        for (tile, (rows, columns)) in [(m, n), (m, k), (k, n)].into_iter().enumerate() {
            (state.config[16 + 2 * tile], state.config[48 + tile]) = (4 * columns as u8, rows as u8);
        }
        let mut expected = state.clone();
        for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
            let product =
                |i: usize| i32::from(state.a[row][i] as i8) * i32::from(state.b[i / 4][4 * column + i % 4]);
            let sum = &mut expected.c[row].as_chunks_mut::<4>().0[column];
            let total = (0..4 * k).map(product).fold(i32::from_le_bytes(*sum), i32::wrapping_add);
            *sum = total.to_le_bytes();
        }
        if let Some(native) = &native {
            let mut found = state.clone();
            native(&mut found);
            assert_eq!(found, expected, "{m}, {n}, {k} on this CPU");
        }
        // SAFETY: the code reads and writes a `State`.
        unsafe { emulated.run(&raw mut state) };
        assert_eq!(state, expected, "{m}, {n}, {k}");
    }
}

#[cfg(target_arch = "x86_64")]
fn native(code: &[u8]) -> Box<dyn Fn(&mut State)> {
    type Entry = unsafe extern "sysv64" fn(*mut State);
    let memory = crate::exec::ExecutableMemory::publish(code).unwrap();
    Box::new(move |state| {
        // SAFETY: the code is a function that reads and writes a `State`, and this CPU has its instructions.
        unsafe { std::mem::transmute::<*const u8, Entry>(memory.code().as_ptr())(state) }
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn native(_: &[u8]) -> Box<dyn Fn(&mut State)> {
    unreachable!("the CPU has no AMX")
}
