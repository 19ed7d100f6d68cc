//! Tests whole kernels: two decoders agree, and each family stays within its instruction set.

use tercet_cpu::DotProduct;

use super::objdump;
use crate::emit::{FAMILIES, Family};
use crate::isa::{Architecture, Isa};
use crate::listing::{Line, Listing};
use crate::packing::Layout;
use crate::spec::{Epilogue, KernelSpec, Prefetch, Schedule, Tile};

/// Instructions of AVX2, and the scalar instructions of every x86-64 family.
const AVX2: &str = "add and imul jae jb je jne lea mov pop prefetcht0 prefetcht1 prefetchw push ret sub vcvtdq2ps vmovd vmovdqu vmulps vpabsb
    vpaddb vpaddd vpaddw vpand vpbroadcastd vpcmpgtb vpmaddubsw vpmaddwd vpsrad vpsrld vpsubd vpxor vzeroupper xchg";
/// The instruction that AVX-VNNI adds to AVX2.
const AVX_VNNI: &str = "{vex} vpdpbusd";
/// Instructions of AVX-512 F, BW and VNNI, on 512-bit operands.
const AVX512: &str =
    "vcvtdq2ps vmovdqu32 vmovdqu8 vmulps vpaddb vpaddd vpandd vpbroadcastd vpcmpnltub vpdpbusd vpsrad
    vpsrld vpsubd vpxord";
/// Instructions that VBMI adds, and those for its masks.
const AVX512_VBMI: &str = "vpermi2b vpmovb2m knotq";
/// Instructions that AMX adds.
const AMX: &str = "ldtilecfg tdpbsud tileloadd tilerelease tilestored tilezero";
/// Tokens and unrolling of the tiles.
const TILES: [(usize, usize); 12] =
    [(1, 1), (1, 2), (1, 16), (2, 1), (3, 4), (4, 1), (6, 2), (7, 1), (13, 1), (15, 3), (33, 1), (48, 1)];

/// Returns specs with every strategy and epilogue of `family`, on tiles from one vector to a full
/// register file.
fn specs(family: &Family) -> Vec<KernelSpec> {
    let mut specs = Vec::new();
    for &unpack in family.unpacks {
        for (interleave, nr) in [(1, 16), (2, 16), (2, 32), (4, 64), (8, 128)] {
            for (mr, ku) in TILES {
                let far = Prefetch { near: 8192, far: Prefetch::MAX };
                for (prefetch, epilogue) in [(Prefetch::NONE, Epilogue::I32), (far, Epilogue::F32)] {
                    let layout = Layout { packing: unpack.packings()[0], interleave };
                    let (tile, schedule) = (Tile { mr, nr, ku }, Schedule { unpack, prefetch });
                    specs.push(KernelSpec { isa: family.isa, layout, tile, schedule, epilogue });
                }
            }
        }
    }
    specs.retain(|spec| spec.validate().is_ok());
    specs
}

fn assert_allowed(isa: Isa, decoded: &objdump::Decoded) {
    const EVEX: u8 = 0x62;
    let (mnemonic, text) = (decoded.mnemonic(), &decoded.text);
    let among = |list: &str| list.split_whitespace().any(|name| name == mnemonic);
    let vector = mnemonic.trim_start_matches("{vex} ").starts_with('v') && mnemonic != "vzeroupper";
    let vbmi = matches!(isa, Isa::Avx512Vbmi | Isa::AmxInt8) && among(AVX512_VBMI);
    let amx = isa == Isa::AmxInt8 && among(AMX);
    if isa.row().dot == Some(DotProduct::VpdpbusdZmm) && vector {
        assert!(among(AVX512) || vbmi, "{text} is not in {isa}");
        assert!(decoded.bytes[0] == EVEX && text.contains("zmm"), "{text} is not 512 bits wide");
        return;
    }
    let allowed = among(AVX2) || vbmi || amx || isa == Isa::AvxVnni && mnemonic == AVX_VNNI;
    assert!(allowed, "{text} is not in {isa}");
    assert!(decoded.bytes[0] != EVEX && !text.contains("zmm"), "{text} is EVEX");
}

/// Checks that both decoders agree. objdump adds a pseudo-prefix to some mnemonics.
fn assert_same(spec: &KernelSpec, base: usize, decoded: &objdump::Decoded, line: &Line) {
    assert_eq!(
        (decoded.offset - base, &decoded.bytes),
        (line.offset, &line.bytes),
        "{spec}: {}",
        decoded.text
    );
    let iced = line.text.split(' ').next();
    assert_eq!(Some(decoded.mnemonic().trim_start_matches("{vex} ")), iced, "{spec} at {:#x}", line.offset);
}

#[test]
fn decoders_agree_and_kernels_stay_within_their_isa() {
    let families = FAMILIES.iter().filter(|family| family.isa.architecture() == Some(Architecture::X86_64));
    for family in families {
        let specs = specs(family);
        assert!(specs.len() > 20, "{}", family.isa);
        let kernels: Vec<_> =
            specs.iter().map(|spec| Listing::new(spec).unwrap().machine_code.unwrap()).collect();
        let code: Vec<u8> = kernels.iter().flat_map(|kernel| kernel.bytes.clone()).collect();
        let Some(decoded) = objdump::decode(&code) else { return };
        assert_eq!(decoded.len(), kernels.iter().map(|kernel| kernel.lines.len()).sum::<usize>());
        let (mut base, mut rest) = (0, decoded.as_slice());
        for (spec, kernel) in specs.iter().zip(&kernels) {
            let (own, others) = rest.split_at(kernel.lines.len());
            for (decoded, line) in own.iter().zip(&kernel.lines) {
                assert!(!decoded.text.contains("(bad)"), "{spec} at {:#x}", line.offset);
                assert_same(spec, base, decoded, line);
                assert_allowed(spec.isa, decoded);
            }
            (base, rest) = (base + kernel.bytes.len(), others);
        }
        println!("{}: {} kernels, {} instructions", family.isa, specs.len(), decoded.len());
    }
}
