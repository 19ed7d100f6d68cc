//! Several sequences at once.

use super::continuation::{Continuation, Sequence, Step};
use crate::error::Result;
use crate::model::{BATCH, Model};

/// One step of every continuation that has not ended, each with its sequence; none of the others. Sequences that have read
/// their prompts share every read of the weights, and each has the text that it would have alone.
///
/// # Errors
/// Those of [`Continuation::step`], of any of them.
pub fn step_all(model: &Model, courses: &mut [(Sequence, Continuation)]) -> Result<Vec<Option<Step>>> {
    let (mut steps, alone) = (vec![None; courses.len()], courses.len() == 1);
    let mut decoding = Vec::new();
    for (step, (sequence, continuation)) in steps.iter_mut().zip(courses) {
        match alone || !continuation.awaits_one_token(sequence) {
            true => *step = continuation.step(model, sequence)?,
            false => decoding.push((step, sequence, continuation)),
        }
    }
    for batch in decoding.chunks_mut(BATCH) {
        let (mut states, mut tokens, mut candidates) = (Vec::new(), Vec::new(), Vec::new());
        for (_, Sequence { state, history }, continuation) in batch.iter_mut() {
            tokens.push(history[state.position()]);
            candidates.push(continuation.candidates(history));
            states.push(state);
        }
        model.forward_each(&mut states, &tokens, &candidates)?;
        for (step, sequence, continuation) in batch {
            **step = Some(continuation.accept(model, sequence)?);
        }
    }
    Ok(steps)
}
