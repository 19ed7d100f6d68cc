//! A model's `config.json` and `generation_config.json`, validated.

pub(crate) mod family;
mod generation;
mod local;
mod modules;
mod rope;
pub(crate) mod tensors;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::error::Result;
use crate::json::{self, Object};
use crate::keys::{self, Facts};
use crate::transformers::{self, has_own_head};
use crate::{CONFIG, ModelFiles};

use family::either;
pub use family::{BITNET, Family, GEMMA3, LLAMA, ONE_BIT_LLM, QWEN3};
pub use generation::GenerationDefaults;
pub use local::LocalAttention;
pub use rope::{Rope, RopeScaling};
pub use tensors::{EMBEDDING, HEAD, Part, Role, Tensor};

/// Limits far above any published model. They bound the work and memory that a hostile file can
/// cause.
mod limit {
    pub(super) const VOCAB: usize = 1 << 21;
    pub(super) const WIDTH: usize = 1 << 18;
    pub(super) const LAYERS: usize = 1 << 10;
    pub(super) const HEADS: usize = 1 << 12;
    pub(super) const HEAD_DIM: usize = 1 << 12;
    pub(super) const POSITIONS: usize = 1 << 24;
}

/// The architecture of a decoder-only transformer with ternary linear layers.
///
/// # Examples
/// ```
/// use tercet_formats::config::{Part, Role};
/// use tercet_formats::{Config, ModelFiles};
///
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
/// let config = Config::load(&ModelFiles::open(folder.as_ref())?)?;
/// assert_eq!((config.layers, config.hidden_size, config.intermediate_size), (2, 256, 768));
///
/// let down = config.part(1, Part::Down);
/// assert_eq!(down.name, "model.layers.1.mlp.down_proj.weight");
/// assert_eq!(down.gguf_name.as_deref(), Some("blk.1.ffn_down.weight"));
/// assert_eq!(down.role, Role::Ternary(256, 768));
/// assert!(config.tensors().contains(&down));
/// # Ok::<(), tercet_formats::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Rows of the embedding, and of the output head.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward block.
    pub intermediate_size: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Positions that the model was trained for. Large values are legal, so a KV cache needs a
    /// bound of its own.
    pub max_positions: usize,
    /// Epsilon of every other RMSNorm: added to the mean square.
    pub rms_norm_eps: f32,
    /// The rotary embedding.
    pub rope: Rope,
    /// Activation of the feed-forward block's gate.
    pub activation: Activation,
    /// True if attention and feed-forward have an RMSNorm before their output projections.
    pub sub_norms: bool,
    /// True if each head of queries and keys has an RMSNorm.
    pub query_key_norms: bool,
    /// True if attention and feed-forward have an RMSNorm after their output projections.
    pub post_norms: bool,
    /// The factor of every token's embedding.
    pub embedding_scale: f32,
    /// The layers whose tokens see only the latest positions, if there are any.
    pub local_attention: Option<LocalAttention>,
    /// Epsilon of the RMSNorm before each ternary layer, if ternary layers have norms of their own.
    pub linear_norm_eps: Option<f32>,
    /// Layers whose weights stay floats, by transformers' names of their modules. All others are
    /// ternary.
    pub float_modules: BTreeSet<String>,
    /// True if an output head of floats is rounded to trits, like the layers.
    pub ternary_head: bool,
    /// True if the embedding serves as the output head.
    pub tie_word_embeddings: bool,
    /// The token that starts a sequence.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a sequence.
    pub eos_token_ids: Vec<u32>,
}

/// The function of the feed-forward block's gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0)².
    Relu2,
    /// x / (1 + e⁻ˣ).
    Silu,
    /// x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
    GeluTanh,
}

impl Activation {
    const ALL: [Activation; 3] = [Activation::Relu2, Activation::Silu, Activation::GeluTanh];

    /// transformers' name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Activation::Relu2 => "relu2",
            Activation::Silu => "silu",
            Activation::GeluTanh => "gelu_pytorch_tanh",
        }
    }

    /// GGUF's names.
    pub(crate) const fn gguf_names(self) -> &'static [&'static str] {
        match self {
            Activation::Relu2 => &["relu2", "relu_sqr"],
            Activation::Silu => &["silu"],
            Activation::GeluTanh => &[],
        }
    }
}

impl Config {
    /// Reads and validates the configuration of a model.
    ///
    /// Warns of keys that are ignored. A head that is said to be tied, and differs from the embedding
    /// in the file, is taken from the file with a warning, as in transformers.
    ///
    /// # Errors
    /// The errors of [`ModelFiles::get`] and [`Config::parse`]. Those of [`GgufFile`](crate::GgufFile)
    /// and [`TensorFile`](crate::TensorFile), if the model has files of tensors.
    pub fn load(files: &ModelFiles) -> Result<Self> {
        let label = files.label(CONFIG);
        let bytes = files.get(CONFIG)?;
        let map = json::parse(&bytes, &label)?;
        let (mut config, mut unknown) = Self::read(&Object::new(&label, &map))?;
        if let Some(gguf) = files.gguf() {
            unknown.extend(gguf.check_keys(&config)?);
        }
        keys::warn_of_unknown(files, &label, &unknown);
        json::warn_of_absent_tokens(files, CONFIG, &bytes, config.vocab_size);
        if let Some(names) = transformers::names(files, None)? {
            config.tie_word_embeddings |= names.lack_head();
            let norms = names.have_linear_norms().then_some(config.rms_norm_eps);
            config.linear_norm_eps = config.linear_norm_eps.or(norms);
        }
        if config.tie_word_embeddings && has_own_head(files, &config)? {
            files.warn(format!(
                "{label}: tie_word_embeddings is true, but the file has another lm_head.weight, which is used"
            ));
            config.tie_word_embeddings = false;
        }
        Ok(config)
    }

    /// Validates the `config.json` in `bytes`. Messages call it `label`.
    ///
    /// Absent fields take the defaults of transformers' configuration class. Absent sizes are
    /// errors.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) if a field is missing or contradicts another
    /// one, [`Error::Unsupported`](crate::Error::Unsupported) for other architectures. Both name
    /// the field.
    ///
    /// # Examples
    /// ```
    /// use tercet_formats::Config;
    ///
    /// let json = br#"{
    ///     "model_type": "llama", "vocab_size": 1000, "hidden_size": 256, "intermediate_size": 768,
    ///     "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 512
    /// }"#;
    /// let config = Config::parse(json, "config.json")?;
    /// assert_eq!(config.head_dim, 64);
    /// assert_eq!(config.kv_heads, config.heads);
    ///
    /// let error = Config::parse(b"{}", "config.json").unwrap_err();
    /// assert!(error.to_string().starts_with("config.json: model_type: is missing"));
    /// # Ok::<(), tercet_formats::Error>(())
    /// ```
    pub fn parse(bytes: &[u8], label: &str) -> Result<Self> {
        let map = json::parse(bytes, label)?;
        Self::read(&Object::new(label, &map)).map(|(config, _)| config)
    }

    /// Validates `root`. Also returns the keys that have no known meaning.
    fn read(root: &Object<'_>) -> Result<(Self, Vec<String>)> {
        let required = |name, largest| root.require(name, root.size(name, largest)?);
        let family = Family::of(root)?;
        let vocab_size = required("vocab_size", limit::VOCAB)?;
        let hidden_size = required("hidden_size", limit::WIDTH)?;
        let heads = required("num_attention_heads", limit::HEADS)?;
        let head_dim = head_dim(root, family, hidden_size, heads)?;
        let max_positions = required("max_position_embeddings", limit::POSITIONS)?;
        let eps = |object: &Object<'_>| object.number("rms_norm_eps", "a positive number", |n| n > 0.0);
        let layers = required("num_hidden_layers", limit::LAYERS)?;
        let mut config = Config {
            vocab_size,
            hidden_size,
            intermediate_size: required("intermediate_size", limit::WIDTH)?,
            layers,
            heads,
            kv_heads: kv_heads(root, heads)?,
            head_dim,
            max_positions,
            rms_norm_eps: eps(root)?.unwrap_or(family.rms_norm_eps),
            rope: Rope::parse(root, family.rope_theta, head_dim, max_positions)?,
            activation: activation(root, family)?,
            sub_norms: family.sub_norms,
            query_key_norms: family.query_key_norms,
            post_norms: family.post_norms,
            embedding_scale: if family.scales_embedding { (hidden_size as f32).sqrt() } else { 1.0 },
            local_attention: family
                .has_windows
                .then(|| LocalAttention::parse(root, layers))
                .transpose()?
                .flatten(),
            linear_norm_eps: match root.object("quantization_config", "quantization_config.")? {
                Some(object) if object.flag("use_rms_norm")?.unwrap_or(false) => {
                    Some(eps(&object)?.unwrap_or(1e-6))
                }
                _ => None,
            },
            float_modules: BTreeSet::new(),
            ternary_head: false,
            tie_word_embeddings: root.flag("tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: root.token_ids("bos_token_id", vocab_size)?.and_then(|ids| ids.first().copied()),
            eos_token_ids: root.token_ids("eos_token_id", vocab_size)?.unwrap_or_default(),
        };
        let unknown = check_keys(root, &config)?;
        config.keep_modules(root)?;
        Ok((config, unknown))
    }
}

/// Checks every key. Returns those that have no effect, with the path to each.
fn check_keys(root: &Object<'_>, config: &Config) -> Result<Vec<String>> {
    let facts = Facts {
        positions: config.max_positions,
        head_dim: config.head_dim,
        hidden_size: config.hidden_size,
        query_key_norms: config.query_key_norms,
        has_windows: Family::find(root).is_some_and(|family| family.has_windows),
        no_window: root.flag("use_sliding_window")? == Some(false),
        activations: &[],
    };
    let top = keys::check(keys::config::TOP, root, &facts)?;
    let mut unknown: Vec<String> = keys::suspect(root, top)?.into_iter().map(str::to_owned).collect();
    if let Some(quantization) = root.object("quantization_config", "quantization_config.")? {
        keys::refuse(&quantization, &keys::check(keys::config::QUANTIZATION, &quantization, &facts)?)?;
    }
    if let Some(object) = rope::scaling(root)? {
        keys::refuse(&object, &keys::check(keys::config::ROPE, &object, &facts)?)?;
        unknown.extend(rope::unused(&object)?);
    }
    Ok(unknown)
}

fn activation(root: &Object<'_>, family: &Family) -> Result<Activation> {
    // Gemma has the second name.
    let found =
        root.text("hidden_act")?.map_or_else(|| root.text("hidden_activation"), |found| Ok(Some(found)))?;
    let Some(found) = found else { return Ok(family.activation) };
    let activation = Activation::ALL.into_iter().find(|activation| activation.name() == found);
    activation
        .ok_or_else(|| root.unsupported("hidden_act", found, &either(Activation::ALL.map(Activation::name))))
}

fn kv_heads(root: &Object<'_>, heads: usize) -> Result<usize> {
    let kv_heads = root.size("num_key_value_heads", heads)?.unwrap_or(heads);
    if heads.is_multiple_of(kv_heads) {
        Ok(kv_heads)
    } else {
        let problem = format!("{kv_heads} does not divide num_attention_heads, {heads}");
        Err(root.malformed("num_key_value_heads", &problem))
    }
}

fn head_dim(root: &Object<'_>, family: &Family, hidden_size: usize, heads: usize) -> Result<usize> {
    let head_dim = match root.size("head_dim", limit::HEAD_DIM)?.or(family.head_dim) {
        Some(head_dim) => head_dim,
        None if hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            let problem = format!("{hidden_size} is not a multiple of num_attention_heads, {heads}");
            return Err(root.malformed("hidden_size", &problem));
        }
    };
    if head_dim.is_multiple_of(2) && head_dim <= limit::HEAD_DIM {
        Ok(head_dim)
    } else {
        let problem = format!("{head_dim} is not an even number up to {}", limit::HEAD_DIM);
        Err(root.malformed("head_dim", &problem))
    }
}
