//! Greedy continuations of a few prompts.

use tercet_formats::ModelFiles;

use crate::error::Result;
use crate::model::{Logits, Model};
use crate::runtime::Runtime;

/// Steps from one token of a prompt to the next.
const STEPS: [usize; 3] = [1, 11, 101];
/// Tokens of a prompt, and of its continuation.
const TOKENS: usize = 8;

/// Returns a continuation of each prompt. It is cut where the context ends.
pub(super) fn continuations(files: &ModelFiles, runtime: &Runtime) -> Result<Vec<Vec<u32>>> {
    let model = Model::load(files, runtime)?;
    let context = model.context_for(2 * TOKENS);
    let vocabulary = model.config().vocab_size;
    let prompt = |step| (0..context.min(TOKENS)).map(move |i| (i * step % vocabulary) as u32).collect();
    STEPS.into_iter().map(|step| continuation(&model, prompt(step), context)).collect()
}

fn continuation(model: &Model, mut tokens: Vec<u32>, context: usize) -> Result<Vec<u32>> {
    let mut state = model.new_state(context)?;
    let mut chosen = Vec::new();
    for _ in tokens.len()..=context {
        let logits = model.forward(&mut state, &tokens, Logits::Last)?;
        let best = logits.iter().enumerate().rev().max_by(|(_, a), (_, b)| a.total_cmp(b));
        tokens = best.map(|(id, _)| vec![id as u32]).unwrap_or_default();
        chosen.extend(&tokens);
    }
    Ok(chosen)
}

/// Tells where continuations of the same prompts part.
pub(super) fn difference([ours, theirs]: &[Vec<Vec<u32>>; 2]) -> Option<String> {
    let parting = |(ours, theirs): (&Vec<u32>, &Vec<u32>)| ours.iter().zip(theirs).position(|(a, b)| a != b);
    let first = ours.iter().zip(theirs).filter_map(parting).min()?;
    Some(format!("greedy texts differ from token {} on", first + 1))
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_first_difference_counts() {
        let ours = vec![vec![1, 2, 3], vec![1, 2, 3]];
        let theirs = vec![vec![1, 2, 4], vec![1, 5, 3]];
        assert_eq!(difference(&[ours.clone(), ours.clone()]), None);
        assert!(difference(&[ours, theirs]).unwrap().contains("from token 2 on"));
    }
}
