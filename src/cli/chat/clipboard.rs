//! The clipboard of the terminal, also of one at the other end of a connection.

use base64::prelude::{BASE64_STANDARD, Engine};

/// Most bytes that common terminals take.
const MOST_BYTES: usize = 74_994;

/// Returns the control sequence OSC 52 that makes `text` the clipboard's contents; none if the text is too long.
pub(super) fn sequence(text: &str) -> Option<String> {
    (text.len() <= MOST_BYTES).then(|| format!("\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text)))
}
