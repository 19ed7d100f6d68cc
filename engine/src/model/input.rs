//! Inputs of linear layers: activations, normed and rounded.

use tercet_codegen::Activations;
use tercet_codegen::activations::RowMut;
use tercet_pool::Pool;

use super::linear::Linear;
use super::norm::Norm;
use super::{columns, rows};
use crate::pool::Team;
use crate::vectors::ops;

/// Buffers for inputs, allocated once.
#[derive(Debug)]
pub(super) struct Rounded {
    normed: Vec<f32>,
    /// Tokens as integers.
    acts: Activations,
    /// Tokens as floats.
    floats: Vec<f64>,
    /// Buffers of layers that skip columns.
    columns: columns::Scratch,
    /// Buffers of layers that skip rows.
    rows: rows::Scratch,
}

/// The form in which a layer reads its input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Integers, with one scale for each group of this many columns of a token.
    Integers(usize),
    /// Floats: the values of such integers, or the activations unrounded if there is no group size.
    Floats(Option<usize>),
}

impl Rounded {
    /// Makes room for inputs of `elements` elements in total.
    pub(super) fn reserve(&mut self, elements: usize) {
        self.normed.resize(elements.max(self.normed.len()), 0.0);
    }

    /// Returns buffers for up to `tokens` tokens of up to `width` elements.
    pub(super) fn new(tokens: usize, width: usize) -> Self {
        let acts = Activations::with_capacity(tokens, width);
        Rounded {
            normed: vec![0.0; tokens * width],
            acts,
            floats: Vec::new(),
            columns: columns::Scratch::default(),
            rows: rows::Scratch::default(),
        }
    }
}

/// An input that several layers share. It is rounded once, except for layers with a norm or form of
/// their own.
pub(super) struct Input<'a> {
    team: Team<'a>,
    /// tokens × width.
    x: &'a [f32],
    norm: Option<&'a Norm>,
    width: usize,
    rounded: &'a mut Rounded,
    /// The form of this input in `rounded`, if it is there and without a layer's own norm.
    holds: Option<Form>,
}

impl<'a> Input<'a> {
    /// Returns the input with the rows of `x`, `width` wide, after `norm`.
    pub(super) fn new(
        team: Team<'a>,
        x: &'a [f32],
        width: usize,
        norm: Option<&'a Norm>,
        rounded: &'a mut Rounded,
    ) -> Self {
        Input { team, x, norm, width, rounded, holds: None }
    }

    /// Multiplies every token with each layer's weights. The products go to the start of the layer's
    /// output, token-major.
    ///
    /// Layers that share a rounded input run in one job of the pool.
    pub(super) fn multiply<const N: usize>(&mut self, layers: [(&Linear, &mut [f32]); N]) {
        let (first, form) = (layers[0].0, layers[0].0.form());
        let alike = |linear: &Linear| linear.norm.is_none() && linear.form() == form && !linear.works_alone();
        if N > 1 && !layers.iter().all(|(linear, _)| alike(linear)) {
            return layers.into_iter().for_each(|layer| self.multiply([layer]));
        }
        self.round_for(first);
        match form {
            Form::Integers(_) => {
                let Rounded { acts, columns, .. } = &mut *self.rounded;
                Linear::apply(layers, self.team, acts, columns);
            }
            Form::Floats(_) => Linear::apply_floats(layers, self.team, &self.rounded.floats),
        }
    }

    /// Multiplies every token with the rows of `linear` that have a positive gate, or one that is not a number, for some token.
    /// The other outputs become 0, if that is faster. `gates` is tokens × n. Returns the bytes of the weights that it skips.
    pub(super) fn multiply_gated(&mut self, linear: &Linear, gates: &[f32], out: &mut [f32]) -> usize {
        let Some(layer) = linear.gated(self.x.len() / self.width) else {
            self.multiply([(linear, out)]);
            return 0;
        };
        self.round_for(linear);
        let Rounded { acts, rows, .. } = &mut *self.rounded;
        layer.multiply_gated(self.team, acts, gates, rows, out)
    }

    /// Returns the bytes of the weights whose columns the last product skipped.
    pub(super) fn skipped_bytes(&self) -> usize {
        self.rounded.columns.skipped_bytes
    }

    /// Rounds the input to the form that `linear` reads, if it is not there yet.
    fn round_for(&mut self, linear: &Linear) {
        if linear.norm.is_some() || self.holds != Some(linear.form()) {
            self.round(linear.norm.as_ref(), linear.form());
            self.holds = linear.norm.is_none().then_some(linear.form());
        }
    }

    /// Returns the number of zeros among the rounded elements.
    pub(super) fn zeros(&self) -> usize {
        match self.holds {
            Some(Form::Integers(_)) => self.x.len() - self.rounded.acts.nonzeros(),
            Some(Form::Floats(_)) => self.rounded.floats.iter().filter(|x| **x == 0.0).count(),
            None => 0,
        }
    }

    /// Forgets all tokens but the last `tokens`.
    pub(super) fn keep_last(&mut self, tokens: usize) {
        let forgotten = self.x.len() - tokens * self.width;
        self.x = &self.x[forgotten..];
        match self.holds {
            Some(Form::Integers(_)) => self.rounded.acts.keep_last(tokens),
            Some(Form::Floats(_)) => _ = self.rounded.floats.drain(..forgotten),
            None => {}
        }
    }

    /// Applies both norms to every token and rounds it to `form`, into `rounded`.
    fn round(&mut self, own: Option<&Norm>, form: Form) {
        let Input { team, x, norm, width, rounded: Rounded { normed, acts, floats, .. }, .. } = self;
        let (width, norms) = (*width, [*norm, own]);
        let x = match norms {
            [None, None] => *x,
            _ => {
                let normed = &mut normed[..x.len()];
                team.chunks(normed, width, |token, normed| {
                    apply_norms(norms, &x[token * width..][..width], normed);
                });
                &normed[..]
            }
        };
        match form {
            Form::Integers(size) => round_to_integers(team, x, width, size, acts),
            Form::Floats(size) => round_to_floats(team, x, width, size, floats),
        }
    }
}

/// Rounds each group of `size` columns of a token to integers with a scale of its own.
fn round_to_integers(pool: &Pool, x: &[f32], width: usize, size: usize, acts: &mut Activations) {
    let tokens = x.len() / width;
    acts.reset_groups(tokens, width, size);
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

/// Rounds each group of `size` columns of a token to the values of its integers, or only converts it if
/// there is no `size`.
fn round_to_floats(pool: &Pool, x: &[f32], width: usize, size: Option<usize>, floats: &mut Vec<f64>) {
    floats.resize(x.len(), 0.0);
    pool.chunks(floats, width, |token, out| {
        let x = &x[token * width..][..width];
        match size {
            None => out.iter_mut().zip(x).for_each(|(out, x)| *out = f64::from(*x)),
            Some(size) => {
                out.chunks_mut(size).zip(x.chunks(size)).for_each(|(out, x)| ops::round_to_int8(out, x));
            }
        }
    });
}

/// Applies the norms to `x`, one after the other, and writes the result to `out`.
fn apply_norms(norms: [Option<&Norm>; 2], x: &[f32], out: &mut [f32]) {
    let mut norms = norms.into_iter().flatten();
    match norms.next() {
        Some(first) => first.apply(out, x),
        None => out.copy_from_slice(x),
    }
    norms.for_each(|norm| norm.apply_in_place(out));
}
