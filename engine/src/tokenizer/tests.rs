use super::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const TINY: &[u8] = include_bytes!("../../../tests/fixtures/bitnet-tiny/tokenizer.json");
const BOS: u32 = 256;
const EOT: u32 = 258;

/// Returns a byte-level tokenizer without merges: token ids below 256 are the bytes in some order.
fn tiny() -> Tokenizer {
    parse(TINY.to_vec(), 320).unwrap()
}

fn parse(json: Vec<u8>, vocab_size: usize) -> Result<Tokenizer> {
    Tokenizer::parse(&TokenizerSource::alone(json, "tokenizer.json"), vocab_size)
}

/// Returns a tokenizer like SentencePiece's: words start with `▁`, and all else is bytes.
fn byte_fallback() -> Tokenizer {
    with_decoder(serde_json::json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}))
}

fn with_decoder(decoder: serde_json::Value) -> Tokenizer {
    let mut vocab = serde_json::Map::new();
    for byte in 0..256 {
        vocab.insert(format!("<0x{byte:02X}>"), byte.into());
    }
    for word in ["▁", "a", "b", "▁ab", "▁ba"] {
        vocab.insert(word.into(), vocab.len().into());
    }
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "post_processor": null,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": null,
        "decoder": decoder,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": []},
    });
    parse(json.to_string().into_bytes(), 1000).unwrap()
}

fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> (Vec<String>, String) {
    let mut stream = tokenizer.stream(false);
    let pieces = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    (pieces, stream.finish().unwrap())
}

const TEXTS: [&str; 5] = [
    "Once upon a time",
    "naïve café — “quotes”",
    "日本語のテキスト、中文字符和한국어",
    "🦀👩‍👩‍👧‍👦🇪🇺 mixed 🎉🎉 text",
    "ba ab  \n\n  ab\u{FFFD} ba 𝔘𝔫𝔦 ba ab ab ab ab ab ba ba ab ba ab ba ab ba ba 🦀🦀🦀🦀🦀🦀 ab",
];

#[test]
fn a_framed_text_begins_with_bos() {
    let tokenizer = tiny();
    let plain = tokenizer.encode("hé", false).unwrap();
    assert_eq!(plain.len(), 3);
    assert_eq!(tokenizer.encode("hé", true).unwrap(), [&[BOS], &plain[..]].concat());
    assert_eq!(tokenizer.encode("", true).unwrap(), [BOS]);
    assert!(tokenizer.encode("", false).unwrap().is_empty());
}

#[test]
fn special_tokens_in_a_rendered_template_are_tokens() {
    let tokenizer = tiny();
    let ids = tokenizer.encode("<|begin_of_text|>a<|eot_id|>", false).unwrap();
    assert_eq!((ids[0], ids[2], ids.len()), (BOS, EOT, 3));
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "<|begin_of_text|>a<|eot_id|>");
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "a");
    assert_eq!(tokenizer.id_of("<|eot_id|>"), Some(EOT));
    assert_eq!(tokenizer.token_str(EOT).as_deref(), Some("<|eot_id|>"));
    assert_eq!((tokenizer.token_str(300), tokenizer.vocab_size()), (None, 259));
}

/// The expected ids come from transformers.
#[test]
fn the_fairy_tales_prompts_have_their_published_ids() {
    let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/fairy-tales");
    let json = std::fs::read(model.join("tokenizer.json")).unwrap();
    let golden = std::fs::read(model.join("golden.safetensors")).unwrap();
    let golden = ::safetensors::SafeTensors::deserialize(&golden).unwrap();
    let published = |key: &str| -> Vec<u32> {
        let data = golden.tensor(key).unwrap().data();
        data.as_chunks().0.iter().map(|id| i64::from_le_bytes(*id) as u32).collect()
    };

    let tokenizer = parse(json, 4096).unwrap();
    let cases = [
        (
            "0",
            "Once upon a time",
            ", there was a little girl named Lily. She loved to play outside in the sun.",
        ),
        ("1", "One day, a little girl named Lily", " went to the park with her mom. Lily was very happy."),
        (
            "2",
            "There was once a king who had a daughter",
            " who had a daughter who had a daughter and a daughter",
        ),
    ];
    for (number, prompt, continuation) in cases {
        let ids = published(&format!("{number}.ids"));
        assert_eq!(tokenizer.encode(prompt, true).unwrap(), ids);
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), prompt);
        let text = tokenizer.decode(&published(&format!("{number}.greedy")), true).unwrap();
        assert!(text.starts_with(continuation), "{text}");
    }
}

#[test]
fn a_stream_gives_whole_characters_as_soon_as_they_are_whole() {
    let tokenizer = tiny();
    for text in TEXTS {
        let ids = tokenizer.encode(text, false).unwrap();
        assert_eq!(ids.len(), text.len(), "one token per byte");
        let (pieces, rest) = streamed(&tokenizer, &ids);
        let characters: Vec<String> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        if !text.contains('\u{FFFD}') {
            assert!(rest.is_empty());
            assert_eq!(characters, text.chars().map(String::from).collect::<Vec<_>>());
        }
        assert_eq!(characters.concat() + &rest, text);
    }
}

#[test]
fn a_stream_with_byte_fallback_and_stripped_spaces_gives_the_same_text() {
    let tokenizer = byte_fallback();
    for text in TEXTS {
        let ids = tokenizer.encode(&format!(" {text}"), false).unwrap();
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        let (pieces, rest) = streamed(&tokenizer, &ids);
        assert!(
            text.contains('\u{FFFD}') || pieces.iter().all(|piece| !piece.contains('\u{FFFD}')),
            "{pieces:?}"
        );
        assert_eq!(pieces.concat() + &rest, text);
    }
}

#[test]
fn a_stream_of_any_bytes_is_the_text_of_all_of_them() {
    let tokenizer = tiny();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..200 {
        let bytes: Vec<u32> = (0..100)
            .map(|_| match rng.next_u32() % 4 {
                0 => rng.next_u32() % 320,
                1 => byte_token(&tokenizer, 0xF0),
                2 => byte_token(&tokenizer, 0x80 + (rng.next_u32() % 64) as u8),
                _ => byte_token(&tokenizer, b'a'),
            })
            .collect();
        let (pieces, rest) = streamed(&tokenizer, &bytes);
        assert_eq!(pieces.concat() + &rest, tokenizer.decode(&bytes, false).unwrap());
    }
}

/// Returns tokenizers with decoders of every kind, over words and the bytes `<0x00>` to `<0xFF>`.
fn decoders() -> Vec<Tokenizer> {
    let replace = serde_json::json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "});
    let [bytes, fuse] = ["ByteFallback", "Fuse"].map(|kind| serde_json::json!({"type": kind}));
    let strip =
        |start, stop| serde_json::json!({"type": "Strip", "content": " ", "start": start, "stop": stop});
    let sequence = |steps: &[&serde_json::Value]| serde_json::json!({"type": "Sequence", "decoders": steps});
    let metaspace = |scheme| serde_json::json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true});
    [
        sequence(&[&replace, &bytes, &fuse, &strip(1, 0)]),
        sequence(&[&replace, &bytes, &fuse, &strip(2, 0)]),
        sequence(&[
            &fuse,
            &serde_json::json!({"type": "Replace", "pattern": {"Regex": "a+ *b"}, "content": "x"}),
        ]),
        sequence(&[&bytes, &metaspace("first")]),
        metaspace("always"),
        metaspace("never"),
        serde_json::json!({"type": "BPEDecoder", "suffix": "b"}),
        serde_json::json!({"type": "WordPiece", "prefix": "▁", "cleanup": true}),
        serde_json::json!({"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": true}),
        serde_json::Value::Null,
    ]
    .into_iter()
    .map(with_decoder)
    .collect()
}

#[test]
fn a_stream_of_any_tokens_is_the_text_of_all_of_them() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for (kind, tokenizer) in decoders().iter().chain([&tiny()]).enumerate() {
        for round in 0..300 {
            let count = 1 + rng.next_u32() as usize % 60;
            let ids: Vec<u32> = (0..count)
                .map(|_| match round % 3 {
                    0 => rng.next_u32() % 320,
                    1 => 250 + rng.next_u32() % 12,
                    _ => [0xE2, 0x82, 0xAC, 0x61, 256, 257, 259][rng.next_u32() as usize % 7],
                })
                .collect();
            let whole = tokenizer.decode(&ids, true).unwrap();
            let mut stream = tokenizer.stream(true);
            let pieces: String = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
            assert_eq!(pieces + &stream.finish().unwrap(), whole, "decoder {kind}: {ids:?}");
        }
    }
}

#[test]
fn a_stream_after_a_prompt_has_the_rest_of_the_text() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for (kind, tokenizer) in decoders().iter().chain([&tiny()]).enumerate() {
        for _ in 0..300 {
            let mut ids = |most: u32| -> Vec<u32> {
                let count = rng.next_u32() % most;
                (0..count)
                    .map(|_| if rng.next_u32().is_multiple_of(9) { 0x61 } else { 256 + rng.next_u32() % 5 })
                    .collect()
            };
            let (prompt, new) = (ids(40), ids(30));
            let whole = tokenizer.decode(&[&prompt[..], &new].concat(), true).unwrap();
            let before = tokenizer.decode(&prompt, true).unwrap();
            // Decoders that change the end of a text change the prompt's too. A character that the prompt begins is the
            // stream's.
            let Some(expected) = whole.strip_prefix(&before) else { continue };
            if before.ends_with('\u{FFFD}') {
                continue;
            }
            let mut stream = tokenizer.stream_after(&prompt, true).unwrap();
            let pieces: String = new.iter().map(|&id| stream.push(id).unwrap()).collect();
            assert_eq!(pieces + &stream.finish().unwrap(), expected, "decoder {kind}: {prompt:?}, {new:?}");
        }
    }
}

#[test]
fn added_tokens_in_latin_letters_keep_their_text() {
    let mut json: serde_json::Value = serde_json::from_slice(TINY).unwrap();
    for (id, content) in (259..).zip(["café", "Ġx", "đem", "ﬁ日"]) {
        let token = serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": false});
        json["added_tokens"].as_array_mut().unwrap().push(token);
    }
    let tokenizer = parse(json.to_string().into_bytes(), 320).unwrap();
    let text = "un café, Ġx đemé ﬁ日";
    let ids = tokenizer.encode(text, false).unwrap();
    assert!((259..263).all(|id| ids.contains(&id)), "{ids:?}");
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    let (pieces, rest) = streamed(&tokenizer, &ids);
    assert_eq!(pieces.concat() + &rest, text);
}

fn byte_token(tokenizer: &Tokenizer, byte: u8) -> u32 {
    (0..256).find(|&id| byte_of(&tokenizer.token_str(id).unwrap()) == Some(byte)).unwrap()
}

/// Decodes GPT-2's table: printable Latin-1 is itself, and the n-th other byte is U+0100 + n.
fn byte_of(token: &str) -> Option<u8> {
    let printable = |b: &u8| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut characters = token.chars();
    let (Some(c), None) = (characters.next(), characters.next()) else { return None };
    match c as u32 {
        code @ 0..0x100 => Some(code as u8),
        code => (0..=255).filter(|b| !printable(b)).nth(code as usize - 0x100),
    }
}

#[test]
fn the_window_stays_small_for_any_tokens() {
    let tokenizer = tiny();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for kind in 0..4 {
        let mut stream = tokenizer.stream(true);
        for _ in 0..3000 {
            let id = match kind {
                0 => 0xFF,
                1 => 0xE2,
                2 => 0x80 + rng.next_u32() % 64,
                _ => rng.next_u32() % 320,
            };
            stream.push(id).unwrap();
            assert!(stream.window_len() <= 16);
        }
    }
}

#[test]
fn malformed_files_are_named() {
    let json = String::from_utf8(TINY.to_vec()).unwrap();
    for bytes in ["", "{}", "[1]", &json[..json.len() / 2], &json.replace("\"BPE\"", "\"XYZ\"")] {
        let error = parse(bytes.as_bytes().to_vec(), 320).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().starts_with("tokenizer.json: "), "{error}");
    }
    let small = parse(TINY.to_vec(), 257).unwrap();
    let message = small.encode("<|eot_id|>", true).unwrap_err().to_string();
    assert!(message.contains("token 258 is outside the model's vocabulary of 257"), "{message}");
}

#[test]
fn mutated_files_never_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..2000 {
        let mut bytes = TINY.to_vec();
        let at = rng.next_u64() as usize % bytes.len();
        bytes[at] = b"0123456789-{}[]\",:ntfa"[rng.next_u32() as usize % 22];
        use_as_tokenizer(&bytes);
    }
}

#[test]
fn a_decoder_with_invalid_json_is_an_error() {
    let json = String::from_utf8(TINY.to_vec()).unwrap();
    let at = json.find("\"decoder\": {").unwrap() + "\"decoder\": {".len();
    for junk in ["\"x\": 1e999, ", "\"x\": \"\\ud800\", ", "1: 2, "] {
        let broken = [&json[..at], junk, &json[at..]].concat();
        assert!(parse(broken.into_bytes(), 320).is_err());
    }
}

/// Runs the body of the fuzz target, which no bytes may make panic.
fn use_as_tokenizer(bytes: &[u8]) {
    if let Ok(tokenizer) = parse(bytes.to_vec(), 320) {
        let ids = tokenizer.encode("Hé <|eot_id|>🦀", true).unwrap_or_default();
        let _ = tokenizer.decode(&ids, false);
    }
}

#[test]
fn the_bytes_of_tokens_join_to_their_text() {
    let metaspace = serde_json::json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true});
    for tokenizer in [tiny(), byte_fallback(), with_decoder(metaspace)] {
        for text in TEXTS {
            let ids = tokenizer.encode(text, false).unwrap();
            let spelling = |id: &u32| tokenizer.decoding.bytes(&tokenizer.token_str(*id).unwrap());
            let bytes: Vec<u8> = ids.iter().flat_map(spelling).collect();
            // The decoder of the crate decides. It may leave out a space at the start.
            let decoded = tokenizer.decode(&ids, false).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap().trim_start(), decoded.trim_start(), "{text:?}");
        }
    }
}

#[test]
fn no_text_has_fewer_tokens_than_its_length_tells() {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures")).unwrap();
    let files =
        folders.filter_map(|folder| std::fs::read(folder.unwrap().path().join("tokenizer.json")).ok());
    let mut tokenizers: Vec<Tokenizer> = files.map(|json| parse(json, 1 << 20).unwrap()).collect();
    tokenizers.push(byte_fallback());
    #[cfg(feature = "embedded")]
    tokenizers.push(Tokenizer::load(&crate::fairy_tales(), 1 << 20).unwrap());
    let mut bounded = 0;
    for tokenizer in tokenizers {
        let texts = TEXTS.map(|text| text.repeat(20)).into_iter();
        let more =
            [" ".repeat(5000), "\n".repeat(5000), "=".repeat(5000), "각\u{1100}\u{1161}\u{11A8}".repeat(999)];
        for text in texts.chain(more) {
            let (fewest, found) =
                (tokenizer.fewest_tokens(text.len()), tokenizer.encode(&text, false).unwrap());
            assert!(fewest <= found.len(), "{text:?}: {fewest} against {}", found.len());
            bounded += usize::from(fewest > 0);
        }
    }
    assert!(bounded > 0);
}

#[test]
fn a_text_may_vanish_in_some_tokenizers() {
    let with = |field: &str, step: serde_json::Value| {
        let mut json: serde_json::Value = serde_json::from_slice(TINY).unwrap();
        *json.pointer_mut(field).unwrap() = step;
        parse(json.to_string().into_bytes(), 320).unwrap().fewest_tokens(1 << 20)
    };
    let byte_level =
        serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true});
    let before = |step: serde_json::Value| serde_json::json!({"type": "Sequence", "pretokenizers": [step, byte_level]});
    assert!(with("/pre_tokenizer", byte_level.clone()) > 0);
    let split = |behavior: &str| {
        let pattern = serde_json::json!({"String": " "});
        serde_json::json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": false})
    };
    assert!(with("/pre_tokenizer", before(split("Isolated"))) > 0);
    assert_eq!(with("/pre_tokenizer", before(split("Removed"))), 0);
    assert_eq!(with("/pre_tokenizer", before(serde_json::json!({"type": "WhitespaceSplit"}))), 0);
    assert_eq!(
        with("/normalizer", serde_json::json!({"type": "Strip", "strip_left": true, "strip_right": true})),
        0
    );
}
