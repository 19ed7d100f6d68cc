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
    /// Every token with one scale.
    whole: Activations,
    /// Columns of every token, in groups that have scales of their own.
    groups: Vec<Activations>,
}

impl Rounded {
    /// For up to `tokens` tokens of up to `width` elements.
    pub(super) fn new(tokens: usize, width: usize) -> Self {
        let whole = Activations::with_capacity(tokens, width);
        Rounded { normed: vec![0.0; tokens * width], whole, groups: Vec::new() }
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
    /// The groups' size of what `rounded` holds, if that is this input without another norm; none for one scale.
    holds: Option<Option<usize>>,
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
        let (first, form) = (layers[0].0, layers[0].0.group_size());
        let alike = |linear: &Linear| linear.norm.is_none() && linear.group_size() == form;
        if N > 1 && !layers.iter().all(|(linear, _)| alike(linear)) {
            return layers.into_iter().for_each(|layer| self.multiply([layer]));
        }
        if first.norm.is_some() || self.holds != Some(form) {
            match form {
                None => self.round_whole(first.norm.as_ref()),
                Some(size) => self.round_groups(first.norm.as_ref(), size),
            }
            self.holds = first.norm.is_none().then_some(form);
        }
        match form {
            None => Linear::apply(layers, self.pool, std::slice::from_ref(&self.rounded.whole)),
            Some(_) => Linear::apply(layers, self.pool, &self.rounded.groups),
        }
    }

    /// Forgets all tokens but the last `tokens`.
    pub(super) fn keep_last(&mut self, tokens: usize) {
        self.x = &self.x[self.x.len() - tokens * self.width..];
        match self.holds {
            Some(None) => self.rounded.whole.keep_last(tokens),
            Some(Some(_)) => self.rounded.groups.iter_mut().for_each(|group| group.keep_last(tokens)),
            None => {}
        }
    }

    fn round_whole(&mut self, own: Option<&Norm>) {
        let Input { pool, x, norm, width, rounded: Rounded { normed, whole, .. }, .. } = self;
        let tokens = x.len() / *width;
        whole.reset(tokens, *width);
        let rows = x.chunks_exact(*width).zip(normed.chunks_exact_mut(*width)).zip(whole.rows_mut());
        let round = |((x, normed), mut row): ((&[f32], &mut [f32]), RowMut<'_>)| {
            let x = behind([*norm, own], x, normed);
            row.set(|out| ops::quantize(out, x));
        };
        if tokens == 1 {
            return rows.for_each(round);
        }
        let mut rows: Vec<_> = rows.map(Some).collect();
        pool.chunks(&mut rows, 1, |_, row| row[0].take().into_iter().for_each(round));
    }

    fn round_groups(&mut self, own: Option<&Norm>, size: usize) {
        let Input { pool, x, norm, width, rounded: Rounded { normed, groups, .. }, .. } = self;
        let (tokens, width) = (x.len() / *width, *width);
        let normed = &mut normed[..x.len()];
        pool.chunks(normed, width, |token, normed| {
            let x = &x[token * width..][..width];
            match (&norm, own) {
                (None, None) => normed.copy_from_slice(x),
                _ => _ = behind([*norm, own], x, normed),
            }
        });
        groups.resize_with(width.div_ceil(size), Activations::default);
        pool.chunks(groups, 4, |chunk, groups| {
            for (group, acts) in (4 * chunk..).zip(groups) {
                let columns = group * size..width.min((group + 1) * size);
                acts.reset(tokens, columns.len());
                for (mut row, normed) in acts.rows_mut().zip(normed.chunks_exact(width)) {
                    row.set(|out| ops::quantize(out, &normed[columns.clone()]));
                }
            }
        });
    }
}

/// `x` behind the norms, one after the other: in `normed` if there are any.
fn behind<'n>(norms: [Option<&Norm>; 2], x: &'n [f32], normed: &'n mut [f32]) -> &'n [f32] {
    let mut norms = norms.into_iter().flatten();
    let Some(first) = norms.next() else { return x };
    first.apply(normed, x);
    norms.for_each(|norm| norm.apply_in_place(normed));
    normed
}
