//! A caller's own changes of logits.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;

type Process = dyn Fn(&[u32], &mut [f32]) -> Result<()> + Send + Sync;

/// Changes the logits of the vocabulary before a token is chosen: after the penalties, before the temperature. Every token's
/// logit is computed then.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// use tercet_engine::{LogitsProcessor, Request, Session};
///
/// let session = Session::open("fairy-tales")?;
/// let never_twice = LogitsProcessor::new(|history, logits| {
///     history.iter().for_each(|&token| logits[token as usize] = f32::NEG_INFINITY);
///     Ok(())
/// });
/// let request = Request { max_tokens: 20, processor: Some(never_twice), ..session.request() };
/// let made = session.generate("Once upon a time", &request, |_| std::ops::ControlFlow::Continue(()))?;
/// assert!(made.ids.iter().enumerate().all(|(i, id)| !made.ids[..i].contains(id)));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct LogitsProcessor(Arc<Process>);

impl LogitsProcessor {
    /// Returns a processor that calls `process` with the tokens so far and the logits of the next one. Its error ends the
    /// text.
    pub fn new(process: impl Fn(&[u32], &mut [f32]) -> Result<()> + Send + Sync + 'static) -> Self {
        LogitsProcessor(Arc::new(process))
    }

    pub(super) fn process(&self, history: &[u32], logits: &mut [f32]) -> Result<()> {
        (self.0)(history, logits)
    }
}

impl fmt::Debug for LogitsProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogitsProcessor")
    }
}
