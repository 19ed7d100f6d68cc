//! Facts about this machine, probed once.
//!
//! On x86-64 a [`Cpu`] is built from a table of CPUID answers, live or recorded, so detection is tested on any host. On
//! AArch64 the standard library detects features, and the operating system tells the rest.

pub mod aarch64;
mod cache;
pub mod dump;
#[cfg(test)]
mod fake_root;
pub mod limits;
#[cfg(target_os = "macos")]
mod macos;
pub mod topology;
mod x86;

use std::sync::OnceLock;
use std::thread::available_parallelism;

pub use cache::{Cache, CacheKind};
pub use dump::DumpError;
pub use limits::Limits;
pub use topology::{CoreClass, Topology};

use dump::Leaves;

/// One machine: its identity, what its CPU and operating system let a kernel use, and its caches and cores.
///
/// Only the value that [`Cpu::host`] or [`Cpu::probe`] returns says what may run here; one from a dump describes
/// another machine.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// CPUID's vendor string such as `GenuineIntel`, or the implementer of an AArch64 core; empty if neither is known.
    pub vendor: String,
    /// The marketing name, runs of spaces collapsed; empty where the CPU has none.
    pub brand: String,
    /// Family, extended family added; of an AArch64 core the implementer's code.
    pub family: u32,
    /// Model, extended model in the high nibble; of an AArch64 core the part number.
    pub model: u32,
    /// Stepping; of an AArch64 core the revision.
    pub stepping: u32,
    /// Names, as Linux spells them, of the known features that CPU and operating system both enable.
    pub features: Vec<&'static str>,
    /// Caches seen from one core, a performance core where classes are known; innermost first.
    pub caches: Vec<Cache>,
    /// Class of that core; `None` where all cores are alike or the system does not tell.
    pub class: Option<CoreClass>,
    /// Logical CPUs online; of a dump, those of one package.
    pub logical: usize,
    /// The logical CPUs one by one; empty for a dump and where the system does not tell.
    pub topology: Topology,
}

impl Cpu {
    /// This machine, probed on first use.
    pub fn host() -> &'static Cpu {
        static HOST: OnceLock<Cpu> = OnceLock::new();
        HOST.get_or_init(Cpu::probe)
    }

    /// Probes this machine: CPUID and XCR0 on x86-64, HWCAP and its like on AArch64, and what sysfs tells on Linux and
    /// sysctl on macOS.
    pub fn probe() -> Cpu {
        let mut cpu = Cpu::from_leaves(&Leaves::live());
        #[cfg(target_arch = "aarch64")]
        {
            cpu.features = aarch64::features();
        }
        #[cfg(target_os = "macos")]
        {
            cpu.brand = macos::brand();
        }
        cpu.logical = available_parallelism().map_or(1, usize::from);
        cpu.with_topology(Topology::host())
    }

    /// The machine that a recorded dump describes (format: [`dump`]).
    pub fn from_dump(text: &str) -> Result<Cpu, DumpError> {
        text.parse().map(|leaves| Cpu::from_leaves(&leaves))
    }

    /// The same machine, corrected by what its operating system knows.
    ///
    /// CPUID answers for whichever core it happens to run on, so on a hybrid CPU only the operating system's view
    /// gives the same class and caches, and hence the same [`Cpu::fingerprint`], at every probe.
    pub fn with_topology(mut self, topology: Topology) -> Cpu {
        if !topology.cpus.is_empty() {
            self.logical = topology.cpus.len();
        }
        if !topology.caches.is_empty() {
            self.caches.clone_from(&topology.caches);
        }
        self.class = topology.class().or(self.class);
        if let Some(id) = topology.main_id {
            (self.family, self.model, self.stepping) = (id.implementer(), id.part(), id.revision());
            (self.vendor, self.brand) = (id.vendor().to_owned(), id.core().to_owned());
        }
        self.topology = topology;
        self
    }

    fn from_leaves(leaves: &Leaves) -> Cpu {
        let (family, model, stepping) = x86::signature(leaves);
        Cpu {
            vendor: x86::vendor(leaves),
            brand: x86::brand(leaves),
            family,
            model,
            stepping,
            caches: x86::caches(leaves),
            class: x86::core_class(leaves),
            logical: x86::logical_cpus(leaves),
            topology: Topology::default(),
            features: x86::features(leaves),
        }
    }

    /// Whether a feature named as in [`Cpu::features`] is usable.
    pub fn has(&self, feature: &str) -> bool {
        self.features.contains(&feature)
    }

    /// The cache of this level that holds data.
    pub fn data_cache(&self, level: u8) -> Option<&Cache> {
        self.caches.iter().find(|cache| cache.level == level && cache.kind != CacheKind::Instruction)
    }

    /// Names the kind of machine: vendor, signature, the `levels` that programs can run on it, cache sizes and core
    /// class. Empty parts are left out.
    ///
    /// For example `AuthenticAMD-23-113-0_avx2+portable_L1d32K+L1i32K+L2u512K+L3u16384K` for the levels `avx2+portable`.
    pub fn fingerprint(&self, levels: &str) -> String {
        let signature = format!("{}-{}-{}-{}", self.vendor, self.family, self.model, self.stepping);
        let caches = self.caches.iter().map(Cache::to_string).collect::<Vec<_>>().join("+");
        let class = self.class.map(|class| class.to_string()).unwrap_or_default();
        let parts = [signature, levels.to_owned(), caches, class];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
    }

    /// How many threads to start: one per physical performance core that the affinity mask allows (one per core
    /// of any class where it allows no performance core), at most the CPU quota rounded up, at least one.
    pub fn default_threads(&self, limits: &Limits) -> usize {
        let cores = self.topology.cores(&limits.affinity);
        let quota = limits.quota.map_or(usize::MAX, |cpus| cpus.ceil() as usize);
        cores.min(quota).max(1)
    }
}
