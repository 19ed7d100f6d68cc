//! Ternary transformers: from a model's files to the logits of a token.

mod attention;
mod buffers;
mod cache;
mod exact;
mod forward;
mod head;
mod input;
mod layer;
mod linear;
mod norm;
mod state;
mod synthetic;
mod weights;

use std::time::{Duration, Instant};

use tercet_autotune::Planner;
use tercet_codegen::Packing;
use tercet_cpu::Cpu;
use tercet_pool::Pool;

use crate::error::{Error, Result};
use crate::packed::{PackedCache, PackedFile, PackedModel};
use crate::pool;
use crate::runtime::{CacheType, HeadMode, Mode, Runtime};
use tercet_formats::{Config, ModelFiles, open_checkpoint};

pub(crate) use buffers::BATCH;
use buffers::BufferStock;
use cache::KvCache;
pub use forward::Logits;
use head::Screen;
pub use head::{Candidates, Rule};
pub use layer::TernaryLinear;
use linear::Packer;
pub(crate) use linear::multiply;
pub use linear::{Kernels, PLANNED_TOKENS};
pub use state::State;
pub(crate) use synthetic::random_trits;
pub use synthetic::{PRESETS, Preset};
use weights::{Table, Weights};

/// A model that is ready to run.
#[derive(Debug)]
pub struct Model {
    name: String,
    config: Config,
    weights: Weights,
    /// None where every row of the head is computed.
    head: HeadMode,
    screen: Option<Screen>,
    kernels: Kernels,
    cache_type: CacheType,
    buffers: BufferStock,
    /// The threads for each of [`PLANNED_TOKENS`].
    pools: [Pool; PLANNED_TOKENS.len()],
    load_time: Duration,
    warnings: Vec<String>,
}

/// What a model keeps in memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Packed ternary matrices.
    pub ternary: usize,
    /// Embedding, which may be mapped from the file.
    pub embedding: usize,
    /// Output head, 0 where it is the embedding.
    pub head: usize,
    /// Quantized copy of the head by which rows are left out, 0 without one.
    pub screen: usize,
    /// Keys and values of one position.
    pub cache_per_token: usize,
}

impl Model {
    /// Reads, validates and packs a model, or reads its packed form where `runtime` keeps these.
    ///
    /// # Errors
    /// Fails if a file is missing, malformed or unsupported, or a kernel cannot be made.
    pub fn load(files: &ModelFiles, runtime: &Runtime) -> Result<Self> {
        let cache = runtime.packed_cache().filter(|_| runtime.mode() == Mode::Fast);
        Self::read(files, runtime, usize::MAX, cache)
    }

    /// The model cut to at most its first `layers` layers, for comparisons.
    ///
    /// # Errors
    /// Those of [`Model::load`].
    pub(crate) fn load_layers(files: &ModelFiles, runtime: &Runtime, layers: usize) -> Result<Self> {
        Self::read(files, runtime, layers, None)
    }

    fn read(
        files: &ModelFiles,
        runtime: &Runtime,
        layers: usize,
        cache: Option<&PackedCache>,
    ) -> Result<Self> {
        let mut config = Config::load(files)?;
        config.layers = config.layers.min(layers);
        let checkpoint = open_checkpoint(files)?;
        let kept = |pool: &_| cache.map_or_else(PackedModel::default, |cache| cache.model(files, pool));
        Self::build(files.name(), config, runtime, kept, |config, packer, pool, packed| {
            Weights::load(&*checkpoint, config, packer, pool, packed)
        })
    }

    /// Makes a model of a preset's shape with random weights.
    ///
    /// # Errors
    /// Fails if a kernel cannot be made.
    pub fn synthetic(preset: &Preset, runtime: &Runtime) -> Result<Self> {
        let kept = |_: &_| PackedModel::default();
        Self::build(preset.name, preset.config(), runtime, kept, |config, packer, pool, _| {
            preset.weights(config, packer, pool)
        })
    }

    fn build(
        name: &str,
        config: Config,
        runtime: &Runtime,
        kept: impl FnOnce(&Pool) -> PackedModel,
        weights: impl Fn(&Config, &Packer<'_>, &Pool, Option<&PackedFile>) -> Result<Weights>,
    ) -> Result<Self> {
        let start = Instant::now();
        let pool = pool::start(runtime.threads())?;
        let packer = Packer::new(runtime);
        let mut kept = kept(&pool);
        let weights = |packed: Option<&_>| weights(&config, &packer, &pool, packed);
        let weights = kept.load(packer.layout(), &pool, weights, Weights::parts)?;
        let kernels = packer.into_kernels();
        let screen = match (weights.head(), runtime.head()) {
            (Table::Floats(rows), HeadMode::Exact | HeadMode::Int8) => {
                let planner = || Planner::new(runtime.isa(), Packing::Bytes).on(Cpu::host());
                let shape = (config.vocab_size, config.hidden_size);
                let screen = |packed: Option<&_>| match packed {
                    Some(packed) => Screen::read(packed, shape, planner(), runtime.kernels(), &pool),
                    None => Screen::new(rows, shape, planner(), runtime.kernels(), &pool),
                };
                Some(kept.load(planner().layout(), &pool, screen, Screen::parts)?)
            }
            _ => None,
        };
        Ok(Model {
            name: name.to_owned(),
            config,
            weights,
            head: runtime.head(),
            screen,
            pools: kernels.threads(pool.threads()).map(|threads| pool.first(threads)),
            kernels,
            cache_type: runtime.cache_type(),
            buffers: BufferStock::default(),
            load_time: start.elapsed(),
            warnings: kept.warnings(),
        })
    }

    /// What loading could not do as it should, a line each; the model is none the worse for it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Plans per shape of matrix.
    pub fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// The threads that `tokens` tokens are for.
    fn pool(&self, tokens: usize) -> &Pool {
        &self.pools[linear::planned_for(tokens)]
    }

    /// How long loading took.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    /// What the model keeps in memory.
    pub fn memory_use(&self) -> MemoryUse {
        let (embedding, head) = self.weights.float_bytes();
        let cache_per_token = KvCache::bytes_per_position(&self.config, self.cache_type);
        let screen = self.screen.as_ref().map_or(0, Screen::bytes);
        MemoryUse { ternary: self.weights.ternary_bytes(), embedding, head, screen, cache_per_token }
    }

    /// The context for a sequence of `tokens` tokens, or for as many as the model was trained for.
    pub fn context_for(&self, tokens: usize) -> usize {
        tokens.clamp(1, self.config.max_positions)
    }

    /// An empty sequence that may grow to `context` tokens.
    ///
    /// # Errors
    /// Fails if that is 0 or more than the model was trained for.
    pub fn new_state(&self, context: usize) -> Result<State> {
        let most = self.config.max_positions;
        if context == 0 || context > most {
            let problem = format!("{context} is out of range");
            return Err(Error::bad_argument("the context", problem, format!("use 1 to {most} tokens")));
        }
        Ok(State::new(&self.config, self.cache_type, context))
    }
}
