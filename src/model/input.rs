//! What linear layers multiply: activations, normed and rounded to integers.

use tercet_codegen::Activations;
use tercet_codegen::activations::RowMut;
use tercet_pool::Pool;

use super::linear::Linear;
use super::norm::Norm;
use super::ops;

/// Buffers of inputs, allocated once.
#[derive(Debug)]
pub(super) struct Rounded {
    normed: Vec<f32>,
    acts: Activations,
}

impl Rounded {
    /// For up to `tokens` tokens of up to `width` elements.
    pub(super) fn new(tokens: usize, width: usize) -> Self {
        Rounded { normed: vec![0.0; tokens * width], acts: Activations::with_capacity(tokens, width) }
    }
}

/// The input that some layers share: rounded once, unless a layer has a norm of its own or other groups.
pub(super) struct Input<'a> {
    pool: &'a Pool,
    /// tokens × width.
    x: &'a [f32],
    norm: Option<&'a Norm>,
    width: usize,
    rounded: &'a mut Rounded,
    /// The groups' size of what `rounded` holds, if that is this input without another norm.
    holds: Option<usize>,
}

impl<'a> Input<'a> {
    /// The rows of `x`, `width` wide, behind `norm`.
    pub(super) fn new(
        pool: &'a Pool,
        x: &'a [f32],
        width: usize,
        norm: Option<&'a Norm>,
        rounded: &'a mut Rounded,
    ) -> Self {
        Input { pool, x, norm, width, rounded, holds: None }
    }

    /// Multiplies every token with each layer's weights into the start of its output, token-major: in one job of the pool if
    /// the layers share a rounded input.
    pub(super) fn multiply<const N: usize>(&mut self, layers: [(&Linear, &mut [f32]); N]) {
        let (first, size) = (layers[0].0, layers[0].0.group_size());
        let alike = |linear: &Linear| linear.norm.is_none() && linear.group_size() == size;
        if N > 1 && !layers.iter().all(|(linear, _)| alike(linear)) {
            return layers.into_iter().for_each(|layer| self.multiply([layer]));
        }
        if first.norm.is_some() || self.holds != Some(size) {
            self.round(first.norm.as_ref(), size);
            self.holds = first.norm.is_none().then_some(size);
        }
        Linear::apply(layers, self.pool, &self.rounded.acts);
    }

    /// Forgets all tokens but the last `tokens`.
    pub(super) fn keep_last(&mut self, tokens: usize) {
        self.x = &self.x[self.x.len() - tokens * self.width..];
        if self.holds.is_some() {
            self.rounded.acts.keep_last(tokens);
        }
    }

    /// Rounds every `size` columns of a token with a scale of their own.
    fn round(&mut self, own: Option<&Norm>, size: usize) {
        let Input { pool, x, norm, width, rounded: Rounded { normed, acts }, .. } = self;
        let (tokens, width, norms) = (x.len() / *width, *width, [*norm, own]);
        acts.reset_groups(tokens, width, size);
        let x = match norms {
            [None, None] => *x,
            _ => {
                let normed = &mut normed[..x.len()];
                pool.chunks(normed, width, |token, normed| {
                    behind(norms, &x[token * width..][..width], normed);
                });
                &normed[..]
            }
        };
        let round = |(i, mut row): (usize, RowMut<'_>)| {
            let x = &x[i % tokens * width + i / tokens * size..];
            row.set(|out| ops::quantize(out, &x[..out.len()]));
        };
        let rows = acts.rows_mut().enumerate();
        if tokens == 1 {
            return rows.for_each(round);
        }
        let mut rows: Vec<_> = rows.map(Some).collect();
        pool.chunks(&mut rows, 8, |_, rows| rows.iter_mut().filter_map(Option::take).for_each(round));
    }
}

/// Writes `x` behind the norms, one after the other, to `out`.
fn behind(norms: [Option<&Norm>; 2], x: &[f32], out: &mut [f32]) {
    let mut norms = norms.into_iter().flatten();
    match norms.next() {
        Some(first) => first.apply(out, x),
        None => out.copy_from_slice(x),
    }
    norms.for_each(|norm| norm.apply_in_place(out));
}
