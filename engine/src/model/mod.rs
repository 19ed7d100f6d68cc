//! Ternary transformers: from a model's files to logits.

mod attention;
mod buffers;
mod cache;
mod columns;
mod dense;
mod exact;
mod forward;
mod head;
mod health;
mod input;
mod layer;
mod linear;
mod norm;
mod packer;
mod rivals;
mod rotary;
mod rows;
mod sparsity;
mod state;
mod synthetic;
mod weights;

use std::time::{Duration, Instant};

use tercet_autotune::Planner;
use tercet_cpu::Cpu;
use tercet_cpu::numa::Spread;
use tercet_pool::Pool;

use crate::error::{Error, Result};
use crate::memory;
use crate::packed::{Appearance, PackedCache, PackedFile, PackedModel};
use crate::pool;
use crate::runtime::{CacheType, HeadMode, Mode, Runtime};
use crate::vectors::attention::PAGE;
use tercet_formats::{Config, EmbeddingConfig, ModelFiles, open_checkpoint};

pub(crate) use buffers::BATCH;
use buffers::BufferStock;
use cache::KvCache;
pub use forward::Logits;
pub(crate) use forward::Part;
pub use head::{Candidates, Rule};
use head::{Plans, Screen};
pub use layer::TernaryLinear;
pub use linear::PLANNED_TOKENS;
pub(crate) use linear::multiply;
pub use packer::Kernels;
use packer::Packer;
pub(crate) use rivals::Rivals;
use sparsity::Meter;
pub use sparsity::{Work, Zeros};
pub use state::State;
pub(crate) use synthetic::random_trits;
pub use synthetic::{PRESETS, Preset};
use weights::{Table, Weights};

const SMALLER: &str = "use a smaller model, or a machine with more memory";

/// A model that is ready to run.
///
/// ```
/// use tercet_engine::{Logits, Model, Runtime, RuntimeOptions};
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// let files = tercet_engine::open_model(None, &mut |_| {})?;
/// let model = Model::load(&files, &Runtime::new(&RuntimeOptions::default()))?;
///
/// let mut state = model.new_state(model.context_for(16))?;
/// let logits = model.forward(&mut state, &[4093, 17, 42], Logits::Last)?;
/// assert_eq!(logits.len(), model.config().vocab_size);
/// assert_eq!(state.position(), 3);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Model {
    name: String,
    config: Config,
    weights: Weights,
    head: HeadMode,
    /// None if every row of the head is computed.
    screen: Option<Screen>,
    kernels: Kernels,
    cache_type: CacheType,
    buffers: BufferStock,
    meter: Meter,
    /// The pool for each of [`PLANNED_TOKENS`].
    pools: [Pool; PLANNED_TOKENS.len()],
    load_time: Duration,
    warnings: Vec<String>,
}

/// Memory use of a model, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Packed ternary matrices.
    pub ternary: usize,
    /// Embedding, which may be mapped from its file.
    pub embedding: usize,
    /// Output head, 0 if it is the embedding.
    pub head: usize,
    /// Quantized copy of the head that screens its rows, 0 without one.
    pub screen: usize,
    /// Keys and values of one position.
    pub cache_per_token: usize,
}

impl MemoryUse {
    /// Returns the bytes of weights that a pass over one token reads. For a screened head only the quantized copy counts,
    /// without the few rows that are then computed.
    pub fn per_pass(&self) -> usize {
        let heads = [self.screen, self.head, self.embedding];
        self.ternary + heads.into_iter().find(|&bytes| bytes > 0).unwrap_or(0)
    }
}

impl Model {
    /// Reads, validates and packs a model. Reads the packed form instead, if `runtime` has a cache that
    /// holds it.
    ///
    /// # Errors
    /// Fails if a file is missing, malformed or unsupported, or a kernel cannot be made.
    pub fn load(files: &ModelFiles, runtime: &Runtime) -> Result<Self> {
        let cache = runtime.packed_cache().filter(|_| runtime.mode() == Mode::Fast);
        Self::read(files, runtime, usize::MAX, cache)
    }

    /// Reads at most the first `layers` layers of a model, for comparisons.
    ///
    /// # Errors
    /// Fails like [`Model::load`].
    pub(crate) fn load_layers(files: &ModelFiles, runtime: &Runtime, layers: usize) -> Result<Self> {
        Self::read(files, runtime, layers, None)
    }

    fn read(
        files: &ModelFiles,
        runtime: &Runtime,
        layers: usize,
        cache: Option<&PackedCache>,
    ) -> Result<Self> {
        // Looked at before anything is read, so that a change of the files is noticed.
        let seen = cache.map(|cache| (cache, Appearance::of(files)));
        let mut config = Config::load(files)?;
        let checkpoint = open_checkpoint(files, &config)?;
        config.layers = config.layers.min(layers);
        let head = head_mode(files, &config, runtime);
        let bytes = Weights::least_bytes(&config, runtime, head);
        // Shapes that the files cannot fill are a fault of the files, which the reader names.
        if bytes / 8 <= stored_bytes(files)? {
            memory::require(bytes, || format!("the model {}", files.name()), SMALLER)?;
        }
        let kept = |pool: &_| {
            seen.map_or_else(PackedModel::default, |(cache, seen)| cache.model(files.name(), seen, pool))
        };
        let model =
            Self::build(files.name(), config, runtime, head, kept, |config, packer, pool, packed| {
                let weights = Weights::load(&*checkpoint, config, packer, pool, packed);
                checkpoint.check()?;
                weights
            })?;
        health::warnings(&model.weights, &model.config).into_iter().for_each(|warning| files.warn(warning));
        Ok(model)
    }

    /// Makes a model with a preset's shapes and random weights.
    ///
    /// # Errors
    /// Fails if a kernel cannot be made.
    pub fn synthetic(preset: &Preset, runtime: &Runtime) -> Result<Self> {
        let kept = |_: &_| PackedModel::default();
        let config = preset.config();
        let tables = memory::product([4, config.vocab_size, config.hidden_size]);
        let bytes = Weights::least_bytes(&config, runtime, runtime.head()).saturating_add(tables);
        memory::require(bytes, || format!("the model {}", preset.name), SMALLER)?;
        Self::build(preset.name, config, runtime, runtime.head(), kept, |config, packer, pool, _| {
            preset.weights(config, packer, pool)
        })
    }

    fn build(
        name: &str,
        config: Config,
        runtime: &Runtime,
        head: HeadMode,
        kept: impl FnOnce(&Pool) -> PackedModel,
        weights: impl Fn(&Config, &Packer<'_>, &Pool, Option<&PackedFile>) -> Result<Weights>,
    ) -> Result<Self> {
        let start = Instant::now();
        // Threads pack whole layers, but all threads read each layer.
        let _spread = Spread::begin();
        let pool = pool::start(runtime.threads())?;
        let packer = Packer::new(runtime);
        let mut warnings = Vec::new();
        if pool.threads() < runtime.threads() {
            let (found, asked) = (pool.threads(), runtime.threads());
            warnings
                .push(format!("the system starts only {found} of {asked} threads: the model runs on these"));
        }
        let mut kept = kept(&pool);
        let weights = |packed: Option<&_>| weights(&config, &packer, &pool, packed);
        let weights = kept.load(packer.form(&config), &pool, weights, Weights::parts)?;
        let kernels = packer.into_kernels();
        let screen = match (weights.head(), head) {
            (Table::Floats(rows), HeadMode::Exact | HeadMode::Int8) => {
                let shape = (config.vocab_size, config.hidden_size);
                let planner = |packing| Planner::new(runtime.isa(), packing).on(Cpu::host());
                let plans = Plans::new(shape, planner);
                let screen = |packed: Option<&_>| match packed {
                    Some(packed) => Screen::read(packed, &plans, runtime.kernels(), &pool),
                    None => {
                        let screen = Screen::new(rows, &plans, runtime.kernels(), &pool);
                        rows.floats.check()?;
                        screen
                    }
                };
                Some(kept.load(plans.layout().into(), &pool, screen, Screen::parts)?)
            }
            _ => None,
        };
        Ok(Model {
            name: name.to_owned(),
            config,
            weights,
            head,
            screen,
            pools: kernels.threads(pool.threads()).map(|threads| pool.first(threads)),
            kernels,
            cache_type: runtime.cache_type(),
            buffers: BufferStock::default(),
            meter: Meter::default(),
            load_time: start.elapsed(),
            warnings: [warnings, kept.warnings()].concat(),
        })
    }

    /// Returns warnings about loading, a line each, such as an unwritable cache. They do not affect
    /// results.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the model's architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the plans and kernels of each matrix shape.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// Returns the pool for a batch of `tokens` tokens.
    pub(crate) fn pool(&self, tokens: usize) -> &Pool {
        &self.pools[linear::planned_for(tokens)]
    }

    /// Returns the time that loading took.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// Returns the model's memory use.
    pub fn memory_use(&self) -> MemoryUse {
        let (embedding, head) = self.weights.float_bytes();
        let cache_per_token = KvCache::bytes_per_position(&self.config, self.cache_type);
        let screen = self.screen.as_ref().map_or(0, Screen::bytes);
        MemoryUse { ternary: self.weights.ternary_bytes(), embedding, head, screen, cache_per_token }
    }

    /// Returns the bytes of keys and values that a sequence of `tokens` tokens takes, in whole pages.
    pub fn cache_bytes(&self, tokens: usize) -> u64 {
        KvCache::bytes_for(&self.config, self.cache_type, tokens)
    }

    /// Returns the error of logits that are not finite.
    pub(crate) fn yields_no_numbers(&self) -> Error {
        let remedy = "its file is damaged: download it again";
        Error::malformed(&self.name, "logits", "the model yields no numbers", remedy)
    }

    /// Returns the context for a sequence of `tokens` tokens, at most as large as the model was trained
    /// for.
    pub fn context_for(&self, tokens: usize) -> usize {
        tokens.clamp(1, self.config.max_positions)
    }

    /// Returns the largest context whose keys and values take at most `bytes`. It is 0 if they do not even hold one page.
    pub fn context_within(&self, bytes: u64) -> usize {
        let pages = bytes / self.cache_bytes(1).max(1);
        usize::try_from(pages).unwrap_or(usize::MAX).saturating_mul(PAGE).min(self.config.max_positions)
    }

    /// Returns an empty sequence that can hold `context` tokens. It takes memory as it grows.
    ///
    /// # Errors
    /// Fails if `context` is 0 or more than the model was trained for, or if the system has too little memory for it, beside
    /// what other sequences may still take.
    pub fn new_state(&self, context: usize) -> Result<State> {
        let most = self.config.max_positions;
        if context == 0 || context > most {
            let problem = format!("{context} is out of range");
            return Err(Error::bad_argument("context", problem, format!("use 1 to {most} tokens")));
        }
        State::new(&self.config, self.cache_type, context)
    }
}

/// Returns how the head is computed. A model that was made for embeddings has no screen, because nothing asks for its logits.
fn head_mode(files: &ModelFiles, config: &Config, runtime: &Runtime) -> HeadMode {
    match EmbeddingConfig::load(files, config) {
        Ok(Some(_)) => HeadMode::Bf16,
        // A fault of files about embeddings is one for those who ask for embeddings.
        _ => runtime.head(),
    }
}

/// Returns the bytes of the files that hold the weights, 0 if the model is part of the program.
fn stored_bytes(files: &ModelFiles) -> Result<u64> {
    let paths = files.paths()?.unwrap_or_default();
    Ok(paths.iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum())
}
