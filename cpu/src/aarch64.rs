//! Facts about AArch64 CPUs: the main ID register, and the features that the standard library detects.

use std::fs;
use std::path::Path;

/// The main ID register: the maker and the model of a core (Arm Architecture Reference Manual, MIDR_EL1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MainId(u64);

/// Implementer codes.
const IMPLEMENTERS: [(u32, &str); 9] = [
    (0x41, "Arm"),
    (0x42, "Broadcom"),
    (0x46, "Fujitsu"),
    (0x48, "HiSilicon"),
    (0x4E, "NVIDIA"),
    (0x51, "Qualcomm"),
    (0x53, "Samsung"),
    (0x61, "Apple"),
    (0xC0, "Ampere"),
];

/// Arm's own cores, by part number.
const ARM_CORES: [(u32, &str); 20] = [
    (0xD03, "Cortex-A53"),
    (0xD05, "Cortex-A55"),
    (0xD07, "Cortex-A57"),
    (0xD08, "Cortex-A72"),
    (0xD09, "Cortex-A73"),
    (0xD0A, "Cortex-A75"),
    (0xD0B, "Cortex-A76"),
    (0xD0C, "Neoverse N1"),
    (0xD0D, "Cortex-A77"),
    (0xD40, "Neoverse V1"),
    (0xD41, "Cortex-A78"),
    (0xD44, "Cortex-X1"),
    (0xD46, "Cortex-A510"),
    (0xD47, "Cortex-A710"),
    (0xD48, "Cortex-X2"),
    (0xD49, "Neoverse N2"),
    (0xD4D, "Cortex-A715"),
    (0xD4E, "Cortex-X3"),
    (0xD4F, "Neoverse V2"),
    (0xD8E, "Neoverse N3"),
];

impl MainId {
    /// Reads the register of a CPU from its directory (`system/cpu/cpu0`).
    pub(super) fn read(directory: &Path) -> Option<MainId> {
        let text = fs::read_to_string(directory.join("regs/identification/midr_el1")).ok()?;
        u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok().map(MainId)
    }

    fn bits(self, low: u32, count: u32) -> u32 {
        (self.0 >> low) as u32 & ((1 << count) - 1)
    }

    /// Returns the implementer's code.
    pub fn implementer(self) -> u32 {
        self.bits(24, 8)
    }

    /// Returns the implementer's number for the core.
    pub fn part(self) -> u32 {
        self.bits(4, 12)
    }

    /// Returns the major revision in the high nibble, and the minor revision in the low one.
    pub fn revision(self) -> u32 {
        self.bits(20, 4) << 4 | self.bits(0, 4)
    }

    /// Returns the implementer's name, or nothing if it is unknown.
    pub fn vendor(self) -> &'static str {
        name(&IMPLEMENTERS, self.implementer())
    }

    /// Returns the name of a known core of Arm's own, or nothing.
    pub fn core(self) -> &'static str {
        if self.vendor() == "Arm" { name(&ARM_CORES, self.part()) } else { "" }
    }
}

fn name(names: &[(u32, &'static str)], code: u32) -> &'static str {
    names.iter().find(|(known, _)| *known == code).map_or("", |(_, name)| name)
}

/// Returns the known features that CPU and operating system both enable, by the names of Linux.
#[cfg(target_arch = "aarch64")]
pub(super) fn features() -> Vec<&'static str> {
    use std::arch::is_aarch64_feature_detected as detected;
    let known = [
        ("asimd", detected!("neon")),
        ("asimdhp", detected!("fp16")),
        ("asimddp", detected!("dotprod")),
        ("i8mm", detected!("i8mm")),
        ("bf16", detected!("bf16")),
        ("sve", detected!("sve")),
        ("sve2", detected!("sve2")),
    ];
    known.into_iter().filter(|(_, detected)| *detected).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cpu;
    use crate::fake_root::FakeRoot;
    use crate::topology::{CoreClass, Topology};

    #[test]
    fn the_main_id_register_names_the_core() {
        let graviton2 = MainId(0x413F_D0C1);
        assert_eq!((graviton2.vendor(), graviton2.core()), ("Arm", "Neoverse N1"));
        assert_eq!((graviton2.implementer(), graviton2.part(), graviton2.revision()), (0x41, 0xD0C, 0x31));
        let apple = MainId(0x611F_0221);
        assert_eq!((apple.vendor(), apple.core()), ("Apple", ""));
    }

    /// A machine with two kinds of cores.
    #[test]
    fn sysfs_tells_the_core_and_the_classes_by_capacity() {
        let files = [
            ("system/cpu/online", "0-3\n"),
            ("system/cpu/cpu0/cpu_capacity", "414\n"),
            ("system/cpu/cpu1/cpu_capacity", "414\n"),
            ("system/cpu/cpu2/cpu_capacity", "1024\n"),
            ("system/cpu/cpu3/cpu_capacity", "900\n"),
            ("system/cpu/cpu0/regs/identification/midr_el1", "0x00000000412fd050\n"),
            ("system/cpu/cpu2/regs/identification/midr_el1", "0x00000000414fd0b0\n"),
        ];
        let topology = Topology::read(FakeRoot::new("capacities", &files).path());
        let classes: Vec<_> = topology.cpus.iter().map(|cpu| cpu.class.unwrap()).collect();
        use CoreClass::{Efficiency, Performance};
        assert_eq!(classes, [Efficiency, Efficiency, Performance, Performance]);
        assert_eq!(topology.cores(&[0, 1, 2, 3]), 2);
        let cpu = Cpu::probe().with_topology(topology);
        assert_eq!((cpu.vendor.as_str(), cpu.brand.as_str()), ("Arm", "Cortex-A76"));
        assert_eq!((cpu.family, cpu.model, cpu.stepping), (0x41, 0xD0B, 0x40));
        assert!(
            cpu.fingerprint("portable").starts_with("Arm-65-3339-64_"),
            "{}",
            cpu.fingerprint("portable")
        );
    }

    #[test]
    fn equal_capacities_are_no_classes() {
        let files = [
            ("system/cpu/online", "0-1\n"),
            ("system/cpu/cpu0/cpu_capacity", "1024\n"),
            ("system/cpu/cpu1/cpu_capacity", "1024\n"),
        ];
        let topology = Topology::read(FakeRoot::new("equal", &files).path());
        assert!(topology.cpus.iter().all(|cpu| cpu.class.is_none()));
    }

    #[test]
    fn a_malformed_register_is_unknown() {
        let files = [("regs/identification/midr_el1", "410fd0c1\n")];
        assert_eq!(MainId::read(FakeRoot::new("midr", &files).path()), None);
    }
}
