//! The caller's wish to end a computation before its time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends a computation: any thread may ask, and clones share the wish. What was asked stays asked.
///
/// A forward pass looks at it every few milliseconds, also within a part of a prompt.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// use std::time::Duration;
/// use tercet_engine::{Cancel, Request, Session, Stop};
///
/// let session = Session::open("fairy-tales")?;
/// let cancel = Cancel::new();
/// let request = Request { max_tokens: 400, eos: vec![], cancel: cancel.clone(), ..session.request() };
/// std::thread::spawn(move || {
///     std::thread::sleep(Duration::from_millis(5));
///     cancel.cancel();
/// });
/// let text = session.generate("Once upon a time", &request, |_| std::ops::ControlFlow::Continue(()))?;
/// assert_eq!(text.stop, Stop::Cancelled);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<Wish>);

#[derive(Default)]
struct Wish {
    asked: AtomicBool,
    poll: Option<Box<dyn Fn() -> bool + Send + Sync>>,
}

impl Cancel {
    /// Returns a wish that nobody has uttered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a wish that is also uttered once `poll` returns true. Every thread of the computation calls `poll`, up to
    /// thousands of times per second.
    pub fn when(poll: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Cancel(Arc::new(Wish { asked: AtomicBool::new(false), poll: Some(Box::new(poll)) }))
    }

    /// Asks the computation to end.
    pub fn cancel(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
    }

    /// Returns true if the computation is to end.
    pub fn is_cancelled(&self) -> bool {
        if !self.0.asked.load(Ordering::Relaxed) && self.0.poll.as_ref().is_some_and(|poll| poll()) {
            self.cancel();
        }
        self.0.asked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({:?})", self.0.asked)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn a_wish_is_shared_and_stays() {
        let cancel = Cancel::new();
        let other = cancel.clone();
        assert!(!cancel.is_cancelled());
        other.cancel();
        assert!(cancel.is_cancelled() && other.is_cancelled());

        let calls = AtomicU32::new(0);
        let second = Cancel::when(move || calls.fetch_add(1, Ordering::Relaxed) == 1);
        assert_eq!([(); 4].map(|()| second.is_cancelled()), [false, true, true, true]);
    }
}
