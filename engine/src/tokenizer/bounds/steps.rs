//! The steps of normalizers, pre-tokenizers, post-processors and decoders, and how much a text grows
//! in them.

use serde_json::Value;

use super::{Excess, precompiled};

/// Most steps of one part. Each step reads the whole text.
const STEPS: usize = 64;
/// Most sequences around a step. They are read by recursion.
const DEPTH: usize = 8;
/// Most patterns of one part, bytes of all of them, and bytes of one after it is compiled.
const PATTERNS: usize = 16;
const PATTERN_BYTES: usize = 1 << 13;
const COMPILED: usize = 1 << 20;
/// Most copies of a text, and most special tokens, that a post-processor may give.
const COPIES: usize = 16;
const SPECIALS: usize = 1 << 12;

/// Checks the steps of `part`, which the file calls `field`. Returns the largest length of a text after
/// them, for each byte of its length before.
pub(super) fn growth(field: &str, part: &Option<Value>) -> Result<f64, Excess> {
    let (mut growth, mut patterns) = (1.0, Vec::new());
    for step in steps(field, part)? {
        let factor = factor(step, &mut patterns);
        growth *= factor.map_err(|problem| (field.to_owned(), format!("{}: {problem}", name(step))))?;
    }
    check_patterns(&patterns).map_err(|problem| (field.to_owned(), problem))?;
    Ok(growth)
}

/// Returns the steps of `part` without the sequences around them.
pub(super) fn steps<'a>(field: &str, part: &'a Option<Value>) -> Result<Vec<&'a Value>, Excess> {
    const LISTS: [&str; 4] = ["normalizers", "pretokenizers", "processors", "decoders"];
    let mut open: Vec<(&Value, usize)> = part.iter().map(|part| (part, 0)).collect();
    let (mut found, mut visited) = (Vec::new(), 0);
    while let Some((step, depth)) = open.pop() {
        visited += 1;
        match LISTS.iter().find_map(|list| step.get(list)?.as_array()) {
            Some(list) => open.extend(list.iter().map(|step| (step, depth + 1))),
            None => found.push(step),
        }
        if visited > STEPS || depth > DEPTH {
            return Err((field.to_owned(), format!("has more than {STEPS} steps, or {DEPTH} levels")));
        }
    }
    Ok(found)
}

pub(super) fn name(step: &Value) -> &str {
    text(step, "type").unwrap_or("a step")
}

fn text<'a>(step: &'a Value, field: &str) -> Option<&'a str> {
    step.get(field)?.as_str()
}

/// Returns how much a text can grow in `step`, and adds its pattern to `patterns`. Steps are known by
/// their fields, since a file may leave out their types.
fn factor<'a>(step: &'a Value, patterns: &mut Vec<&'a str>) -> Result<f64, String> {
    if let Some(prefix) = text(step, "prepend") {
        return Ok(1.0 + prefix.len() as f64);
    }
    if let Some(charsmap) = text(step, "precompiled_charsmap") {
        let longest = precompiled::longest_text(charsmap);
        return longest.map(|longest| longest.max(1) as f64).map_err(|e| format!("precompiled_charsmap {e}"));
    }
    if let Some(pattern) = step.get("pattern") {
        return pattern_factor(pattern, text(step, "content"), patterns);
    }
    if step.get("length").and_then(Value::as_u64) == Some(0) {
        return Err("length is 0".to_owned());
    }
    if let Some(replacement) = text(step, "replacement") {
        // Each space becomes the replacement, and each piece may begin with another one.
        return Ok((replacement.len() * (1 + replacement.len())) as f64);
    }
    // An empty text is found between all characters.
    let replaced = ["suffix", "pad_token", "word_delimiter_token"];
    if replaced.iter().any(|field| text(step, field) == Some("")) {
        return Ok(3.0);
    }
    Ok(match name(step) {
        "NFKC" | "NFKD" => 12.0,
        "BertNormalizer" => 8.0,
        "NFC" | "NFD" => 4.0,
        "ByteLevel" => 3.0,
        "Lowercase" | "WordPiece" => 2.0,
        _ => 1.0,
    })
}

fn pattern_factor<'a>(
    pattern: &'a Value,
    content: Option<&str>,
    patterns: &mut Vec<&'a str>,
) -> Result<f64, String> {
    let added = content.map_or(0, str::len) as f64;
    match (text(pattern, "Regex"), text(pattern, "String")) {
        (Some(regex), _) => {
            patterns.push(regex);
            // It may match before and after each byte.
            Ok(1.0 + 2.0 * added)
        }
        (None, Some("")) if content.is_some() => Err("pattern is empty".to_owned()),
        (None, Some(searched)) => Ok((added / searched.len().max(1) as f64).max(1.0)),
        (None, None) => Ok(1.0),
    }
}

/// Compiles the patterns with a limit on their size, which `tokenizers` does not set.
fn check_patterns(patterns: &[&str]) -> Result<(), String> {
    let bytes: usize = patterns.iter().map(|pattern| pattern.len()).sum();
    if patterns.len() > PATTERNS || bytes > PATTERN_BYTES {
        return Err(format!("more than {PATTERNS} patterns or {PATTERN_BYTES} bytes of patterns"));
    }
    for pattern in patterns {
        let compiled = fancy_regex::RegexBuilder::new(pattern).delegate_size_limit(COMPILED).build();
        compiled.map_err(|e| format!("pattern {pattern:?}: {e}"))?;
    }
    Ok(())
}

/// Checks that a post-processor names special tokens that it has, and gives a text only a few times.
pub(super) fn check_post_processor(part: &Option<Value>) -> Result<(), Excess> {
    const FIELD: &str = "post_processor";
    let (mut copies, mut specials) = (1, 0);
    for step in steps(FIELD, part)? {
        let failed = |problem: String| Err((FIELD.to_owned(), format!("{}: {problem}", name(step))));
        let Some(pieces) = step.get("single").and_then(Value::as_array) else { continue };
        let mut texts = 0;
        for piece in pieces {
            if let Some(id) = piece.pointer("/SpecialToken/id").and_then(Value::as_str) {
                let Some(token) = step.get("special_tokens").and_then(|tokens| tokens.get(id)) else {
                    return failed(format!("{id:?} is not among the special tokens"));
                };
                specials += token.get("ids").and_then(Value::as_array).map_or(0, Vec::len);
            } else {
                texts += 1;
            }
            if piece.pointer("/Sequence/id").and_then(Value::as_str) == Some("B") {
                return failed("a single text has no part B".to_owned());
            }
        }
        copies *= texts;
        if copies > COPIES || specials * copies.max(1) > SPECIALS {
            return failed(format!("gives a text {copies} times, with {specials} special tokens"));
        }
    }
    Ok(())
}
