//! The text of a template on its way to minijinja: line ends as Jinja reads them, Python's escapes in strings, and the
//! tags of transformers. Templates that would take a deep stack are refused here.

use minijinja::{Error, ErrorKind};

/// Bytes of a template. The largest published ones have some 30 kB.
const MAX_BYTES: usize = 1 << 20;
/// Tags of a template.
const MAX_TAGS: usize = 10_000;
/// Names, numbers, strings and signs within one tag, which bound the depth of its expressions.
const MAX_TOKENS: usize = 4_000;

/// Returns a template for minijinja that means what `text` means to transformers.
///
/// # Errors
/// Fails if the template is too large.
pub(super) fn prepare(text: &str) -> Result<String, Error> {
    if text.len() > MAX_BYTES {
        return Err(too_large(format!("the template is larger than {MAX_BYTES} bytes")));
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut prepared = String::with_capacity(text.len());
    let mut rest = text.as_str();
    let mut tags = 0;
    while let Some(at) = rest.find("{%").into_iter().chain(rest.find("{{")).chain(rest.find("{#")).min() {
        tags += 1;
        if tags > MAX_TAGS {
            return Err(too_large(format!("the template has more than {MAX_TAGS} tags")));
        }
        prepared.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("{#") {
            rest.find("#}").map_or(rest.len(), |end| end + 2)
        } else if let Some(end) = raw_block(rest) {
            end
        } else {
            let end = tag_end(rest)?;
            push_tag(&mut prepared, &rest[..end]);
            rest = &rest[end..];
            continue;
        };
        push_verbatim(&mut prepared, &rest[..end]);
        rest = &rest[end..];
    }
    prepared.push_str(rest);
    Ok(prepared)
}

fn too_large(problem: String) -> Error {
    Error::new(ErrorKind::SyntaxError, problem)
}

/// Copies a comment or a raw block. Jinja keeps the line end after `{% raw %}`, which minijinja drops without a `+`.
fn push_verbatim(prepared: &mut String, text: &str) {
    let keep = text.starts_with("{%").then(|| text.find("%}\n")).flatten();
    match keep.filter(|at| word(&text[..*at]) == "raw" && !text[..*at].ends_with(['-', '+'])) {
        Some(at) => prepared.extend([&text[..at], "+", &text[at..]]),
        None => prepared.push_str(text),
    }
}

/// Returns the first word of a tag that starts with `{%`.
fn word(tag: &str) -> &str {
    let inside = tag.get(2..).unwrap_or_default().trim_start_matches(['-', '+']).trim_start();
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
    &inside[..end]
}

/// Returns the end of a raw block if one starts here.
fn raw_block(text: &str) -> Option<usize> {
    let open = text.find("%}").filter(|_| text.starts_with("{%"))? + 2;
    let inside = text[2..open - 2].trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
    if inside != "raw" {
        return None;
    }
    let ends = text[open..].match_indices("{%").find(|(at, _)| word(&text[open + at..]) == "endraw");
    let Some((at, _)) = ends else { return Some(text.len()) };
    let start = open + at;
    Some(text[start..].find("%}").map_or(text.len(), |end| start + end + 2))
}

/// Returns where a tag ends that starts with `{{` or `{%`: outside of strings and, for `}}`, of brackets.
fn tag_end(text: &str) -> Result<usize, Error> {
    let close = if text.starts_with("{{") { "}}" } else { "%}" };
    let (mut tokens, mut open, mut at) = (0, 0_usize, 2);
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(close) && (close == "%}" || open == 0) {
            return Ok(at + 2);
        }
        tokens += usize::from(!c.is_whitespace());
        if tokens > MAX_TOKENS {
            return Err(too_large(format!(
                "a tag of the template has more than {MAX_TOKENS} names and signs"
            )));
        }
        at += match c {
            '\'' | '"' => string_end(&text[at..]),
            c if c.is_alphanumeric() || c == '_' => {
                text[at..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len() - at)
            }
            c => c.len_utf8(),
        };
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    Ok(text.len())
}

/// Returns the length of the string literal that starts `text`.
fn string_end(text: &str) -> usize {
    let quote = text.chars().next();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && Some(c) == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// Copies a tag. `generation` marks what the model said for training; like its body, a `with` block has its own scope.
fn push_tag(prepared: &mut String, tag: &str) {
    let mut rest = tag;
    let name = if tag.starts_with("{%") { word(tag) } else { "" };
    if let Some(replacement) = match name {
        "generation" => Some("with"),
        "endgeneration" => Some("endwith"),
        _ => None,
    } && let Some(at) = tag.find(name)
    {
        prepared.push_str(&tag[..at]);
        prepared.push_str(replacement);
        rest = &tag[at + name.len()..];
    }
    let mut follows_value = false;
    while let Some(at) = rest.find(['\'', '"']) {
        push_code(prepared, &rest[..at], follows_value);
        follows_value = true;
        let end = at + string_end(&rest[at..]);
        push_string(prepared, &rest[at..end]);
        rest = &rest[end..];
    }
    push_code(prepared, rest, follows_value);
}

/// Copies a part of a tag without strings. minijinja knows no sign `+`, so it becomes `--`, which means the same.
fn push_code(prepared: &mut String, code: &str, follows_value: bool) {
    for (at, c) in code.char_indices() {
        let controls_space = matches!(&code[..at], "{{" | "{%") || code[at..].starts_with("+%}");
        if c == '+' && !controls_space && is_sign(&code[..at], follows_value) {
            prepared.push_str("--");
        } else {
            prepared.push(c);
        }
    }
}

/// Returns whether a `+` after `before` is a sign and not an operator.
fn is_sign(before: &str, follows_value: bool) -> bool {
    const WORDS: [&str; 8] = ["and", "or", "not", "in", "is", "if", "elif", "else"];
    let before = before.trim_end();
    let rest = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
    match (&before[rest.len()..], rest.chars().next_back()) {
        ("", None) => !follows_value,
        ("", Some(last)) => !matches!(last, ')' | ']' | '}' | '.'),
        (word, last) => WORDS.contains(&word) && last != Some('.'),
    }
}

/// Copies a string literal with Python's escapes decoded, except for those that minijinja needs or refuses.
fn push_string(prepared: &mut String, literal: &str) {
    let mut rest = literal;
    while let Some(at) = rest.find('\\') {
        prepared.push_str(&rest[..at]);
        let escape = &rest[at..];
        let (decoded, len) = decode(escape);
        match decoded {
            Some(c @ ('\\' | '\'' | '"')) => prepared.extend(['\\', c]),
            // A line end would shift the lines that errors name.
            Some('\n') => prepared.push_str("\\n"),
            Some(c) => prepared.push(c),
            // Python keeps a backslash that starts no escape, and drops one at the end of a line.
            None if escape[1..].starts_with('\n') => {}
            None if len == 2 => {
                prepared.push_str("\\\\");
                prepared.push_str(&escape[1..escape.chars().take(2).map(char::len_utf8).sum()]);
            }
            None => prepared.push_str(&escape[..len]),
        }
        let taken = if len == 2 { escape.chars().take(2).map(char::len_utf8).sum() } else { len };
        rest = &escape[taken.min(escape.len())..];
    }
    prepared.push_str(rest);
}

/// Returns the character of an escape and the escape's length. A length of more than 2 without a character is an
/// escape that Python refuses too.
fn decode(escape: &str) -> (Option<char>, usize) {
    let digits = |from: usize, most: usize, radix: u32| {
        let digits = escape.get(from..).unwrap_or_default();
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len()).min(most);
        (u32::from_str_radix(&digits[..end], radix).ok(), end)
    };
    let simple = |c| (Some(c), 2);
    match escape.chars().nth(1) {
        Some('n') => simple('\n'),
        Some('t') => simple('\t'),
        Some('r') => simple('\r'),
        Some('a') => simple('\u{7}'),
        Some('b') => simple('\u{8}'),
        Some('f') => simple('\u{c}'),
        Some('v') => simple('\u{b}'),
        Some(c @ ('\\' | '\'' | '"')) => simple(c),
        Some('0'..='7') => {
            let (code, len) = digits(1, 3, 8);
            (code.and_then(char::from_u32), 1 + len)
        }
        Some(c @ ('x' | 'u' | 'U')) => {
            let most = match c {
                'x' => 2,
                'u' => 4,
                _ => 8,
            };
            let (code, len) = digits(2, most, 16);
            (code.filter(|_| len == most).and_then(char::from_u32), 2 + len.max(1))
        }
        _ => (None, 2),
    }
}
