//! Recorded CPUID tables of other CPUs, and this host, as the probe reads them. CPUID is decoded on x86-64 only.

#![cfg(target_arch = "x86_64")]

use tercet_codegen::isa::Isa::{self, AmxInt8, Avx2, Avx512Vbmi, Avx512Vnni, AvxVnni, Portable};
use tercet_codegen::{Architecture, FAMILIES};
use tercet_cpu::{Cache, CacheKind, CoreClass, Cpu, DumpError, dump};

const HASWELL: &str = include_str!("../../cpu/tests/cpuid/haswell.txt");
const ZEN2: &str = include_str!("../../cpu/tests/cpuid/zen2.txt");
const ALDER_LAKE_P: &str = include_str!("../../cpu/tests/cpuid/alder-lake-p.txt");
const ICE_LAKE: &str = include_str!("../../cpu/tests/cpuid/ice-lake.txt");
const ZEN4: &str = include_str!("../../cpu/tests/cpuid/zen4.txt");
const ZEN5: &str = include_str!("../../cpu/tests/cpuid/zen5.txt");
const NEHALEM: &str = include_str!("../../cpu/tests/cpuid/nehalem.txt");

/// Values in the vendor's data sheet of one CPU.
struct Expected {
    dump: &'static str,
    brand: &'static str,
    /// Family, model, stepping.
    signature: (u32, u32, u32),
    isas: &'static [Isa],
    /// L1 data, L1 instruction, L2 and L3 in KiB, each with the logical CPUs that share it.
    caches: [(u64, usize); 4],
    logical: usize,
}

const EXPECTED: [Expected; 7] = [
    Expected {
        dump: NEHALEM,
        brand: "Intel(R) Core(TM) i7 CPU 920 @ 2.67GHz",
        signature: (6, 26, 4),
        isas: &[Portable],
        caches: [(32, 2), (32, 2), (256, 2), (8 << 10, 8)],
        logical: 8,
    },
    Expected {
        dump: HASWELL,
        brand: "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz",
        signature: (6, 60, 3),
        isas: &[Avx2, Portable],
        caches: [(32, 2), (32, 2), (256, 2), (8 << 10, 8)],
        logical: 8,
    },
    Expected {
        dump: ZEN2,
        brand: "AMD Ryzen 5 3600X 6-Core Processor",
        signature: (0x17, 0x71, 0),
        isas: &[Avx2, Portable],
        caches: [(32, 2), (32, 2), (512, 2), (16 << 10, 6)],
        logical: 12,
    },
    Expected {
        dump: ALDER_LAKE_P,
        brand: "12th Gen Intel(R) Core(TM) i7-12700K",
        signature: (6, 151, 2),
        isas: &[AvxVnni, Avx2, Portable],
        caches: [(48, 2), (32, 2), (1280, 8), (25 << 10, 20)],
        logical: 20,
    },
    Expected {
        dump: ICE_LAKE,
        brand: "Intel(R) Core(TM) i7-1065G7 CPU @ 1.30GHz",
        signature: (6, 126, 5),
        isas: &[Avx512Vbmi, Avx512Vnni, Avx2, Portable],
        caches: [(48, 2), (32, 2), (512, 2), (8 << 10, 8)],
        logical: 8,
    },
    Expected {
        dump: ZEN4,
        brand: "AMD Ryzen 7 7700X 8-Core Processor",
        signature: (0x19, 0x61, 2),
        isas: &[Avx512Vbmi, Avx512Vnni, Avx2, Portable],
        caches: [(32, 2), (32, 2), (1024, 2), (32 << 10, 16)],
        logical: 16,
    },
    Expected {
        dump: ZEN5,
        brand: "AMD Ryzen 9 9950X 16-Core Processor",
        signature: (0x1A, 0x44, 0),
        isas: &[Avx512Vbmi, Avx512Vnni, AvxVnni, Avx2, Portable],
        caches: [(48, 2), (32, 2), (1024, 2), (32 << 10, 16)],
        logical: 32,
    },
];

#[test]
fn every_dump_is_read_as_its_data_sheet_says() {
    use CacheKind::{Data, Instruction, Unified};
    for expected in EXPECTED {
        let cpu = Cpu::from_dump(expected.dump).unwrap();
        assert_eq!(cpu.brand, expected.brand);
        assert_eq!((cpu.family, cpu.model, cpu.stepping), expected.signature, "{}", cpu.brand);
        assert_eq!(cpu.vendor, if cpu.brand.contains("AMD") { "AuthenticAMD" } else { "GenuineIntel" });
        assert_eq!(Isa::available(&cpu), expected.isas, "{}", cpu.brand);
        assert_eq!(Isa::best(&cpu), expected.isas[0], "{}", cpu.brand);
        assert!(Isa::ALL.iter().all(|&isa| isa.runs_on(&cpu) == expected.isas.contains(&isa)));
        assert_eq!(cpu.logical, expected.logical, "{}", cpu.brand);
        let kinds = [(1, Data), (1, Instruction), (2, Unified), (3, Unified)];
        let caches = kinds.into_iter().zip(expected.caches).map(|((level, kind), (kib, shared_by))| Cache {
            level,
            kind,
            size: kib << 10,
            line: 64,
            shared_by,
        });
        assert_eq!(cpu.caches, caches.collect::<Vec<_>>(), "{}", cpu.brand);
        assert_eq!(cpu.data_cache(1), Some(&cpu.caches[0]));
    }
}

/// Returns the same CPU under an operating system that enables other register states.
fn with_xcr0(dump: &str, xcr0: &str) -> Cpu {
    let mut lines: Vec<_> = dump.lines().filter(|line| !line.starts_with("xcr0")).collect();
    let xcr0 = format!("xcr0 {xcr0}");
    lines.push(&xcr0);
    Cpu::from_dump(&lines.join("\n")).unwrap()
}

#[test]
fn an_isa_needs_the_operating_system_too() {
    for (dump, without_avx512) in
        [(ICE_LAKE, [Avx2, Portable].as_slice()), (ZEN5, &[AvxVnni, Avx2, Portable])]
    {
        assert_eq!(Isa::best(&with_xcr0(dump, "e7")), Avx512Vbmi);
        for lacks_a_zmm_state in ["7", "c7", "a7", "67"] {
            assert_eq!(
                Isa::available(&with_xcr0(dump, lacks_a_zmm_state)),
                without_avx512,
                "{lacks_a_zmm_state}"
            );
        }
        for lacks_avx in ["0", "3", "5", "e3", "e5"] {
            assert_eq!(Isa::available(&with_xcr0(dump, lacks_avx)), [Portable], "{lacks_avx}");
        }
    }
}

/// AMX has two bits in leaf 7 and two states: the configuration of tiles and their data.
#[test]
fn amx_needs_its_bits_and_both_of_its_states() {
    let with_amx = ICE_LAKE.replace("40405f4e bc000410", "40405f4e bf000410");
    assert_ne!(with_amx, ICE_LAKE);
    assert_eq!(Isa::best(&with_xcr0(&with_amx, "602e7")), AmxInt8);
    for lacks_a_state in ["2e7", "202e7", "402e7"] {
        assert_eq!(Isa::best(&with_xcr0(&with_amx, lacks_a_state)), Avx512Vbmi, "{lacks_a_state}");
    }
    for lacks_a_bit in ["be000410", "bd000410"] {
        let dump = with_amx.replace("bf000410", lacks_a_bit);
        assert_eq!(Isa::best(&with_xcr0(&dump, "602e7")), Avx512Vbmi, "{lacks_a_bit}");
    }
}

#[test]
fn xcr0_counts_only_if_the_operating_system_enabled_xgetbv() {
    let osxsave_cleared = ZEN5.replace("7ed8320b", "76d8320b");
    assert_ne!(osxsave_cleared, ZEN5);
    assert_eq!(Isa::available(&Cpu::from_dump(&osxsave_cleared).unwrap()), [Portable]);
}

#[test]
fn vbmi_and_each_vnni_encoding_have_bits_of_their_own() {
    let without_vbmi = ZEN5.replace("19405fce", "19405fcc");
    assert_eq!(
        Isa::available(&Cpu::from_dump(&without_vbmi).unwrap()),
        [Avx512Vnni, AvxVnni, Avx2, Portable]
    );
    let without_vex = ZEN5.replace("00000007 01: 00000030", "00000007 01: 00000020");
    assert_eq!(
        Isa::available(&Cpu::from_dump(&without_vex).unwrap()),
        [Avx512Vbmi, Avx512Vnni, Avx2, Portable]
    );
    let without_evex = ZEN5.replace("19405fce", "194057ce");
    assert_eq!(Isa::available(&Cpu::from_dump(&without_evex).unwrap()), [AvxVnni, Avx2, Portable]);
}

#[test]
fn leaves_beyond_the_last_are_ignored() {
    let capped_by_firmware = HASWELL.replace("00000000 00: 0000000d", "00000000 00: 00000003");
    let cpu = Cpu::from_dump(&capped_by_firmware).unwrap();
    assert_eq!((Isa::available(&cpu), cpu.caches), (vec![Portable], vec![]));
}

#[test]
fn features_beyond_the_isa_levels() {
    let features = |dump| Cpu::from_dump(dump).unwrap().features;
    for name in ["fma", "f16c", "bmi2", "gfni", "avx_vnni", "avx512_vbmi", "avx512_bf16"] {
        assert!(features(ZEN5).contains(&name), "{name}");
    }
    for name in ["avx_vnni_int8", "amx_int8", "avx512_fp16", "avx10"] {
        assert!(!features(ZEN5).contains(&name), "{name}");
    }
    assert_eq!(features(NEHALEM), ["ssse3", "sse4_1", "sse4_2", "popcnt"]);
    assert!(features(ALDER_LAKE_P).contains(&"gfni"));
    assert!(!features(HASWELL).contains(&"gfni"));
}

#[test]
fn a_hybrid_cpu_tells_the_class_of_the_core_that_answered() {
    let class = |dump: &str| Cpu::from_dump(dump).unwrap().class;
    assert_eq!(class(ALDER_LAKE_P), Some(CoreClass::Performance));
    assert_eq!(class(&ALDER_LAKE_P.replace(": 40000001", ": 20000001")), Some(CoreClass::Efficiency));
    assert_eq!(class(ICE_LAKE), None);
}

#[test]
fn fingerprints_name_the_machine() {
    let fingerprint = |dump: &str| Isa::fingerprint(&Cpu::from_dump(dump).unwrap());
    assert_eq!(fingerprint(ZEN2), "AuthenticAMD-23-113-0_avx2+portable_L1d32K+L1i32K+L2u512K+L3u16384K");
    assert_eq!(
        fingerprint(ALDER_LAKE_P),
        "GenuineIntel-6-151-2_avx-vnni+avx2+portable_L1d48K+L1i32K+L2u1280K+L3u25600K_performance"
    );
    assert_ne!(Isa::fingerprint(&with_xcr0(ZEN5, "7")), fingerprint(ZEN5));
}

#[test]
fn malformed_dumps_name_the_line() {
    let header = "# a comment\n\n00000000 00: 00000001 756e6547 6c65746e 49656e69 # Intel\n";
    for malformed in [
        "00000001",
        "00000001 00:",
        "00000001: 0 0 0 0",
        "00000001 00 00: 0 0 0 0",
        "00000001 00: 0 0 0",
        "00000001 00: 0 0 0 0 0",
        "00000001 00: 0 0 0 x",
        "00000001 00: 0 0 0 +1",
        "00000001 00: 0 0 0 123456789",
        "0x1 0: 0 0 0 0",
        "xcr0",
        "xcr0 7 7",
        "xcr0: 7",
        "xcr0 -1",
        "ünïcode: 0 0 0 0",
    ] {
        let error = Cpu::from_dump(&format!("{header}{malformed}\nxcr0 7\n")).unwrap_err();
        assert_eq!(error, DumpError::Malformed { line: 4, text: malformed.into() });
        assert!(error.to_string().starts_with("line 4: "), "{error}");
    }
    for twice in ["00000000 00: 0 0 0 0", "xcr0 7"] {
        let error = Cpu::from_dump(&format!("{header}xcr0 7\n{twice}\n")).unwrap_err();
        assert_eq!(error, DumpError::Repeated { line: 5, text: twice.into() });
    }
    assert_eq!(Cpu::from_dump("# nothing\nxcr0 7\n").unwrap_err(), DumpError::NoVendor);
}

#[test]
fn extreme_register_values_are_no_panic() {
    let ones = "ffffffff ffffffff ffffffff ffffffff";
    let leaves = [0, 1, 4, 7, 0xB, 0x1A, 0x1F, 0x8000_0000u32, 0x8000_0002, 0x8000_001D];
    let lines = leaves.iter().flat_map(|leaf| (0..40).map(move |sub| format!("{leaf:x} {sub:x}: {ones}\n")));
    let cpu = Cpu::from_dump(&(lines.collect::<String>() + "xcr0 ffffffffffffffff")).unwrap();
    assert_eq!(Isa::available(&cpu), [AmxInt8, Avx512Vbmi, Avx512Vnni, AvxVnni, Avx2, Portable]);
    assert!(!Isa::fingerprint(&cpu).is_empty());
}

/// The standard library detects features on its own.
#[test]
fn the_host_agrees_with_the_standard_library() {
    let cpu = Cpu::host();
    let features = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx_vnni", is_x86_feature_detected!("avxvnni")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vl", is_x86_feature_detected!("avx512vl")),
        ("ssse3", is_x86_feature_detected!("ssse3")),
        ("sse4_1", is_x86_feature_detected!("sse4.1")),
        ("sse4_2", is_x86_feature_detected!("sse4.2")),
        ("popcnt", is_x86_feature_detected!("popcnt")),
        ("avx", is_x86_feature_detected!("avx")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("fma", is_x86_feature_detected!("fma")),
        ("bmi1", is_x86_feature_detected!("bmi1")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("gfni", is_x86_feature_detected!("gfni")),
        ("avx_vnni_int8", is_x86_feature_detected!("avxvnniint8")),
        ("avx_vnni_int16", is_x86_feature_detected!("avxvnniint16")),
        ("avx_ne_convert", is_x86_feature_detected!("avxneconvert")),
        ("avx_ifma", is_x86_feature_detected!("avxifma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512dq", is_x86_feature_detected!("avx512dq")),
        ("avx512cd", is_x86_feature_detected!("avx512cd")),
        ("avx512ifma", is_x86_feature_detected!("avx512ifma")),
        ("avx512_vbmi", is_x86_feature_detected!("avx512vbmi")),
        ("avx512_vbmi2", is_x86_feature_detected!("avx512vbmi2")),
        ("avx512_vnni", is_x86_feature_detected!("avx512vnni")),
        ("avx512_bitalg", is_x86_feature_detected!("avx512bitalg")),
        ("avx512_vpopcntdq", is_x86_feature_detected!("avx512vpopcntdq")),
        ("avx512_bf16", is_x86_feature_detected!("avx512bf16")),
        ("avx512_fp16", is_x86_feature_detected!("avx512fp16")),
    ];
    for (name, expected) in features {
        assert_eq!(cpu.has(name), expected, "{name}");
    }
    let detected = |name: &&str| features.iter().any(|(known, detected)| known == name && *detected);
    for family in FAMILIES.iter().filter(|family| family.architecture == Some(Architecture::X86_64)) {
        assert_eq!(family.isa.runs_on(cpu), family.features.iter().all(detected), "{}", family.isa);
    }
}

#[test]
fn the_host_is_sane_and_its_record_reads_back() {
    let cpu = Cpu::host();
    assert!(Portable.runs_on(cpu) && cpu.logical > 0);
    assert_eq!(Isa::fingerprint(cpu), Isa::fingerprint(&Cpu::probe()));
    let replayed = Cpu::from_dump(&dump::record()).unwrap();
    assert_eq!((Isa::available(&replayed), replayed.features), (Isa::available(cpu), cpu.features.clone()));
    assert_eq!((replayed.vendor, replayed.brand), (cpu.vendor.clone(), cpu.brand.clone()));
}
