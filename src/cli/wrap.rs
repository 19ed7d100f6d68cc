//! Words that do not fit into a line of the terminal begin the next one.

use std::io::{self, IsTerminal};

use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A text that arrives in pieces. A word is held back until its end is there.
pub(super) struct Wrap {
    columns: usize,
    column: usize,
    /// Blanks since the last word.
    gap: String,
    /// The beginning of a word.
    word: String,
}

impl Wrap {
    /// Returns the wrap for the window of standard output; none if that is no terminal.
    pub(super) fn for_stdout() -> Option<Self> {
        let stdout = io::stdout();
        let (Width(columns), _) = stdout.is_terminal().then(|| terminal_size_of(stdout)).flatten()?;
        (columns > 0).then(|| Wrap::new(columns.into()))
    }

    fn new(columns: usize) -> Self {
        Wrap { columns, column: 0, gap: String::new(), word: String::new() }
    }

    /// Returns the text that `piece` makes ready.
    pub(super) fn push(&mut self, piece: &str) -> String {
        let mut ready = String::new();
        for char in piece.chars() {
            match char {
                '\n' => {
                    ready += &self.finish();
                    ready.push('\n');
                    self.column = 0;
                }
                ' ' | '\t' => {
                    ready += &self.end_word();
                    self.gap.push(char);
                }
                _ => {
                    self.word.push(char);
                    // Scripts with wide characters have no spaces between words.
                    if char.width().unwrap_or(0) > 1 {
                        ready += &self.end_word();
                    }
                }
            }
        }
        ready
    }

    /// Returns the rest of the line.
    pub(super) fn finish(&mut self) -> String {
        let rest = self.end_word();
        self.gap.clear();
        rest
    }

    /// Returns the word with the blanks, or the line break, before it.
    fn end_word(&mut self) -> String {
        if self.word.is_empty() {
            return String::new();
        }
        let (gap, word) = (std::mem::take(&mut self.gap), std::mem::take(&mut self.word));
        let width = word.width();
        let before = if self.column > 0 && self.column + gap.width() + width > self.columns {
            self.column = 0;
            "\n".to_owned()
        } else {
            self.column += gap.width();
            gap
        };
        self.column += width;
        if self.column > self.columns {
            // The terminal itself breaks a word that is longer than a line.
            self.column %= self.columns;
        }
        before + &word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns `text` wrapped at ten columns, whatever the pieces are in which it arrives.
    fn wrapped(text: &str) -> String {
        let in_pieces = |size: usize| {
            let mut wrap = Wrap::new(10);
            let chars: Vec<char> = text.chars().collect();
            let pieces = chars.chunks(size).map(|piece| wrap.push(&piece.iter().collect::<String>()));
            let ready: String = pieces.collect();
            ready + &wrap.finish()
        };
        let whole = in_pieces(usize::MAX);
        assert!((1..5).all(|size| in_pieces(size) == whole), "{text:?}");
        whole
    }

    #[test]
    fn words_that_do_not_fit_begin_a_line() {
        for (text, expected) in [
            ("one two three four", "one two\nthree four"),
            ("exactly 10 columns", "exactly 10\ncolumns"),
            ("a line\nand another line", "a line\nand\nanother\nline"),
            ("  indented", "  indented"),
            ("unbreakableword and", "unbreakableword and"),
            ("ends with blanks  \n\nx", "ends with\nblanks\n\nx"),
            ("漢字漢字漢字漢字", "漢字漢字漢\n字漢字"),
        ] {
            assert_eq!(wrapped(text), expected);
        }
    }

    #[test]
    fn no_line_with_spaces_is_wider_than_the_window() {
        let text = "It was a dark and stormy night; the rain fell in torrents, except at times. ".repeat(4);
        let lines = wrapped(&text);
        assert!(lines.lines().all(|line| line.width() <= 10), "{lines}");
        assert!(lines.split_whitespace().eq(text.split_whitespace()));
    }
}
