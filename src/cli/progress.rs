//! Progress on standard error, if it is a terminal.

use std::fmt;
use std::thread::{Builder, sleep};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle, WeakProgressBar};

use super::printable::printable;

const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(200);

/// Shows `message` and the elapsed time after the first second, until it is cleared.
pub(super) fn spinner(message: impl Into<String>) -> ProgressBar {
    let message = printable(&message.into()).into_owned();
    let late = move |state: &ProgressState, w: &mut dyn fmt::Write| {
        if state.elapsed() >= PATIENCE {
            // A line that cannot be drawn must not fail the command.
            let _ = write!(w, "{message} … {} s", state.elapsed().as_secs());
        }
    };
    let spinner = ProgressBar::new_spinner().with_style(style("{late}").with_key("late", late));
    tick(spinner.downgrade());
    spinner
}

/// Draws `bar` again and again until its end. Without a thread for this, nothing is shown.
fn tick(bar: WeakProgressBar) {
    let draw = move || {
        while let Some(bar) = bar.upgrade().filter(|bar| !bar.is_finished()) {
            bar.tick();
            drop(bar);
            sleep(TICK);
        }
    };
    let _ = Builder::new().name("progress".to_owned()).spawn(draw);
}

/// Shows a bar that is full at position `total`.
pub(super) fn bar(message: &'static str, total: usize) -> ProgressBar {
    let style = style("{msg} {wide_bar} {percent:>3} %  {eta} left");
    ProgressBar::new(total as u64).with_style(style).with_message(message)
}

/// Shows a bar for the bytes of a download.
pub(super) fn bytes(total: u64) -> ProgressBar {
    let template = "{wide_bar} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
    ProgressBar::new(total).with_style(style(template))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
