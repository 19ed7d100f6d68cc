//! The instruction set, threads and kernels that models run on.

mod mode;

use std::path::PathBuf;
use std::sync::Arc;

use etcetera::BaseStrategy;
use tercet_autotune::{Planner, Records, Store, StoreError, packing_by_rule};
use tercet_codegen::{Architecture, Isa, KernelCache, Packing, exec};
use tercet_cpu::{Cpu, Limits};

use crate::named::named;
use crate::packed::PackedCache;
use crate::profile::{PerfProfiler, ProfilerOptions};
use crate::size::Size;
pub use mode::{ActivationType, Mode};

named! {
    /// The computation of the output head.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum HeadMode {
        /// A quantized copy tells which rows cannot matter; the others are computed as stored. It chooses the same tokens
        /// as [`HeadMode::Bf16`] and reads half the bytes.
        #[default]
        Exact = "exact",
        /// Every row as stored.
        Bf16 = "bf16",
        /// The quantized copy alone: as few bytes as [`HeadMode::Exact`], and another token where two are nearly as
        /// likely.
        Int8 = "int8",
    }
}

named! {
    /// The type of keys and values.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum CacheType {
        /// Half precision, as in most engines. Attention over a long context reads half the bytes.
        #[default]
        F16 = "f16",
        /// As computed, for comparisons with implementations that keep them so.
        F32 = "f32",
        /// A byte for each element, with a step for each key and value: half the bytes of [`CacheType::F16`], and sums of
        /// integers. Answers differ a little.
        Q8 = "q8",
    }
}

/// Options of a [`Runtime`]. The default takes the best of everything; [`crate::knobs`] reads the environment's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuntimeOptions {
    /// The best instruction set to use; none takes the CPU's best.
    pub isa_cap: Option<Isa>,
    /// Threads; none takes the performance cores within affinity and CPU quota.
    pub threads: Option<usize>,
    /// Packing of the weights; none takes that of [`packing_by_rule`].
    pub packing: Option<Packing>,
    /// The arithmetic of the ternary layers.
    pub mode: Mode,
    /// The computation of the output head.
    pub head: HeadMode,
    /// The type of keys and values; none takes f16, and f32 in the exact mode.
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
    /// The size that packed models may have together; none takes [`PackedCache::DEFAULT_LIMIT`].
    pub cache_size: Option<Size>,
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
    /// Chooses by this machine and `options`. [`Runtime::warnings`] tells the options that could not be met.
    pub fn new(options: &RuntimeOptions) -> Self {
        let cpu = Cpu::host();
        let mut warnings = Vec::new();
        let (isa, reason) = choose_isa(cpu, options, &mut warnings);
        let profile = ProfilerOptions { perf_map: options.perf_map, jitdump: options.jitdump.clone() };
        let profiler = PerfProfiler::new(profile).unwrap_or_else(|error| {
            warnings.push(format!("no profile is written: {error}"));
            PerfProfiler::default()
        });
        let store = options.cache_dir.as_deref().map(Store::in_dir);
        let (records, warning) = store.as_ref().map_or_else(Default::default, Store::read);
        warnings.extend(warning.map(|warning| warning.to_string()));
        let limit = options.cache_size.unwrap_or(PackedCache::DEFAULT_LIMIT);
        let packed = options.cache_dir.as_deref().filter(|_| !options.no_cache);
        let packed = packed.map(|dir| PackedCache::in_dir(dir).with_limit(limit));
        let limits = Limits::host();
        let threads = options.threads.unwrap_or_else(|| cpu.default_threads(&limits));
        let cpus = limits.affinity.len();
        if threads > cpus {
            warnings.push(format!("{threads} threads share {cpus} CPUs: more threads than CPUs are slower"));
        }
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
            kernels: KernelCache::with_profiler(profiler),
            store,
            packed,
            records: Arc::new(records),
        }
    }

    /// Returns the instruction set of the products.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Returns the reason for the instruction set.
    pub fn isa_reason(&self) -> &str {
        &self.reason
    }

    /// Returns the number of threads that share a token's work.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Returns the arithmetic of the ternary layers.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns the computation of the output head.
    pub fn head(&self) -> HeadMode {
        self.head
    }

    /// Returns the type of keys and values.
    pub fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    /// Returns the packing of the weights.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Returns the options that could not be met, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the planner of a model's products.
    pub fn planner(&self) -> Planner {
        let planner = Planner::new(self.isa, self.packing).on(Cpu::host());
        planner.with_records(Isa::fingerprint(Cpu::host()), Arc::clone(&self.records))
    }

    /// Returns the store of tuning records, if there is one.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Returns the cache of packed models, if there is one.
    pub fn packed_cache(&self) -> Option<&PackedCache> {
        self.packed.as_ref()
    }

    /// Plans by `records` from now on, and adds them to the store if there is one.
    ///
    /// # Errors
    /// Fails if the records cannot be stored. They are used all the same.
    pub fn learn(&mut self, records: Records) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.records).merge(records.clone());
        self.store.as_ref().map_or(Ok(()), |store| store.add(records))
    }

    /// Returns the kernels of this process.
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
    if options.isa_cap.is_none_or(|cap| Isa::AmxInt8.is_within(cap)) {
        warnings.extend(cpu.refusal.clone());
    }
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
