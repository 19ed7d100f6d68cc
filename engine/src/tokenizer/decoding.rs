//! What a tokenizer's decoder makes of single tokens and of tokens in a row.

use serde_json::Value;

/// The properties of a `tokenizer.json`'s decoder that decide how its text may be cut.
#[derive(Clone, Debug)]
pub(super) struct Decoding {
    /// Tokens are spelled in GPT-2's table, a character for each byte.
    byte_level: bool,
    /// Tokens such as `<0x0A>` are bytes.
    byte_fallback: bool,
    /// Strings of a token's spelling, and the text that they stand for.
    replaced: Vec<(String, String)>,
    /// Later tokens may change the text of earlier ones.
    whole: bool,
}

impl Decoding {
    /// Reads the `decoder` of a `tokenizer.json`, whose texts may be cleaned up.
    pub(super) fn of(decoder: &Value, cleaned_up: bool) -> Self {
        let steps = decoder.get("decoders").and_then(Value::as_array);
        let steps = steps.map_or(std::slice::from_ref(decoder), Vec::as_slice);
        let kind = |step: &Value| step.get("type").and_then(Value::as_str).map(str::to_owned);
        let has = |name: &str| steps.iter().any(|step| kind(step).as_deref() == Some(name));
        let mut fused = false;
        let is_local = |step: &Value| match kind(step).as_deref() {
            None => step.is_null(),
            Some("Fuse" | "ByteLevel") => {
                fused = true;
                true
            }
            Some("Replace") => !fused && step.pointer("/pattern/String").is_some(),
            Some("Strip") => !fused || step.get("stop").and_then(Value::as_u64) == Some(0),
            Some("Metaspace" | "ByteFallback") => !fused,
            Some(_) => false,
        };
        Decoding {
            replaced: steps.iter().filter_map(replacement).collect(),
            whole: cleaned_up || !steps.iter().all(is_local),
            byte_level: has("ByteLevel"),
            byte_fallback: has("ByteFallback"),
        }
    }

    /// Returns true if the text of tokens is certain only once all of them are there.
    pub(super) fn needs_all(&self) -> bool {
        self.whole
    }

    /// Returns true if `token` is a byte. Bytes in a row are decoded as a whole: if they are not UTF-8, none is.
    pub(super) fn is_byte(&self, token: &str) -> bool {
        self.byte(token).is_some()
    }

    fn byte(&self, token: &str) -> Option<u8> {
        let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        digits
            .filter(|hex| self.byte_fallback && hex.len() == 2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
    }

    /// Returns the bytes that a token of this spelling adds to a text, wherever it stands after the first one.
    pub(super) fn bytes(&self, token: &str) -> Vec<u8> {
        if let Some(byte) = self.byte(token) {
            return vec![byte];
        }
        if self.byte_level
            && let Some(bytes) = token.chars().map(byte_of).collect()
        {
            return bytes;
        }
        let text = self.replaced.iter().fold(token.to_owned(), |text, (from, to)| text.replace(from, to));
        text.into_bytes()
    }

    /// Returns the spelling by which the decoder gives the text of the added token `content`, if that is not its own.
    ///
    /// Added tokens are found in the text itself, so they are spelled in characters. The decoder takes a token like `café`
    /// for bytes, because its characters are in GPT-2's table (<https://github.com/huggingface/tokenizers/issues/1392>).
    pub(super) fn respell(&self, content: &str) -> Option<String> {
        let is_misread = self.byte_level && !content.is_ascii() && content.chars().all(is_in_table);
        is_misread.then(|| content.bytes().map(spelled).collect())
    }
}

/// Returns the strings that one step of a decoder exchanges in every token.
fn replacement(step: &Value) -> Option<(String, String)> {
    let text = |pointer: &str| step.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    match step.get("type").and_then(Value::as_str)? {
        "Replace" => Some((text("/pattern/String")?, text("/content")?)),
        "Metaspace" => Some((text("/replacement").unwrap_or("\u{2581}".to_owned()), " ".to_owned())),
        _ => None,
    }
}

/// Removes spaces before punctuation, as transformers' `clean_up_tokenization` does.
pub(super) fn clean_up(text: String) -> String {
    const PAIRS: [(&str, &str); 10] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    PAIRS.into_iter().fold(text, |text, (from, to)| text.replace(from, to))
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// Returns true if GPT-2's table has `c`. Bytes that are not printable in Latin-1 follow from U+0100 on.
fn is_in_table(c: char) -> bool {
    u8::try_from(c).map_or(matches!(c, '\u{100}'..='\u{143}'), is_printable)
}

/// Returns the byte that `c` stands for in GPT-2's table.
fn byte_of(c: char) -> Option<u8> {
    match u8::try_from(c) {
        Ok(byte) => is_printable(byte).then_some(byte),
        Err(_) => (0..=u8::MAX).filter(|byte| !is_printable(*byte)).nth((c as usize).checked_sub(0x100)?),
    }
}

/// Returns the character of `byte` in GPT-2's table.
fn spelled(byte: u8) -> char {
    let others = (0..byte).filter(|other| !is_printable(*other)).count() as u32;
    let code = if is_printable(byte) { u32::from(byte) } else { 0x100 + others };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}
