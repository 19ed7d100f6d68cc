//! A model's tensors, validated against its config and packed for the planned kernels.

use std::ops::Range;

use tercet_pool::Pool;

use super::head::Rows;
use super::linear::Linear;
use super::norm::Norm;
use super::packer::{Packer, Skipped};
use crate::error::Result;
use crate::memory;
use crate::packed::{Order, PackedFile, Part};
use crate::runtime::{HeadMode, Mode, Runtime};
use tercet_formats::config::{Activation, Config, EMBEDDING, HEAD, Part as LayerPart, Role, Tensor};
use tercet_formats::{Checkpoint, Floats, StoredFloats};

/// Everything that the forward pass reads.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) embedding: Table,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    /// `None` if the embedding serves as the head.
    pub(super) head: Option<Table>,
}

/// An embedding or output head, vocabulary × hidden.
#[derive(Debug)]
pub(super) enum Table {
    Floats(FloatRows),
    Ternary(Box<Linear>),
}

/// Rows of floats in their stored type.
#[derive(Debug)]
pub(super) struct FloatRows {
    pub(super) floats: StoredFloats,
    pub(super) width: usize,
}

/// One transformer block.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Norm,
    pub(super) q: Linear,
    pub(super) k: Linear,
    pub(super) v: Linear,
    /// The norms of the heads of queries and of keys.
    pub(super) query_key_norms: Option<[Norm; 2]>,
    pub(super) attention_sub_norm: Option<Norm>,
    pub(super) o: Linear,
    pub(super) attention_post_norm: Option<Norm>,
    pub(super) ffn_norm: Norm,
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) ffn_sub_norm: Option<Norm>,
    pub(super) down: Linear,
    pub(super) ffn_post_norm: Option<Norm>,
}

/// Makes a model's tensors: reads them, or draws them at random.
pub(super) trait Source: Sync {
    /// Returns the norm with the gain `tensor`.
    fn norm(&self, tensor: &Tensor) -> Result<Norm>;

    /// Returns the linear layer of `tensor`, packed if it is ternary. It may skip some weights.
    fn linear(&self, tensor: &Tensor, skipped: Skipped) -> Result<Linear>;

    /// Returns the embedding or output head `tensor`.
    fn table(&self, tensor: &Tensor) -> Result<Table>;
}

impl Weights {
    /// Reads a model, and packs its ternary matrices unless they are in `packed`.
    pub(super) fn load(
        checkpoint: &dyn Checkpoint,
        config: &Config,
        packer: &Packer<'_>,
        pool: &Pool,
        packed: Option<&PackedFile>,
    ) -> Result<Self> {
        Self::of(config, &Reader { checkpoint, config, packer, pool, packed }, pool)
    }

    /// Returns the least bytes that the matrices of `config` take while `runtime` packs them. This counts the packed
    /// matrices, the trits of one matrix, and the screen of a head that is computed as `head` says.
    pub(super) fn least_bytes(config: &Config, runtime: &Runtime, head: HeadMode) -> u64 {
        const ABSURD: u64 = 1 << 50;
        let (layout, exact) = (runtime.planner().layout(), runtime.mode() != Mode::Fast);
        let (mut packed, mut largest) = (0u64, 0);
        for tensor in config.tensors() {
            let Role::Ternary(n, k) = tensor.role else { continue };
            let trits = memory::product([n, k]);
            let bytes = if exact || trits > ABSURD { trits } else { layout.bytes(n, k) as u64 };
            (packed, largest) = (packed.saturating_add(bytes), largest.max(trits));
        }
        let screen = match head {
            HeadMode::Exact | HeadMode::Int8 => memory::product([config.vocab_size, config.hidden_size]),
            HeadMode::Bf16 => 0,
        };
        packed.saturating_add(largest).saturating_add(screen)
    }

    /// Takes every tensor of a model from `source`, layers in parallel.
    pub(super) fn of(config: &Config, source: &dyn Source, pool: &Pool) -> Result<Self> {
        Ok(Weights {
            embedding: source.table(&config.embedding())?,
            layers: pool
                .map(config.layers, |layer| Layer::of(config, source, layer))
                .into_iter()
                .collect::<Result<_>>()?,
            norm: source.norm(&config.final_norm())?,
            head: config.head().map(|head| source.table(&head)).transpose()?,
        })
    }

    /// Copies a token's embedding to `out`, hidden wide.
    pub(super) fn embed(&self, token: u32, out: &mut [f32]) {
        match &self.embedding {
            Table::Floats(rows) => rows.floats.get().read(token as usize * out.len(), out),
            Table::Ternary(rows) => rows.read_row(token as usize, out),
        }
    }

    /// Requires that the rows that stay in the model's file are still the model's.
    pub(super) fn check(&self) -> Result<()> {
        let tables = [Some(&self.embedding), self.head.as_ref()];
        let tables = tables.into_iter().flatten().filter_map(|table| match table {
            Table::Floats(rows) => Some(&rows.floats),
            Table::Ternary(_) => None,
        });
        let layers = self.layers.iter().flat_map(Layer::linears).filter_map(|(_, linear)| linear.floats());
        tables.chain(layers).try_for_each(|floats| Ok(floats.check()?))
    }

    /// Returns the output head.
    pub(super) fn head(&self) -> &Table {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Returns the packed matrices, to be stored.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let parts =
            self.linears().filter_map(|(name, linear)| Some(Part { name, kind: linear.packed_weights()? }));
        parts.collect()
    }

    /// Returns the bytes of the layers' matrices, and of ternary tables.
    pub(super) fn ternary_bytes(&self) -> usize {
        self.linears().map(|(_, linear)| linear.bytes()).sum()
    }

    /// Returns the layers' matrices and ternary tables with their names in transformers, without
    /// `.weight`.
    pub(super) fn linears(&self) -> impl Iterator<Item = (String, &Linear)> {
        let layers = self.layers.iter().enumerate();
        let layers =
            layers.flat_map(|(i, layer)| layer.linears().map(|(part, linear)| (part.module(i), linear)));
        let tables = [(EMBEDDING, Some(&self.embedding)), (HEAD, self.head.as_ref())];
        let tables = tables.into_iter().filter_map(|(name, table)| match table? {
            Table::Ternary(rows) => Some((name.to_owned(), &**rows)),
            Table::Floats(_) => None,
        });
        layers.chain(tables)
    }

    /// Returns the bytes of the embedding and of a separate head, as far as they are floats.
    pub(super) fn float_bytes(&self) -> (usize, usize) {
        let bytes = |table: &Table| match table {
            Table::Floats(rows) => rows.floats.bytes(),
            Table::Ternary(_) => 0,
        };
        (bytes(&self.embedding), self.head.as_ref().map_or(0, bytes))
    }
}

impl Rows for FloatRows {
    fn row(&self, token: usize) -> Floats<'_> {
        self.floats.get().slice(token * self.width, self.width)
    }

    fn release(&self, rows: Range<usize>) {
        self.floats.release_slice(rows.start * self.width, rows.len() * self.width);
    }
}

impl Layer {
    /// Takes the tensors of layer `layer` from `source`.
    fn of(config: &Config, source: &dyn Source, layer: usize) -> Result<Self> {
        use LayerPart as P;
        let norm = |part| source.norm(&config.part(layer, part));
        let skipped = |part| match (config.activation, part) {
            (Activation::Relu2, P::Up) => Skipped::Rows,
            (Activation::Relu2, P::Down) => Skipped::Columns,
            _ => Skipped::Nothing,
        };
        let linear = |part| source.linear(&config.part(layer, part), skipped(part));
        let optional = |part| config.has(part).then(|| norm(part)).transpose();
        Ok(Layer {
            attention_norm: norm(P::AttentionNorm)?,
            q: linear(P::Query)?,
            k: linear(P::Key)?,
            v: linear(P::Value)?,
            query_key_norms: match (optional(P::QueryNorm)?, optional(P::KeyNorm)?) {
                (Some(queries), Some(keys)) => Some([queries, keys]),
                _ => None,
            },
            attention_sub_norm: optional(P::AttentionSubNorm)?,
            o: linear(P::Output)?,
            attention_post_norm: optional(P::AttentionPostNorm)?,
            ffn_norm: norm(P::FfnNorm)?,
            gate: linear(P::Gate)?,
            up: linear(P::Up)?,
            ffn_sub_norm: optional(P::FfnSubNorm)?,
            down: linear(P::Down)?,
            ffn_post_norm: optional(P::FfnPostNorm)?,
        })
    }

    /// Returns the layer's norms and their parts.
    pub(super) fn norms(&self) -> impl Iterator<Item = (LayerPart, &Norm)> {
        let [queries, keys] =
            self.query_key_norms.as_ref().map_or([None; 2], |norms| norms.each_ref().map(Some));
        let norms = [
            (LayerPart::AttentionNorm, Some(&self.attention_norm)),
            (LayerPart::AttentionSubNorm, self.attention_sub_norm.as_ref()),
            (LayerPart::QueryNorm, queries),
            (LayerPart::KeyNorm, keys),
            (LayerPart::FfnNorm, Some(&self.ffn_norm)),
            (LayerPart::FfnSubNorm, self.ffn_sub_norm.as_ref()),
            (LayerPart::AttentionPostNorm, self.attention_post_norm.as_ref()),
            (LayerPart::FfnPostNorm, self.ffn_post_norm.as_ref()),
        ];
        norms.into_iter().filter_map(|(part, norm)| Some((part, norm?)))
    }

    /// Returns the layer's matrices and their parts.
    fn linears(&self) -> [(LayerPart, &Linear); 7] {
        [
            (LayerPart::Query, &self.q),
            (LayerPart::Key, &self.k),
            (LayerPart::Value, &self.v),
            (LayerPart::Output, &self.o),
            (LayerPart::Gate, &self.gate),
            (LayerPart::Up, &self.up),
            (LayerPart::Down, &self.down),
        ]
    }

    /// Returns the shapes (n, k) of a layer's ternary matrices.
    pub(super) fn shapes(config: &Config) -> Vec<(usize, usize)> {
        let shape = |(_, tensor): (LayerPart, Tensor)| match tensor.role {
            Role::Ternary(n, k) => Some((n, k)),
            Role::Vector(_) | Role::Dense(..) | Role::Table(..) => None,
        };
        config.layer(0).filter_map(shape).collect()
    }
}

/// Reads a checkpoint.
struct Reader<'a> {
    checkpoint: &'a dyn Checkpoint,
    config: &'a Config,
    packer: &'a Packer<'a>,
    pool: &'a Pool,
    packed: Option<&'a PackedFile>,
}

impl Source for Reader<'_> {
    fn norm(&self, tensor: &Tensor) -> Result<Norm> {
        let (width, _) = tensor.matrix();
        Norm::load(self.checkpoint, tensor.module(), width, self.config.rms_norm_eps)
    }

    fn linear(&self, tensor: &Tensor, skipped: Skipped) -> Result<Linear> {
        let (n, k) = tensor.matrix();
        if let Role::Dense(..) = tensor.role {
            return Ok(Linear::dense((n, k), self.checkpoint.floats(&tensor.name, n, k)?));
        }
        let norm = self.config.linear_norm(tensor).zip(self.config.linear_norm_eps);
        let norm = norm.map(|(norm, eps)| Norm::load(self.checkpoint, norm.module(), k, eps)).transpose()?;
        if let Some(packed) = self.packed {
            let (name, skips) = (tensor.module(), self.packer.can_skip(skipped, (n, k)));
            return match packed.order(name) {
                Some(Order::Columns) if skips => {
                    self.packer.columns(packed.columns(name, (n, k), self.pool)?, norm)
                }
                Some(Order::Rows) if skips => self.packer.rows(packed.rows(name, (n, k), self.pool)?, norm),
                _ => self.packer.packed(packed.matrix(name, self.packer.layout(), (n, k), self.pool)?, norm),
            };
        }
        let ternary = self.checkpoint.ternary(&tensor.name, n, k)?;
        self.packer.skipping(skipped, (n, k), ternary, norm)
    }

    fn table(&self, tensor: &Tensor) -> Result<Table> {
        let (n, k) = tensor.matrix();
        if let Some(packed) = self.packed.filter(|packed| packed.contains(tensor.module())) {
            let weights = packed.matrix(tensor.module(), self.packer.layout(), (n, k), self.pool)?;
            return Ok(Table::Ternary(Box::new(self.packer.packed(weights, None)?)));
        }
        Ok(match self.checkpoint.table(&tensor.name, n, k)? {
            tercet_formats::Table::Floats(floats) => Table::Floats(FloatRows { floats, width: k }),
            tercet_formats::Table::Ternary(ternary) => {
                Table::Ternary(Box::new(self.packer.linear((n, k), ternary, None)?))
            }
        })
    }
}
