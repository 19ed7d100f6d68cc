//! Text of models and files on a terminal, which their control characters must not control.

use std::borrow::Cow;

/// Returns `text` with a symbol in the place of every control character but the line break and the tab.
///
/// C0 and DEL have pictures in Unicode. C1, and the marks that turn the direction of writing, become U+FFFD.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(|char| symbol(char) == char) {
        return Cow::Borrowed(text);
    }
    text.chars().map(symbol).collect()
}

fn symbol(char: char) -> char {
    match char {
        '\n' | '\t' => char,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(char)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' => char::REPLACEMENT_CHARACTER,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        _ => char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_symbols() {
        for (text, shown) in [
            ("plain\n\ttext é🦀", "plain\n\ttext é🦀"),
            ("\x1b[31mred\x1b]0;title\x07", "␛[31mred␛]0;title␇"),
            ("over\rwritten\x08\x7f\0", "over␍written␈␡␀"),
            ("\u{9b}31m\u{85}", "\u{fffd}31m\u{fffd}"),
            ("\u{202e}txt.exe\u{2066}", "\u{fffd}txt.exe\u{fffd}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn no_control_character_is_left() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        let shown = printable(&all);
        assert!(shown.chars().all(|char| !char.is_control() || "\n\t".contains(char)));
        assert_eq!(shown.chars().count(), all.chars().count());
    }
}
