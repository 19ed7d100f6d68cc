//! Tests whole kernels: two decoders agree word for word, and each family stays within its
//! instruction set.

use super::objdump;
use crate::emit::FAMILIES;
use crate::isa::{Architecture, Isa};
use crate::listing::{Line, Listing, MachineCode};
use crate::packing::Layout;
use crate::spec::{Epilogue, KernelSpec, Prefetch, Schedule, Tile};

/// Instructions that every family may use: scalars and 128-bit vectors of ARMv8.0.
const NEON: &str =
    "add adds addp and b.eq b.hs b.lo b.ne dup eor fmul ld1r ldp ldr mov movi movk mul prfm ret
    sadalp scvtf smlal smlal2 smull smull2 sshr stp str sub subs uhadd ushr uzp1 uzp2 zip1 zip2";

/// Returns specs with every strategy and epilogue of a family, on tiles of one pass and of two.
fn specs(isa: Isa) -> Vec<KernelSpec> {
    let mut specs = Vec::new();
    for &unpack in FAMILIES[isa as usize].unpacks {
        for (interleave, nr) in [(1, 16), (2, 16), (2, 32), (4, 64)] {
            for (mr, ku) in [(1, 1), (1, 2), (1, 16), (2, 3), (3, 1), (4, 1), (5, 2), (8, 1), (9, 1)] {
                for (prefetch, epilogue) in
                    [(0, Epilogue::I32), (4096, Epilogue::F32), (65_536, Epilogue::I32)]
                {
                    let layout = Layout { packing: unpack.packings()[0], interleave };
                    let schedule = Schedule { unpack, prefetch: Prefetch::near(prefetch) };
                    let tile = Tile { mr, nr, ku };
                    specs.push(KernelSpec { isa, layout, tile, schedule, epilogue });
                }
            }
        }
    }
    specs.retain(|spec| spec.validate().is_ok());
    specs
}

/// Checks that both decoders agree.
///
/// They differ in branches. objdump names conditions `cc` and `cs`, and a listing `lo` and `hs`.
/// objdump shows an offset from the start of all kernels, and a listing shows a label.
fn assert_same(spec: &KernelSpec, base: usize, decoded: &str, line: &Line, kernel: &MachineCode) {
    let Some((branch, target)) = decoded.strip_prefix("b.").and_then(|branch| branch.split_once(" 0x"))
    else {
        return assert_eq!(decoded, line.text, "{spec} at {:#x}", line.offset);
    };
    let condition = match branch {
        "cc" => "lo",
        "cs" => "hs",
        other => other,
    };
    let target = usize::from_str_radix(target, 16).unwrap() - base;
    let target = kernel.lines.iter().find(|line| line.offset == target).unwrap();
    let label = target.label.as_ref().unwrap();
    assert_eq!(format!("b.{condition} {label}"), line.text, "{spec} at {:#x}", line.offset);
}

fn assert_allowed(isa: Isa, line: &Line) {
    let mnemonic = line.text.split(' ').next().unwrap();
    let allowed = NEON.split_whitespace().any(|name| name == mnemonic)
        || mnemonic == "sdot" && isa != Isa::Neon
        || mnemonic == "usmmla" && isa == Isa::NeonI8mm;
    assert!(allowed, "{} is not in {isa}", line.text);
}

#[test]
fn decoders_agree_and_kernels_stay_within_their_isa() {
    let isas = Isa::ALL.into_iter().filter(|isa| isa.architecture() == Some(Architecture::Aarch64));
    for isa in isas {
        let specs = specs(isa);
        assert!(specs.len() > 20, "{isa}");
        let kernels: Vec<_> =
            specs.iter().map(|spec| Listing::new(spec).unwrap().machine_code.unwrap()).collect();
        let code: Vec<u8> = kernels.iter().flat_map(|kernel| kernel.bytes.clone()).collect();
        let Some(decoded) = objdump::decode(&code) else { return };
        let (mut base, mut rest) = (0, decoded.as_slice());
        for (spec, kernel) in specs.iter().zip(&kernels) {
            let (own, others) = rest.split_at(kernel.lines.len());
            for (decoded, line) in own.iter().zip(&kernel.lines) {
                assert_same(spec, base, decoded, line, kernel);
                assert_allowed(isa, line);
            }
            (base, rest) = (base + kernel.bytes.len(), others);
        }
        assert!(rest.is_empty());
        println!("{isa}: {} kernels, {} instructions", specs.len(), decoded.len());
    }
}
