//! What models run on: the instruction set, the threads and the kernels of this process.

mod mode;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use tercet_autotune::{Planner, Records, Store, StoreError, packing_by_rule};
use tercet_codegen::profile::{Profiler, ProfilerOptions};
use tercet_codegen::{Architecture, Isa, KernelCache, Packing, exec};
use tercet_cpu::Cpu;
use tercet_cpu::Limits;

use crate::packed::PackedCache;
use etcetera::BaseStrategy;
pub use mode::{ActivationType, Mode};

/// How the output head is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadMode {
    /// A quantized copy tells which rows cannot matter; the others are computed as stored. Chooses the same tokens as
    /// [`HeadMode::Bf16`] and reads half the bytes.
    #[default]
    Exact,
    /// Every row as stored.
    Bf16,
    /// The quantized copy alone: reads what [`HeadMode::Exact`] reads first, and may choose another token where two are
    /// nearly as likely.
    Int8,
}

impl HeadMode {
    /// All of them.
    pub const ALL: [HeadMode; 3] = [HeadMode::Exact, HeadMode::Bf16, HeadMode::Int8];

    /// Name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            HeadMode::Exact => "exact",
            HeadMode::Bf16 => "bf16",
            HeadMode::Int8 => "int8",
        }
    }
}

impl FromStr for HeadMode {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        HeadMode::ALL.into_iter().find(|mode| mode.name() == name).ok_or(())
    }
}

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheType {
    /// Half precision, as most engines do. Attention over a long context reads half the bytes.
    #[default]
    F16,
    /// As they are computed, for comparisons with implementations that keep them so.
    F32,
}

impl CacheType {
    /// Both.
    pub const ALL: [CacheType; 2] = [CacheType::F16, CacheType::F32];

    /// Name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            CacheType::F16 => "f16",
            CacheType::F32 => "f32",
        }
    }
}

impl FromStr for CacheType {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        CacheType::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

/// How a [`Runtime`] is set up. The default takes the best of everything; see [`crate::knobs`] for the environment's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuntimeOptions {
    /// The best instruction set to use; none leaves the choice to the CPU.
    pub isa_cap: Option<Isa>,
    /// Threads; none takes the performance cores within affinity and CPU quota.
    pub threads: Option<usize>,
    /// Packing of the weights; none takes what [`packing_by_rule`] says.
    pub packing: Option<Packing>,
    /// In which arithmetic ternary layers are computed.
    pub mode: Mode,
    /// How the output head is computed.
    pub head: HeadMode,
    /// How keys and values are kept; none takes f16, and f32 in the exact mode.
    pub cache_type: Option<CacheType>,
    /// Never make memory executable: only the portable kernels run.
    pub no_jit: bool,
    /// Write `/tmp/perf-PID.map`.
    pub perf_map: bool,
    /// Write a jitdump to this directory.
    pub jitdump: Option<PathBuf>,
    /// Directory of the tuning records and of packed models; none uses and keeps neither.
    pub cache_dir: Option<PathBuf>,
    /// Neither keep nor use packed models.
    pub no_cache: bool,
}

/// The instruction set, the threads and the kernels of this process.
#[derive(Debug)]
pub struct Runtime {
    isa: Isa,
    reason: String,
    threads: usize,
    packing: Packing,
    mode: Mode,
    head: HeadMode,
    cache_type: CacheType,
    warnings: Vec<String>,
    kernels: KernelCache,
    store: Option<Store>,
    packed: Option<PackedCache>,
    records: Arc<Records>,
}

impl Runtime {
    /// Chooses by this machine and `options`. What could not be had as asked is told by [`Runtime::warnings`].
    pub fn new(options: &RuntimeOptions) -> Self {
        let cpu = Cpu::host();
        let mut warnings = Vec::new();
        let (isa, reason) = choose_isa(cpu, options, &mut warnings);
        let profile = ProfilerOptions { perf_map: options.perf_map, jitdump: options.jitdump.clone() };
        let profiler = Profiler::new(profile).unwrap_or_else(|error| {
            warnings.push(format!("no profile is written: {error}"));
            Profiler::default()
        });
        let store = options.cache_dir.as_deref().map(Store::in_dir);
        let (records, warning) = store.as_ref().map_or_else(Default::default, Store::read);
        warnings.extend(warning.map(|warning| warning.to_string()));
        let packed = options.cache_dir.as_deref().filter(|_| !options.no_cache).map(PackedCache::in_dir);
        let threads = options.threads.unwrap_or_else(|| cpu.default_threads(&Limits::host()));
        Runtime {
            isa,
            reason,
            threads,
            packing: options.packing.unwrap_or_else(|| packing_by_rule(isa, cpu, threads)),
            mode: options.mode,
            head: options.head,
            cache_type: options.cache_type.unwrap_or(match options.mode {
                Mode::Fast => CacheType::F16,
                Mode::Exact(_) => CacheType::F32,
            }),
            warnings,
            kernels: KernelCache::new(profiler),
            store,
            packed,
            records: Arc::new(records),
        }
    }

    /// The instruction set of the products.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Why it was chosen.
    pub fn isa_reason(&self) -> &str {
        &self.reason
    }

    /// Threads that share a token's work.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// In which arithmetic ternary layers are computed.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How the output head is computed.
    pub fn head(&self) -> HeadMode {
        self.head
    }

    /// How keys and values are kept.
    pub fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    /// How weights are packed.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// What was not possible as asked, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What plans a model's products here.
    pub fn planner(&self) -> Planner {
        let planner = Planner::new(self.isa, self.packing).on(Cpu::host());
        planner.with_records(Isa::fingerprint(Cpu::host()), Arc::clone(&self.records))
    }

    /// Where tuning records are kept, if they are.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Where packed models are kept, if they are.
    pub fn packed_cache(&self) -> Option<&PackedCache> {
        self.packed.as_ref()
    }

    /// Plans by `records` from now on, and adds them to the store if there is one.
    ///
    /// # Errors
    /// Fails if they cannot be stored; they are used all the same.
    pub fn learn(&mut self, records: Records) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.records).merge(records.clone());
        self.store.as_ref().map_or(Ok(()), |store| store.add(records))
    }

    /// The kernels of this process.
    pub fn kernels(&self) -> &KernelCache {
        &self.kernels
    }
}

/// Returns this user's directory for tuning records and packed models, if the system tells it.
pub fn user_cache() -> Option<PathBuf> {
    etcetera::choose_base_strategy().ok().map(|places| places.cache_dir().join("tercet"))
}

fn choose_isa(cpu: &Cpu, options: &RuntimeOptions, warnings: &mut Vec<String>) -> (Isa, String) {
    if options.no_jit {
        return (Isa::Portable, "machine code is switched off".to_owned());
    }
    let best = Isa::best(cpu);
    let within =
        |cap: &Isa| Isa::available(cpu).into_iter().find(|isa| isa.is_within(*cap)).unwrap_or(Isa::Portable);
    if let Some((cap, architecture)) = options.isa_cap.and_then(|cap| Some((cap, cap.architecture()?)))
        && Some(architecture) != Architecture::HOST
    {
        warnings.push(format!("{cap} is for {architecture} CPUs: running the portable kernels"));
    }
    let (isa, reason) = match options.isa_cap {
        None => (best, "the best that CPU and operating system support".to_owned()),
        Some(cap) if cap == within(&cap) => (cap, "as asked for".to_owned()),
        Some(cap) => (within(&cap), format!("the best up to {cap} that CPU and operating system support")),
    };
    match exec::probe() {
        Err(error) if isa != Isa::Portable => {
            warnings.push(format!(
                "the system refuses executable memory ({error}): running the portable kernels"
            ));
            (Isa::Portable, "the system refuses executable memory".to_owned())
        }
        _ => (isa, reason),
    }
}
