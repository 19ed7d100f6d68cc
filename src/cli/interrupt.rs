//! Ctrl-C ends the text that is being generated; anywhere else, and the second time, the program.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// The shell's status of a program that Ctrl-C ended.
pub(super) const STATUS: u8 = 130;

static GENERATING: AtomicBool = AtomicBool::new(false);
static PRESSED: AtomicBool = AtomicBool::new(false);

/// Takes over Ctrl-C. If the system refuses, it goes on to end the program at once.
pub(super) fn install() {
    let handler = || {
        if !GENERATING.load(Ordering::SeqCst) || PRESSED.swap(true, Ordering::SeqCst) {
            process::exit(STATUS.into());
        }
    };
    let _ = ctrlc::set_handler(handler);
}

/// Runs `generate`, which is to end soon after [`pressed`] turns true.
pub(super) fn during<T>(generate: impl FnOnce() -> T) -> T {
    PRESSED.store(false, Ordering::SeqCst);
    GENERATING.store(true, Ordering::SeqCst);
    let outcome = generate();
    GENERATING.store(false, Ordering::SeqCst);
    outcome
}

/// Whether Ctrl-C was pressed during the latest generation.
pub(super) fn pressed() -> bool {
    PRESSED.load(Ordering::SeqCst)
}
