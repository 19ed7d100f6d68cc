//! SentencePiece's precompiled map of characters: the length of a trie, the trie, and texts that end
//! with 0.

/// Bytes of the longest text in the map `charsmap`, which is in base64.
pub(super) fn longest_text(charsmap: &str) -> Result<usize, &'static str> {
    let bytes = decode(charsmap).ok_or("is not base64")?;
    let (length, rest) = bytes.split_first_chunk().ok_or("is empty")?;
    let length = u32::from_le_bytes(*length) as usize / 4 * 4;
    let texts = rest.get(length..).ok_or("is truncated")?;
    if length == 0 {
        return Err("has no trie");
    }
    Ok(texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or(0))
}

fn decode(base64: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for digit in base64.trim_end_matches('=').bytes() {
        let value = DIGITS.iter().position(|other| *other == digit)?;
        (bits, count) = (bits << 6 | value as u32, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_is_found_and_damage_is_named() {
        // A trie of one word, and the texts "ab" and "c".
        assert_eq!(
            decode("BAAAAAAAAABhYgBjAA=="),
            Some([4, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', 0, b'c', 0].into())
        );
        assert_eq!(longest_text("BAAAAAAAAABhYgBjAA=="), Ok(2));
        assert_eq!(longest_text(""), Err("is empty"));
        assert_eq!(longest_text("!"), Err("is not base64"));
        assert_eq!(longest_text("AAAAAA=="), Err("has no trie"));
        assert_eq!(longest_text("/////w=="), Err("is truncated"));
    }
}
