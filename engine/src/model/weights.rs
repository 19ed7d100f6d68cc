//! A model's tensors, validated against its config and packed for the planned kernels.

use std::ops::Range;

use tercet_pool::Pool;

use super::head::Rows;
use super::linear::{Linear, Packer};
use super::norm::Norm;
use crate::error::Result;
use crate::packed::{PackedFile, Part, PartKind};
use tercet_formats::config::Config;
use tercet_formats::{Checkpoint, Floats, StoredFloats};

const EMBEDDING: &str = "model.embed_tokens";
const HEAD: &str = "lm_head";

/// Everything that the forward pass reads.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) embedding: Table,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    /// None where it is the embedding.
    pub(super) head: Option<Table>,
}

/// An embedding or output head, vocabulary × hidden.
#[derive(Debug)]
pub(super) enum Table {
    Floats(FloatRows),
    Ternary(Box<Linear>),
}

/// Rows of floats as they are stored.
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
    /// Those of the heads of queries and of keys.
    pub(super) query_key_norms: Option<[Norm; 2]>,
    pub(super) attention_sub_norm: Option<Norm>,
    pub(super) o: Linear,
    pub(super) ffn_norm: Norm,
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) ffn_sub_norm: Option<Norm>,
    pub(super) down: Linear,
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
        let reader = Reader { checkpoint, config, packer, pool, packed };
        Ok(Weights {
            embedding: reader.table(EMBEDDING)?,
            layers: pool.map(config.layers, |i| reader.layer(i)).into_iter().collect::<Result<_>>()?,
            norm: reader.norm("model.norm", config.hidden_size)?,
            head: match config.tie_word_embeddings {
                true => None,
                false => Some(reader.table(HEAD)?),
            },
        })
    }

    /// Copies a token's embedding to `out`, hidden wide.
    pub(super) fn embed(&self, token: u32, out: &mut [f32]) {
        match &self.embedding {
            Table::Floats(rows) => rows.floats.get().read(token as usize * out.len(), out),
            Table::Ternary(rows) => rows.read_row(token as usize, out),
        }
    }

    /// The output head.
    pub(super) fn head(&self) -> &Table {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// The packed matrices, to be kept.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let parts = self.linears().filter_map(|(name, linear)| {
            Some(Part { name, kind: PartKind::Matrix(linear.packed_weights()?) })
        });
        parts.collect()
    }

    /// Bytes of the ternary matrices.
    pub(super) fn ternary_bytes(&self) -> usize {
        self.linears().map(|(_, linear)| linear.bytes()).sum()
    }

    /// All ternary matrices and what their tensors are called.
    fn linears(&self) -> impl Iterator<Item = (String, &Linear)> {
        let layers = self.layers.iter().enumerate();
        let layers =
            layers.flat_map(|(i, layer)| layer.linears().map(|(part, linear)| (name(i, part), linear)));
        let tables = [(EMBEDDING, Some(&self.embedding)), (HEAD, self.head.as_ref())];
        let tables = tables.into_iter().filter_map(|(name, table)| match table? {
            Table::Ternary(rows) => Some((name.to_owned(), &**rows)),
            Table::Floats(_) => None,
        });
        layers.chain(tables)
    }

    /// Bytes of the embedding and of a head of its own, where they are floats.
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
    /// Its matrices and what their tensors are called.
    fn linears(&self) -> [(&'static str, &Linear); 7] {
        [
            ("self_attn.q_proj", &self.q),
            ("self_attn.k_proj", &self.k),
            ("self_attn.v_proj", &self.v),
            ("self_attn.o_proj", &self.o),
            ("mlp.gate_proj", &self.gate),
            ("mlp.up_proj", &self.up),
            ("mlp.down_proj", &self.down),
        ]
    }

    /// Shapes (n, k) of a layer's matrices: q, k and v, o, gate and up, down.
    pub(super) fn shapes(config: &Config) -> [(usize, usize); 5] {
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        [(q, hidden), (kv, hidden), (hidden, q), (ffn, hidden), (hidden, ffn)]
    }
}

/// The name of a layer's part.
fn name(layer: usize, part: &str) -> String {
    format!("model.layers.{layer}.{part}")
}

struct Reader<'a> {
    checkpoint: &'a dyn Checkpoint,
    config: &'a Config,
    packer: &'a Packer<'a>,
    pool: &'a Pool,
    packed: Option<&'a PackedFile>,
}

impl Reader<'_> {
    fn layer(&self, i: usize) -> Result<Layer> {
        let linear = |part: &str, shape| self.linear(&name(i, part), shape);
        let norm = |part: &str, width| self.norm(&name(i, part), width);
        let sub_norm = |part, width| self.config.sub_norms.then(|| norm(part, width)).transpose();
        let Config { hidden_size: hidden, intermediate_size: ffn, head_dim, .. } = *self.config;
        let [q, kv, o, gate, down] = Layer::shapes(self.config);
        Ok(Layer {
            attention_norm: norm("input_layernorm", hidden)?,
            q: linear("self_attn.q_proj", q)?,
            k: linear("self_attn.k_proj", kv)?,
            v: linear("self_attn.v_proj", kv)?,
            query_key_norms: match self.config.query_key_norms {
                true => Some([norm("self_attn.q_norm", head_dim)?, norm("self_attn.k_norm", head_dim)?]),
                false => None,
            },
            attention_sub_norm: sub_norm("self_attn.attn_sub_norm", q.0)?,
            o: linear("self_attn.o_proj", o)?,
            ffn_norm: norm("post_attention_layernorm", hidden)?,
            gate: linear("mlp.gate_proj", gate)?,
            up: linear("mlp.up_proj", gate)?,
            ffn_sub_norm: sub_norm("mlp.ffn_sub_norm", ffn)?,
            down: linear("mlp.down_proj", down)?,
        })
    }

    fn linear(&self, name: &str, (n, k): (usize, usize)) -> Result<Linear> {
        let norm = |eps| Norm::load(self.checkpoint, &format!("{name}.rms_norm"), k, eps);
        let norm = self.config.linear_norm_eps.map(norm).transpose()?;
        if let Some(packed) = self.packed {
            let weights = packed.matrix(name, self.packer.layout(), (n, k), self.pool)?;
            return self.packer.packed(weights, norm);
        }
        self.packer.linear((n, k), self.checkpoint.ternary(&format!("{name}.weight"), n, k)?, norm)
    }

    fn norm(&self, name: &str, width: usize) -> Result<Norm> {
        Norm::load(self.checkpoint, name, width, self.config.rms_norm_eps)
    }

    fn table(&self, name: &str) -> Result<Table> {
        let (n, k) = (self.config.vocab_size, self.config.hidden_size);
        if let Some(packed) = self.packed.filter(|packed| packed.contains(name)) {
            let weights = packed.matrix(name, self.packer.layout(), (n, k), self.pool)?;
            return Ok(Table::Ternary(Box::new(self.packer.packed(weights, None)?)));
        }
        Ok(match self.checkpoint.table(&format!("{name}.weight"), n, k)? {
            tercet_formats::Table::Floats(floats) => Table::Floats(FloatRows { floats, width: k }),
            tercet_formats::Table::Ternary(ternary) => {
                Table::Ternary(Box::new(self.packer.linear((n, k), ternary, None)?))
            }
        })
    }
}
