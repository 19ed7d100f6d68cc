//! Ctrl-C. During a generation it ends the text; otherwise, or if pressed twice, it ends the program.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status of a program that Ctrl-C ended.
pub(super) const STATUS: u8 = 130;

static GENERATING: AtomicBool = AtomicBool::new(false);
static PRESSED: AtomicBool = AtomicBool::new(false);

/// Installs the handler for Ctrl-C. If the system refuses, Ctrl-C still ends the program at once.
pub(super) fn install() {
    let handler = || {
        if !GENERATING.load(Ordering::SeqCst) || PRESSED.swap(true, Ordering::SeqCst) {
            process::exit(STATUS.into());
        }
    };
    let _ = ctrlc::set_handler(handler);
}

/// Runs `generate`, which must end soon after [`pressed`] returns true.
pub(super) fn during<T>(generate: impl FnOnce() -> T) -> T {
    PRESSED.store(false, Ordering::SeqCst);
    GENERATING.store(true, Ordering::SeqCst);
    let outcome = generate();
    GENERATING.store(false, Ordering::SeqCst);
    outcome
}

/// Returns true if Ctrl-C was pressed during the latest generation.
pub(super) fn pressed() -> bool {
    PRESSED.load(Ordering::SeqCst)
}
