//! Drafts: tokens that may come next, which a single pass checks.
//!
//! Where memory is the limit, a pass over several tokens costs little more than one over a single token. A drafted token
//! is accepted if it is the one that the sampler chooses, so the text is the same bit for bit.

mod costs;
mod follower;
mod lookup;
mod model;
mod past;
#[cfg(test)]
mod tests;

use std::time::Duration;

use costs::Costs;
pub(super) use follower::Follower;
pub use model::DraftModel;
use model::Success;
use past::Past;

/// The source of drafts. It changes no text.
#[derive(Clone, Debug, Default)]
pub enum Draft {
    /// The tokens that came after the same tokens before, in the prompt or in the text. A draft is made only where it is
    /// expected to save time. (Saxena, "Prompt lookup decoding", 2023.)
    #[default]
    Lookup,
    /// A smaller model, which proposes the tokens that it finds best. Their number follows from measured times and from the
    /// success so far. (Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", 2023.)
    Model(DraftModel),
    /// No drafts.
    None,
}

impl Draft {
    /// Returns the name of the source.
    pub const fn name(&self) -> &'static str {
        match self {
            Draft::Lookup => "lookup",
            Draft::Model(_) => "model",
            Draft::None => "none",
        }
    }
}

/// Most tokens of a draft. A pass reads one more, and kernels are planned for eight.
const MOST: usize = 7;

/// A draft must be expected to save this factor of time.
const GAIN: f32 = 1.05;

/// The share of a measurement that turns into its estimate with each pass without a draft, so that what was slow or wrong
/// once gets another chance.
const FORGOTTEN: f32 = 1.0 / 512.0;

/// Drafts for one text.
#[derive(Debug)]
pub(super) struct Drafter {
    source: Source,
    costs: Costs,
    /// Drafted tokens.
    pub(super) drafted: usize,
    /// Drafted tokens that were accepted.
    pub(super) accepted: usize,
}

#[derive(Debug)]
enum Source {
    Past(Past),
    Model(Success),
}

impl Drafter {
    /// Returns a drafter, if there is a source.
    pub(super) fn new(draft: &Draft) -> Option<Self> {
        let (source, costs) = match draft {
            Draft::Lookup => (Source::Past(Past::default()), Costs::new(0.0)),
            Draft::Model(model) => (Source::Model(Success::new()), Costs::new(model.cost)),
            Draft::None => return None,
        };
        Some(Drafter { source, costs, drafted: 0, accepted: 0 })
    }

    /// Returns this drafter with the belief that passes cost little, whatever it learns.
    #[cfg(test)]
    pub(super) fn eager(self) -> Self {
        Drafter { costs: Costs::fixed(), ..self }
    }

    /// Returns at most `most` tokens that may follow `history`: none where a draft would not pay. A draft model has its own
    /// sequence, the `follower`.
    pub(super) fn propose(
        &mut self,
        history: &[u32],
        follower: Option<&mut Follower>,
        most: usize,
    ) -> Vec<u32> {
        match &mut self.source {
            Source::Past(past) => past.find(history).map_or_else(Vec::new, |(rate, after)| {
                after[..self.costs.best_length(rate, most.min(after.len()))].to_vec()
            }),
            Source::Model(success) => follower.map_or_else(Vec::new, |follower| {
                follower.propose(history, self.costs.best_length(success.rate, most), most)
            }),
        }
    }

    /// Takes note of a pass: the number of drafted tokens, the tokens that were chosen, and the time that it took, with that
    /// of its draft.
    pub(super) fn learn(&mut self, drafted: usize, chosen: &[u32], time: Duration) {
        self.costs.learn(drafted + 1, time);
        let accepted = chosen.len().saturating_sub(1).min(drafted);
        self.drafted += drafted;
        self.accepted += accepted;
        match &mut self.source {
            Source::Past(past) => past.learn(drafted, accepted, chosen),
            Source::Model(success) => success.learn(drafted, accepted),
        }
    }
}

/// Takes note in `rate` that `accepted` of `drafted` tokens were right. Those behind the first wrong one tell nothing.
fn push(rate: &mut f32, accepted: usize, drafted: usize) {
    const WEIGHT: f32 = 0.1;
    (0..accepted).for_each(|_| *rate += WEIGHT * (1.0 - *rate));
    if accepted < drafted {
        *rate -= WEIGHT * *rate;
    }
}
