//! Messages of several lines: between two `"""`, or with a backslash at the end of a line.

const QUOTES: &str = "\"\"\"";

/// Returns true if more lines belong to `text`.
pub(super) fn is_open(text: &str) -> bool {
    match text.trim_start().strip_prefix(QUOTES) {
        Some(quoted) => !quoted.trim_end().ends_with(QUOTES),
        None => text.lines().next_back().is_some_and(|line| line.ends_with('\\')),
    }
}

/// Returns the message without the marks that join its lines.
pub(super) fn message(text: &str) -> String {
    match text.trim().strip_prefix(QUOTES) {
        Some(quoted) => quoted.strip_suffix(QUOTES).unwrap_or(quoted).trim_matches('\n').to_owned(),
        None => text.replace("\\\n", "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_join_lines_and_are_no_part_of_the_message() {
        for (typed, whole) in [
            ("one line", "one line"),
            ("first\\\nsecond\\\nthird", "first\nsecond\nthird"),
            ("\"\"\"\nfirst\n\n  second\n\"\"\"", "first\n\n  second"),
            ("\"\"\"first\nsecond\"\"\" ", "first\nsecond"),
            ("\"\"\"quoted\"\"\"", "quoted"),
            ("pasted\nas it is", "pasted\nas it is"),
            ("a\\b", "a\\b"),
        ] {
            assert_eq!(message(typed), whole);
            assert!(!is_open(typed), "{typed:?}");
            // Before the last line, or the last mark, more follows.
            if let Some((start, _)) = typed.rsplit_once('\n').filter(|_| !typed.starts_with("pasted")) {
                assert!(is_open(start), "{start:?}");
            }
        }
        assert!(is_open("\"\"\"") && is_open("\\") && !is_open(""));
    }
}
