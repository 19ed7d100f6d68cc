//! Facts about this machine, probed once.
//!
//! On x86-64 a [`Cpu`] is built from a table of CPUID answers, live or recorded. So tests detect the features of other
//! CPUs too. On AArch64 the standard library detects features, and the operating system tells the rest.

pub mod aarch64;
mod cache;
mod cgroup;
mod cores;
pub mod dump;
pub mod energy;
#[cfg(test)]
mod fake_root;
pub mod limits;
#[cfg(target_os = "macos")]
mod macos;
pub mod memory;
pub mod numa;
pub mod topology;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;
use std::thread::available_parallelism;

pub use cache::{Cache, CacheKind};
pub use cores::{CORES, Core, DotProduct, Habits, Marks, Throughput, VectorUnit};
pub use dump::DumpError;
pub use limits::Limits;
pub use topology::{CoreClass, Topology};

use dump::Leaves;

/// One machine: its identity, the features that a kernel may use, and its caches and cores.
///
/// A value of [`Cpu::host`] or [`Cpu::probe`] describes this machine. A value from a dump describes another machine.
///
/// ```
/// use tercet_cpu::{Cpu, Limits};
///
/// let cpu = Cpu::host();
/// println!("{}: {}", cpu.brand, cpu.features.join(" "));
/// assert!(cpu.default_threads(&Limits::host()) >= 1);
/// ```
#[derive(Clone, Debug)]
pub struct Cpu {
    /// CPUID's vendor string such as `GenuineIntel`, or the implementer of an AArch64 core. Empty if unknown.
    pub vendor: String,
    /// Marketing name, with runs of spaces collapsed. Empty if the CPU has none.
    pub brand: String,
    /// Family plus extended family. On AArch64 the implementer's code.
    pub family: u32,
    /// Model, with the extended model in the high nibble. On AArch64 the part number.
    pub model: u32,
    /// Stepping. On AArch64 the revision.
    pub stepping: u32,
    /// Known features that CPU and operating system both enable, by the names of Linux.
    pub features: Vec<&'static str>,
    /// A warning, if the operating system refused AMX to this process. The features of AMX are missing then.
    pub refusal: Option<String>,
    /// Caches of one core, innermost first. It is a performance core if classes are known.
    pub caches: Vec<Cache>,
    /// Class of that core. `None` if all cores are alike or the system does not tell.
    pub class: Option<CoreClass>,
    /// Number of logical CPUs online. For a dump, those of one package.
    pub logical: usize,
    /// Each logical CPU. Empty for a dump, and if the system does not tell.
    pub topology: Topology,
}

impl Cpu {
    /// Returns this machine, probed on first use.
    pub fn host() -> &'static Cpu {
        static HOST: OnceLock<Cpu> = OnceLock::new();
        HOST.get_or_init(Cpu::probe)
    }

    /// Probes this machine: CPUID and XCR0 on x86-64, the standard library's detection on AArch64, sysfs on Linux and
    /// sysctl on macOS.
    pub fn probe() -> Cpu {
        #[cfg(target_arch = "x86_64")]
        let mut cpu = Cpu::from_leaves(&Leaves::live()).with_tiles_if(x86::ask_for_tiles);
        #[cfg(not(target_arch = "x86_64"))]
        let mut cpu = Cpu::unknown();
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

    /// Asks for the permission to use AMX, if the CPU has it. Drops its features if the answer is an error.
    #[cfg(target_arch = "x86_64")]
    fn with_tiles_if(mut self, ask: impl FnOnce() -> std::io::Result<()>) -> Cpu {
        if self.has("amx_tile")
            && let Err(error) = ask()
        {
            self.features.retain(|feature| !feature.starts_with("amx_"));
            // Without the user's wish, and elsewhere than on Linux, nobody asked.
            self.refusal = (error.kind() != std::io::ErrorKind::Unsupported)
                .then(|| format!("the system refuses AMX ({error}): running without it"));
        }
        self
    }

    /// Returns the machine that a recorded dump describes (format: [`dump`]).
    ///
    /// # Errors
    /// Fails if the dump is malformed, and always on other architectures than x86-64: CPUID is decoded there alone.
    pub fn from_dump(text: &str) -> Result<Cpu, DumpError> {
        Cpu::decode(&text.parse()?)
    }

    #[cfg(target_arch = "x86_64")]
    fn decode(leaves: &Leaves) -> Result<Cpu, DumpError> {
        Ok(Cpu::from_leaves(leaves))
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn decode(_: &Leaves) -> Result<Cpu, DumpError> {
        Err(DumpError::Architecture)
    }

    /// Returns the same machine with the topology from its operating system.
    ///
    /// CPUID answers for the core that runs the call. On a hybrid CPU two probes may run on different cores. The
    /// operating system's view is always the same, and so is the [`Cpu::fingerprint`].
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

    #[cfg(target_arch = "x86_64")]
    fn from_leaves(leaves: &Leaves) -> Cpu {
        let decoder = x86::Decoder::new(leaves);
        let (family, model, stepping) = decoder.signature();
        Cpu {
            vendor: decoder.vendor(),
            brand: decoder.brand(),
            family,
            model,
            stepping,
            caches: decoder.caches(),
            class: decoder.core_class(),
            logical: decoder.logical_cpus(),
            topology: Topology::default(),
            features: decoder.features(),
            refusal: None,
        }
    }

    /// Returns a machine without known facts.
    #[cfg(not(target_arch = "x86_64"))]
    fn unknown() -> Cpu {
        Cpu {
            vendor: String::new(),
            brand: String::new(),
            family: 0,
            model: 0,
            stepping: 0,
            features: Vec::new(),
            refusal: None,
            caches: Vec::new(),
            class: None,
            logical: 1,
            topology: Topology::default(),
        }
    }

    /// Returns true if [`Cpu::features`] has this name.
    pub fn has(&self, feature: &str) -> bool {
        self.features.contains(&feature)
    }

    /// Returns the cache of this level that holds data.
    pub fn data_cache(&self, level: u8) -> Option<&Cache> {
        self.caches.iter().find(|cache| cache.level == level && cache.kind != CacheKind::Instruction)
    }

    /// Returns a name for this kind of machine: vendor, signature, the `levels` that it runs, cache sizes and core class.
    /// Empty parts are left out.
    ///
    /// For example `AuthenticAMD-23-113-0_avx2+portable_L1d32K+L1i32K+L2u512K+L3u16384K` for the levels `avx2+portable`.
    pub fn fingerprint(&self, levels: &str) -> String {
        let signature = format!("{}-{}-{}-{}", self.vendor, self.family, self.model, self.stepping);
        let caches = self.caches.iter().map(Cache::to_string).collect::<Vec<_>>().join("+");
        let class = self.class.map(|class| class.to_string()).unwrap_or_default();
        let parts = [signature, levels.to_owned(), caches, class];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
    }

    /// Returns the number of threads to start.
    ///
    /// It is one per physical performance core that the affinity mask allows, or one per core of any class if it allows
    /// no performance core. The CPU quota, rounded up, is the upper limit. At least one thread starts.
    pub fn default_threads(&self, limits: &Limits) -> usize {
        let cores = self.topology.cores(&limits.affinity);
        let quota = limits.quota.map_or(usize::MAX, |cpus| cpus.ceil() as usize);
        cores.min(quota).max(1)
    }
}
