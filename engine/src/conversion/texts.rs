//! Texts on which tokenizers are likely to differ.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::error::Result;
use crate::tokenizer::Tokenizer;

/// Scripts, composed and decomposed characters, digits, marks, and every kind of space.
const SAMPLES: [&str; 28] = [
    " ",
    "  ",
    "\n",
    "\r\n\n",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "▁",
    "Once upon a time",
    "Don't they'LL",
    "UPPER lower",
    "1234567890",
    "3.14e-10",
    "naïve café",
    "cafe\u{301}",
    "Ελλάδα",
    "Привет, мир",
    "日本語の文",
    "한국어",
    "\u{1112}\u{1161}\u{11ab}",
    "العربية",
    "हिन्दी में",
    "ไทย",
    "👩‍🚀🦀",
    "ﬁ½²",
    "fn main() { x += 1; }",
    "<b>&amp;</b>",
    "?!…",
];

/// Returns `count` texts, always the same ones for a tokenizer. They consist of samples, of tokens, and of
/// special tokens at all sorts of neighbours.
pub(super) fn texts(tokenizer: &Tokenizer, count: usize) -> Result<Vec<String>> {
    const MOST_PIECES: usize = 8;
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut below = move |bound: usize| (random.next_u64() % bound.max(1) as u64) as usize;
    let specials = specials(tokenizer)?;
    let mut piece = || match below(4) {
        0 if !specials.is_empty() => Ok(specials[below(specials.len())].clone()),
        1 => tokenizer.decode(&[below(tokenizer.vocab_size()) as u32], false),
        2 => Ok(" ".to_owned()),
        _ => Ok(SAMPLES[below(SAMPLES.len())].to_owned()),
    };
    (0..count).map(|i| (0..=i % MOST_PIECES).map(|_| piece()).collect()).collect()
}

/// Returns the spellings of the special tokens.
fn specials(tokenizer: &Tokenizer) -> Result<Vec<String>> {
    let mut specials = Vec::new();
    for id in 0..tokenizer.vocab_size() as u32 {
        if let Some(token) = tokenizer.token_str(id)
            && tokenizer.decode(&[id], true)?.is_empty()
        {
            specials.push(token);
        }
    }
    Ok(specials)
}
