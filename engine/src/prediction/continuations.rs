//! Predictions of continuations, many at once.

use super::Prediction;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::generate::TokenLogprobs;
use crate::model::{BATCH, Model, Part, State};

/// A prompt, and the tokens after it that are predicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Continued {
    /// The tokens before. At least one.
    pub prompt: Vec<u32>,
    /// The tokens that are predicted, each from all before it.
    pub continuation: Vec<u32>,
}

/// Predicts every token of each continuation. Common beginnings are read once, and short texts share passes over the
/// weights. Neither changes a bit of the result.
///
/// Calls `progress` with the number of finished texts.
///
/// # Errors
/// Fails if a prompt is empty, a text does not fit the context or has a token outside the vocabulary, or the model yields
/// no numbers. Returns [`Error::Cancelled`] soon after `cancel` is cancelled.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// use tercet_engine::prediction::{Continued, predict_continuations};
/// use tercet_engine::{Cancel, Session};
///
/// let session = Session::open("fairy-tales")?;
/// let text = |ending: &str| -> tercet_engine::Result<Continued> {
///     let continuation = session.tokenizer().encode(ending, false)?;
///     Ok(Continued { prompt: session.encode("Once upon a")?, continuation })
/// };
/// let texts = [text(" time")?, text(" fork")?];
/// let [time, fork] = predict_continuations(session.model(), &texts, &Cancel::new(), |_| {})?.try_into().unwrap();
/// assert!(time[0].log_probability > fork[0].log_probability);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
pub fn predict_continuations(
    model: &Model,
    texts: &[Continued],
    cancel: &Cancel,
    progress: impl FnMut(usize),
) -> Result<Vec<Vec<Prediction>>> {
    read_all(model, texts, cancel, progress, Prediction::of)
}

/// Returns the probability of every token of each continuation, and those of the `count` most probable tokens at its place.
/// Texts share work as in [`predict_continuations`].
///
/// # Errors
/// Those of [`predict_continuations`].
pub fn continuation_logprobs(
    model: &Model,
    texts: &[Continued],
    count: usize,
    cancel: &Cancel,
) -> Result<Vec<Vec<TokenLogprobs>>> {
    read_all(model, texts, cancel, |_| {}, |logits, token| TokenLogprobs::new(token, logits, count))
}

/// Returns what `digest` makes of the logits before every token of each continuation, and of the token.
fn read_all<T: Clone + Default + Send>(
    model: &Model,
    texts: &[Continued],
    cancel: &Cancel,
    mut progress: impl FnMut(usize),
    digest: impl Fn(&[f32], u32) -> T + Sync,
) -> Result<Vec<Vec<T>>> {
    let mut sorted: Vec<(Vec<u32>, usize)> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| ([&text.prompt[..], &text.continuation].concat(), i))
        .filter(|(_, i)| !texts[*i].continuation.is_empty())
        .collect();
    // Texts with a common beginning become neighbours.
    sorted.sort();
    let mut found = vec![Vec::new(); texts.len()];
    let mut reader = Reader { model, digest, waiting: Vec::new(), latest: None };
    for (done, (ids, index)) in sorted.into_iter().enumerate() {
        let Some(first) = texts[index].prompt.len().checked_sub(1) else {
            return Err(Error::bad_argument("the prompt", "it has no tokens", "give at least one"));
        };
        // The last token is predicted, but not read.
        let (read, last) = ids.split_at(ids.len() - 1);
        let mut state = model.new_state(model.context_for(read.len()))?;
        model.check(&state, read)?;
        model.check(&state, last)?;
        state.set_cancel(cancel.clone());
        reader.add(Text { ids, first, index, state }, &mut found)?;
        progress(done + 1 - reader.waiting.len());
    }
    reader.read(&mut found)?;
    progress(texts.len());
    Ok(found)
}

/// A text that the model reads.
struct Text {
    ids: Vec<u32>,
    /// The place of the prompt's last token, which predicts the first of the continuation.
    first: usize,
    index: usize,
    state: State,
}

impl Text {
    /// Returns the tokens to read. The last one of all predicts nothing.
    fn pending(&self) -> &[u32] {
        &self.ids[self.state.position()..self.ids.len() - 1]
    }

    /// Returns the length of the common prefix with `other`, without the tokens that predict.
    fn common(&self, other: &Text) -> usize {
        let common = self.ids.iter().zip(&other.ids).take_while(|(a, b)| a == b).count();
        common.min(self.first).min(other.ids.len() - 1)
    }
}

/// Reads texts in passes of at most [`BATCH`] tokens.
struct Reader<'m, F> {
    model: &'m Model,
    /// Makes the result of a token from the logits before it.
    digest: F,
    /// The texts of the next pass.
    waiting: Vec<Text>,
    /// The last text of the latest pass. Of all texts that were read, the next one has most in common with it.
    latest: Option<Text>,
}

impl<T, F> Reader<'_, F>
where
    T: Default + Send,
    F: Fn(&[f32], u32) -> T + Sync,
{
    /// Most texts of a pass: each takes memory for its keys and values.
    const MOST: usize = 32;
    /// Fewest tokens that are worth a pass of their own to read them only once.
    const SHARED: usize = 16;

    fn add(&mut self, mut text: Text, found: &mut [Vec<T>]) -> Result<()> {
        let read = self.latest.as_ref().map_or(0, |latest| text.common(latest));
        let waits = self.waiting.last().map_or(0, |last| text.common(last));
        if waits >= read + Self::SHARED || self.waiting.len() == Self::MOST {
            self.read(found)?;
        }
        if let Some(latest) = &self.latest {
            text.state.share_prefix(&latest.state, text.common(latest));
        }
        while text.pending().len() > BATCH {
            self.pass(std::slice::from_mut(&mut text), found)?;
        }
        let waiting: usize = self.waiting.iter().map(|text| text.pending().len()).sum();
        if waiting + text.pending().len() > BATCH {
            self.read(found)?;
        }
        self.waiting.push(text);
        Ok(())
    }

    /// Reads all texts that wait.
    fn read(&mut self, found: &mut [Vec<T>]) -> Result<()> {
        let mut texts = std::mem::take(&mut self.waiting);
        if !texts.is_empty() {
            self.pass(&mut texts, found)?;
            self.latest = texts.pop();
        }
        Ok(())
    }

    /// Reads the next tokens of every text, at most [`BATCH`] of each.
    fn pass(&self, texts: &mut [Text], found: &mut [Vec<T>]) -> Result<()> {
        let (mut parts, mut targets) = (Vec::new(), Vec::new());
        for Text { ids, first, index, state } in texts {
            let start = state.position();
            let end = (start + BATCH).min(ids.len() - 1);
            let predicting = start.max(*first)..end.max(*first);
            targets.extend(predicting.clone().map(|at| (*index, ids[at + 1])));
            parts.push(Part { state, tokens: &ids[start..end], wanted: predicting.len() });
        }
        let digested =
            self.model.forward_parts(&mut parts, |i, logits| (self.digest)(logits, targets[i].1))?;
        for ((index, _), result) in targets.iter().zip(digested) {
            found[*index].push(result);
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::*;
    use crate::model::Logits;
    use crate::runtime::{Runtime, RuntimeOptions};
    use crate::session::Session;

    fn session() -> Session {
        let options = RuntimeOptions { threads: Some(2), ..RuntimeOptions::default() };
        Session::new(crate::fairy_tales(), Runtime::new(&options), None, &mut |_| {}).unwrap()
    }

    fn continued(prompt: &[u32], continuation: &[u32]) -> Continued {
        Continued { prompt: prompt.to_vec(), continuation: continuation.to_vec() }
    }

    /// Returns the predictions by the logits of the whole text.
    fn alone(model: &Model, text: &Continued) -> Vec<Prediction> {
        let ids = [&text.prompt[..], &text.continuation].concat();
        let read = &ids[..ids.len() - 1];
        let mut state = model.new_state(read.len()).unwrap();
        let logits = model.forward(&mut state, read, Logits::All).unwrap();
        let rows = logits.chunks(model.config().vocab_size).skip(text.prompt.len() - 1);
        rows.zip(&text.continuation).map(|(logits, &target)| Prediction::of(logits, target)).collect()
    }

    #[test]
    fn texts_are_predicted_together_as_each_alone() {
        let session = session();
        let story = session.encode(&"Once upon a time there was a little girl. ".repeat(60)).unwrap();
        let mut texts: Vec<Continued> =
            (0..30).map(|i| continued(&story[..20 + i], &[300 + i as u32, 17, 4][..1 + i % 3])).collect();
        // Choices after one prompt, long prompts, a long continuation, a repeated text and an empty one.
        texts.extend((0..4).map(|i| continued(&story[..300], &[700 + i, 5])));
        texts.push(continued(&story[..1], &story[1..513]));
        texts.push(texts[7].clone());
        texts.push(continued(&story[..9], &[]));
        assert_eq!(session.model().config().max_positions, 512);
        texts.extend((0..40).map(|i| continued(&[500 + i], &[3])));
        let mut told = Vec::new();
        let together =
            predict_continuations(session.model(), &texts, &Cancel::new(), |done| told.push(done)).unwrap();
        for (text, predictions) in texts.iter().zip(&together) {
            assert_eq!(*predictions, alone(session.model(), text));
        }
        let logprobs = continuation_logprobs(session.model(), &texts, 1, &Cancel::new()).unwrap();
        let as_prediction = |TokenLogprobs { chosen, best }: &TokenLogprobs| Prediction {
            best: best[0].token,
            log_probability: chosen.logprob,
        };
        let of_text = |all: &Vec<TokenLogprobs>| all.iter().map(as_prediction).collect::<Vec<_>>();
        assert_eq!(logprobs.iter().map(of_text).collect::<Vec<_>>(), together);
        assert!(told.is_sorted() && told.last() == Some(&texts.len()), "{told:?}");
    }

    #[test]
    fn bad_texts_are_named() {
        let session = session();
        let outcome =
            |text| predict_continuations(session.model(), &[text], &Cancel::new(), |_| {}).map(|_| ());
        let message = |text| outcome(text).unwrap_err().to_string();
        assert!(message(continued(&[], &[1])).contains("no tokens"));
        assert!(message(continued(&[1], &[4096, 1])).contains("outside the vocabulary"));
        assert!(message(continued(&[1], &[3, 4096])).contains("outside the vocabulary"));
        assert!(matches!(outcome(continued(&[1], &[1; 513])), Err(Error::ContextExceeded { .. })));
        let cancel = Cancel::new();
        cancel.cancel();
        let cancelled = predict_continuations(session.model(), &[continued(&[1], &[2])], &cancel, |_| {});
        assert!(matches!(cancelled, Err(Error::Cancelled)));
    }
}
