//! A wall against panics in other crates that read a model's files.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// True while [`guarded`] runs on this thread.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`, and returns the message of its panic if it panics.
///
/// What `body` borrows must stay usable after a panic in the middle of it.
pub fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    let outer = GUARDED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(outer);
    outcome.map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

/// Keeps panics that become errors of this crate off standard error. All others are reported as before.
///
/// This wraps the program's panic hook, so only the program itself should call it. Without the call
/// the errors are the same, but the hook has its say first.
pub fn hide_caught_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                report(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        hide_caught_panics();
        let text = "out of bounds".to_owned();
        assert_eq!(guarded(|| panic!("{text}")).unwrap_err(), "out of bounds");
        assert_eq!(guarded(|| panic!("at once")).unwrap_err(), "at once");
        assert_eq!(guarded(|| panic::panic_any(7)).unwrap_err(), "a panic without a message");
        assert_eq!(guarded(|| guarded(|| 1)), Ok(Ok(1)));
        assert!(!GUARDED.get());
    }
}
