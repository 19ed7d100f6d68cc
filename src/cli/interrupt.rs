//! Ctrl-C. It ends the program, unless the command has said otherwise.

use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tercet_engine::Cancel;

use super::report;

/// The exit status of a program that Ctrl-C ended.
pub(super) const STATUS: u8 = 130;

/// What Ctrl-C does while no text is generated.
#[derive(Clone, Copy)]
pub(super) enum AtRest {
    /// It ends the program.
    End,
    /// It ends the program if pressed twice in a row.
    EndIfRepeated,
}

struct Press {
    /// The generation that the next Ctrl-C ends.
    generation: Option<Cancel>,
    at_rest: AtRest,
}

static PRESS: Mutex<Press> = Mutex::new(Press { generation: None, at_rest: AtRest::End });

fn press() -> MutexGuard<'static, Press> {
    PRESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the handler for Ctrl-C. If the system refuses, Ctrl-C still ends the program at once.
pub(super) fn install() {
    let handler = || {
        let mut press = press();
        match (press.generation.take(), press.at_rest) {
            (Some(cancel), _) => cancel.cancel(),
            (None, AtRest::End) => process::exit(STATUS.into()),
            (None, AtRest::EndIfRepeated) => {
                press.at_rest = AtRest::End;
                report::note("Ctrl-C once more ends the program");
            }
        }
    };
    let _ = ctrlc::set_handler(handler);
}

/// Sets what Ctrl-C does from now on while no text is generated.
pub(super) fn at_rest(at_rest: AtRest) {
    press().at_rest = at_rest;
}

/// Runs `generate`, which must end soon after its argument is cancelled. The first Ctrl-C cancels it; from then on, and
/// afterwards, it does what `at_rest` says.
pub(super) fn during<T>(at_rest: AtRest, generate: impl FnOnce(Cancel) -> T) -> T {
    let cancel = Cancel::new();
    *press() = Press { generation: Some(cancel.clone()), at_rest };
    let outcome = generate(cancel);
    press().generation = None;
    outcome
}
