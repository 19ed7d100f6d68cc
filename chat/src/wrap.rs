//! Lines of limited width, as Python's `textwrap.wrap` breaks them.

/// Breaks one paragraph into lines of at most `width` characters.
pub(super) fn lines(text: &str, width: usize, break_long_words: bool, break_on_hyphens: bool) -> Vec<String> {
    let mut chunks: Vec<String> = chunks(text, break_on_hyphens);
    chunks.reverse();
    let mut lines: Vec<String> = Vec::new();
    while !chunks.is_empty() {
        let mut line: Vec<String> = Vec::new();
        let mut len = 0;
        if !lines.is_empty() && chunks.last().is_some_and(|chunk| is_blank(chunk)) {
            chunks.pop();
        }
        while let Some(chunk) = chunks.pop_if(|chunk| len + chunk.chars().count() <= width) {
            len += chunk.chars().count();
            line.push(chunk);
        }
        if let Some(long) = chunks.pop_if(|chunk| chunk.chars().count() > width) {
            if break_long_words {
                let at = cut(&long, width - len, break_on_hyphens);
                line.push(long[..at].to_owned());
                chunks.push(long[at..].to_owned());
            } else if line.is_empty() {
                line.push(long);
            } else {
                chunks.push(long);
            }
        }
        if line.last().is_some_and(|chunk| is_blank(chunk)) {
            line.pop();
        }
        if !line.is_empty() {
            lines.push(line.concat());
        }
    }
    lines
}

/// Returns where to break a word that is longer than a line with `space` characters left: after a hyphen if one is
/// there.
fn cut(word: &str, space: usize, break_on_hyphens: bool) -> usize {
    let end = word.char_indices().nth(space).map_or(word.len(), |(at, _)| at);
    if !break_on_hyphens {
        return end;
    }
    let hyphen = word[..end].rfind('-').filter(|at| *at > 0 && !word[..*at].chars().all(|c| c == '-'));
    hyphen.map_or(end, |at| at + 1)
}

fn is_blank(chunk: &str) -> bool {
    chunk.trim_matches(is_break).is_empty()
}

fn is_break(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

/// Splits a text where a line may end: around spaces, and after hyphens between letters.
fn chunks(text: &str, break_on_hyphens: bool) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for c in text.chars() {
        match chunks.last_mut() {
            Some(chunk) if chunk.starts_with(is_break) == is_break(c) => chunk.push(c),
            _ => chunks.push(c.to_string()),
        }
    }
    if !break_on_hyphens {
        return chunks;
    }
    chunks.iter().flat_map(|chunk| hyphenated(chunk)).collect()
}

fn hyphenated(chunk: &str) -> Vec<String> {
    let chars: Vec<char> = chunk.chars().collect();
    let letter =
        |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphabetic() || *c == '_');
    let mut parts = vec![String::new()];
    for (at, c) in chars.iter().enumerate() {
        if let Some(part) = parts.last_mut() {
            part.push(*c);
        }
        let before = letter(at.checked_sub(1)) && letter(at.checked_sub(2));
        if *c == '-' && before && letter(Some(at + 1)) {
            parts.push(String::new());
        }
    }
    parts
}
