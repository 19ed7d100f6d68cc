//! The list of a model's tensors: names in transformers and GGUF, roles and shapes.
//!
//! Loading, converting, GGUF and synthetic models read this list. A tensor that no family had
//! before is a new row in [`LAYER`] and a new [`Part`].

#[cfg(test)]
mod tests;

use super::Config;

/// The kind of a tensor, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A vector of this many floats.
    Vector(usize),
    /// A matrix of ternary weights, rows × columns.
    Ternary(usize, usize),
    /// A matrix of floats that a layer multiplies by, rows × columns.
    Dense(usize, usize),
    /// The embedding or the output head, rows × columns. A model stores it as floats or as ternary
    /// weights.
    Table(usize, usize),
}

impl Role {
    /// Returns the dimensions. The last one varies fastest.
    pub fn shape(self) -> Vec<usize> {
        match self {
            Role::Vector(len) => vec![len],
            Role::Ternary(n, k) | Role::Dense(n, k) | Role::Table(n, k) => vec![n, k],
        }
    }
}

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// transformers' name, under which a [`Checkpoint`](crate::Checkpoint) finds the tensor.
    pub name: String,
    /// GGUF's name, or `None` if GGUF has no such tensor.
    pub gguf_name: Option<String>,
    /// The kind and size.
    pub role: Role,
}

/// A part of a transformer block, in the order in which converted files store them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Norm before attention.
    AttentionNorm,
    /// Projection to queries.
    Query,
    /// Projection to keys.
    Key,
    /// Projection to values.
    Value,
    /// Projection from the heads' values to the residual stream.
    Output,
    /// Norm before the feed-forward block.
    FfnNorm,
    /// Projection to the gate.
    Gate,
    /// Projection that the gate multiplies.
    Up,
    /// Projection back to the residual stream.
    Down,
    /// Norm before [`Part::Output`].
    AttentionSubNorm,
    /// Norm before [`Part::Down`].
    FfnSubNorm,
    /// Norm of each head of the queries.
    QueryNorm,
    /// Norm of each head of the keys.
    KeyNorm,
    /// Norm after [`Part::Output`].
    AttentionPostNorm,
    /// Norm after [`Part::Down`].
    FfnPostNorm,
}

/// One row of the list.
struct Row {
    /// transformers' name, without `.weight` and, for a part of a layer, without the layer.
    name: &'static str,
    /// GGUF's name, likewise.
    gguf_name: &'static str,
    shape: Shape,
    needs: Needs,
}

#[derive(Clone, Copy)]
enum Shape {
    Vector(Width),
    Ternary(Width, Width),
    Table(Width, Width),
}

/// A number of rows or columns that the configuration decides.
#[derive(Clone, Copy)]
enum Width {
    Vocabulary,
    Hidden,
    /// Of the feed-forward block.
    Ffn,
    /// All heads of queries.
    Queries,
    /// All heads of keys, or of values.
    Keys,
    /// One head.
    Head,
}

/// A property that a configuration must have for a tensor to exist.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    SubNorms,
    HeadNorms,
    PostNorms,
    SeparateHead,
}

/// transformers' name of the embedding, without `.weight`.
pub const EMBEDDING: &str = "model.embed_tokens";
/// transformers' name of the output head, without `.weight`.
pub const HEAD: &str = "lm_head";

const EMBEDDING_ROW: Row =
    row(EMBEDDING, "token_embd", Shape::Table(Width::Vocabulary, Width::Hidden), Needs::Nothing);
const FINAL_NORM_ROW: Row = row("model.norm", "output_norm", Shape::Vector(Width::Hidden), Needs::Nothing);
const HEAD_ROW: Row =
    row(HEAD, "output", Shape::Table(Width::Vocabulary, Width::Hidden), Needs::SeparateHead);

/// The rows outside layers.
const MODEL: [Row; 3] = [EMBEDDING_ROW, FINAL_NORM_ROW, HEAD_ROW];

/// The parts of a layer.
#[rustfmt::skip]
static LAYER: [(Part, Row); 15] = {
    use Needs::{HeadNorms, Nothing, PostNorms, SubNorms};
    use Part::*;
    use Shape::{Ternary, Vector};
    use Width::{Ffn, Head, Hidden, Keys, Queries};
    [
        (AttentionNorm,    row("input_layernorm",          "attn_norm",     Vector(Hidden),           Nothing)),
        (Query,            row("self_attn.q_proj",         "attn_q",        Ternary(Queries, Hidden), Nothing)),
        (Key,              row("self_attn.k_proj",         "attn_k",        Ternary(Keys, Hidden),    Nothing)),
        (Value,            row("self_attn.v_proj",         "attn_v",        Ternary(Keys, Hidden),    Nothing)),
        (Output,           row("self_attn.o_proj",         "attn_output",   Ternary(Hidden, Queries), Nothing)),
        (FfnNorm,          row("post_attention_layernorm", "ffn_norm",      Vector(Hidden),           Nothing)),
        (Gate,             row("mlp.gate_proj",            "ffn_gate",      Ternary(Ffn, Hidden),     Nothing)),
        (Up,               row("mlp.up_proj",              "ffn_up",        Ternary(Ffn, Hidden),     Nothing)),
        (Down,             row("mlp.down_proj",            "ffn_down",      Ternary(Hidden, Ffn),     Nothing)),
        (AttentionSubNorm, row("self_attn.attn_sub_norm",  "attn_sub_norm", Vector(Queries),          SubNorms)),
        (FfnSubNorm,       row("mlp.ffn_sub_norm",         "ffn_sub_norm",  Vector(Ffn),              SubNorms)),
        (QueryNorm,        row("self_attn.q_norm",         "attn_q_norm",   Vector(Head),             HeadNorms)),
        (KeyNorm,          row("self_attn.k_norm",         "attn_k_norm",   Vector(Head),             HeadNorms)),
        (AttentionPostNorm, row("post_attention_norm",     "post_attention_norm", Vector(Hidden),     PostNorms)),
        (FfnPostNorm,      row("post_feedforward_norm",    "post_ffw_norm", Vector(Hidden),           PostNorms)),
    ]
};

// `LAYER[part as usize]` is the row of `part`.
const _: () = {
    let mut i = 0;
    while i < LAYER.len() {
        assert!(LAYER[i].0 as usize == i);
        i += 1;
    }
    assert!(Part::FfnPostNorm as usize + 1 == LAYER.len());
};

const fn row(name: &'static str, gguf_name: &'static str, shape: Shape, needs: Needs) -> Row {
    Row { name, gguf_name, shape, needs }
}

impl Row {
    fn exists(&self, config: &Config) -> bool {
        match self.needs {
            Needs::Nothing => true,
            Needs::SubNorms => config.sub_norms,
            Needs::HeadNorms => config.query_key_norms,
            Needs::PostNorms => config.post_norms,
            Needs::SeparateHead => !config.tie_word_embeddings,
        }
    }

    fn role(&self, config: &Config) -> Role {
        let width = |width| match width {
            Width::Vocabulary => config.vocab_size,
            Width::Hidden => config.hidden_size,
            Width::Ffn => config.intermediate_size,
            Width::Queries => config.heads * config.head_dim,
            Width::Keys => config.kv_heads * config.head_dim,
            Width::Head => config.head_dim,
        };
        match self.shape {
            Shape::Vector(len) => Role::Vector(width(len)),
            Shape::Ternary(n, k) => Role::Ternary(width(n), width(k)),
            Shape::Table(n, k) => Role::Table(width(n), width(k)),
        }
    }

    /// Returns the tensor in `layer`, or outside all layers.
    fn tensor(&self, config: &Config, layer: Option<usize>) -> Tensor {
        let (prefix, gguf_prefix) = match layer {
            None => (String::new(), String::new()),
            Some(layer) => (format!("{LAYERS}{layer}."), format!("{GGUF_LAYERS}{layer}.")),
        };
        let module = format!("{prefix}{}", self.name);
        let role = match self.role(config) {
            Role::Ternary(n, k) if config.float_modules.contains(&module) => Role::Dense(n, k),
            role => role,
        };
        let gguf_name = Some(format!("{gguf_prefix}{}{SUFFIX}", self.gguf_name));
        Tensor { name: format!("{module}{SUFFIX}"), gguf_name, role }
    }
}

const LAYERS: &str = "model.layers.";
const GGUF_LAYERS: &str = "blk.";
const SUFFIX: &str = ".weight";
/// The end of the name of a norm before a ternary layer, after the layer's own name.
pub(crate) const LINEAR_NORM: &str = ".rms_norm.weight";

impl Part {
    fn row(self) -> &'static Row {
        &LAYER[self as usize].1
    }

    /// Returns transformers' name of the part in layer `layer`, without `.weight`.
    pub fn module(self, layer: usize) -> String {
        format!("{LAYERS}{layer}.{}", self.row().name)
    }

    /// Returns the layer and the part that transformers' name of a tensor stands for, if it is a
    /// part of a layer.
    pub(crate) fn of_name(name: &str) -> Option<(usize, Part)> {
        let (layer, rest) = name.strip_prefix(LAYERS)?.split_once('.')?;
        let part = rest.strip_suffix(SUFFIX)?;
        let part = LAYER.iter().find(|(_, row)| row.name == part)?.0;
        Some((layer.parse().ok()?, part))
    }
}

impl Tensor {
    /// Returns the name of transformers' module, which is the name without `.weight`.
    pub fn module(&self) -> &str {
        self.name.strip_suffix(SUFFIX).unwrap_or(&self.name)
    }

    /// Returns rows and columns. A vector has one column.
    pub fn matrix(&self) -> (usize, usize) {
        match self.role {
            Role::Vector(len) => (len, 1),
            Role::Ternary(n, k) | Role::Dense(n, k) | Role::Table(n, k) => (n, k),
        }
    }
}

impl Config {
    /// Returns every tensor of the model, in the order of converted files.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut tensors = vec![self.embedding()];
        for layer in 0..self.layers {
            for (_, tensor) in self.layer(layer) {
                let norm = self.linear_norm(&tensor);
                tensors.push(tensor);
                tensors.extend(norm);
            }
        }
        tensors.push(self.final_norm());
        tensors.extend(self.head());
        tensors
    }

    /// Returns the parts of layer `layer`, except [linear norms](Config::linear_norm).
    pub fn layer(&self, layer: usize) -> impl Iterator<Item = (Part, Tensor)> {
        let rows = LAYER.iter().filter(|(_, row)| row.exists(self));
        rows.map(move |(part, row)| (*part, row.tensor(self, Some(layer))))
    }

    /// Returns part `part` of layer `layer`. The tensor exists only if [`Config::has`] returns true.
    pub fn part(&self, layer: usize, part: Part) -> Tensor {
        part.row().tensor(self, Some(layer))
    }

    /// Returns true if layers have the part.
    pub fn has(&self, part: Part) -> bool {
        part.row().exists(self)
    }

    /// Returns the number of heads in the rows of the matrix `name`, if it projects to queries or
    /// keys. The rotary embedding turns these rows in pairs.
    pub(crate) fn rotated_heads(&self, name: &str) -> Option<usize> {
        match Part::of_name(name)?.1 {
            Part::Query => Some(self.heads),
            Part::Key => Some(self.kv_heads),
            _ => None,
        }
    }

    /// Returns the norm before the ternary layer `linear`, if ternary layers have norms of their own.
    pub fn linear_norm(&self, linear: &Tensor) -> Option<Tensor> {
        match linear.role {
            Role::Ternary(_, k) if self.linear_norm_eps.is_some() => Some(Tensor {
                name: format!("{}{LINEAR_NORM}", linear.module()),
                gguf_name: linear.gguf_name.as_deref().map(gguf_norm_before),
                role: Role::Vector(k),
            }),
            _ => None,
        }
    }

    /// Returns the embedding.
    pub fn embedding(&self) -> Tensor {
        EMBEDDING_ROW.tensor(self, None)
    }

    /// Returns the norm after the last layer.
    pub fn final_norm(&self) -> Tensor {
        FINAL_NORM_ROW.tensor(self, None)
    }

    /// Returns the output head, or `None` if the embedding serves as the head.
    pub fn head(&self) -> Option<Tensor> {
        HEAD_ROW.exists(self).then(|| self.output_head())
    }

    /// Returns the output head, whether or not the embedding serves as the head.
    pub(crate) fn output_head(&self) -> Tensor {
        HEAD_ROW.tensor(self, None)
    }
}

/// Returns GGUF's name of the tensor that transformers calls `name`, if GGUF has such a tensor.
pub(crate) fn gguf_name(name: &str) -> Option<String> {
    if let Some(linear) = name.strip_suffix(LINEAR_NORM) {
        return gguf_name(&format!("{linear}{SUFFIX}")).as_deref().map(gguf_norm_before);
    }
    if let Some((layer, part)) = Part::of_name(name) {
        return Some(format!("{GGUF_LAYERS}{layer}.{}{SUFFIX}", part.row().gguf_name));
    }
    let module = name.strip_suffix(SUFFIX)?;
    let row = MODEL.iter().find(|row| row.name == module)?;
    Some(format!("{}{SUFFIX}", row.gguf_name))
}

/// Returns GGUF's name of the norm before the layer that GGUF calls `linear`.
fn gguf_norm_before(linear: &str) -> String {
    format!("{}_norm_in{SUFFIX}", linear.trim_end_matches(SUFFIX))
}
