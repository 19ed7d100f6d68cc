//! The work that a model leaves out, as reports tell it.

use serde::Serialize;
use tercet_engine::{Model, Work, Zeros};
use tercet_formats::config::Activation;

/// The rows of the output head that were computed, and the zeros in the feed-forward blocks. Unknown figures are none.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct LeftOut {
    /// Rows of the head that its screen keeps, which are computed exactly: the mean over the tokens that were chosen.
    pub(super) head_rows: Option<f64>,
    /// Their share of the vocabulary, in percent.
    pub(super) head_rows_pct: Option<f64>,
    /// Bytes of the head's screen that were read: the mean over the same tokens.
    #[serde(skip)]
    pub(super) screen_bytes: Option<f64>,
    /// Bytes of `up` and `down` that were not read: the mean over the same tokens.
    #[serde(skip)]
    pub(super) skipped_bytes: f64,
    /// Of all gates, if the activation makes zeros of these.
    pub(super) gates_not_positive_pct: Option<f64>,
    /// Of all inputs of `down`, after rounding.
    pub(super) zeros_into_down_pct: Option<f64>,
}

impl LeftOut {
    /// Returns the figures of `work` by `model`.
    pub(super) fn of(work: &Work, model: &Model) -> Self {
        let zeros = work.zeros();
        let (gates, inputs) = shares(&zeros, model.config().activation);
        let per_token = |count: u64| (work.predictions > 0).then(|| count as f64 / work.predictions as f64);
        let rows = per_token(work.head_rows);
        LeftOut {
            head_rows: rows,
            head_rows_pct: rows.map(|rows| 100.0 * rows / model.config().vocab_size as f64),
            screen_bytes: per_token(work.screen_bytes).filter(|bytes| *bytes > 0.0),
            skipped_bytes: per_token(zeros.skipped_bytes).unwrap_or_default(),
            gates_not_positive_pct: gates.map(|share| 100.0 * share),
            zeros_into_down_pct: (zeros.elements > 0).then_some(100.0 * inputs),
        }
    }
}

/// Returns the shares of the gates that are not positive, and of zeros into `down`. Gates count only where the activation
/// makes zeros of them.
pub(super) fn shares(zeros: &Zeros, activation: Activation) -> (Option<f64>, f64) {
    let share = |count: u64| count as f64 / zeros.elements.max(1) as f64;
    ((activation == Activation::Relu2).then(|| share(zeros.gates)), share(zeros.inputs))
}
