//! The bodies of the fuzz targets: properties that hold for any input. `tests/fuzz.rs` runs them
//! briefly.
#![allow(unreachable_pub, reason = "each fuzz target runs one body")]

#[cfg(feature = "cli")]
mod request;

use std::sync::LazyLock;

use safetensors::SafeTensors;
use tercet::codegen::{KernelSpec, emit};
use tercet::formats::{Checkpoint, GgufFile, Table, TensorFile, shard_index};
use tercet::formats::{Config, GenerationDefaults, ModelFiles, TemplateSource, TokenizerSource};
use tercet::{ChatInput, ChatTemplate, Error, Grammar, Matcher, Message, Next, PackedCache, Tokenizer};

#[cfg(feature = "cli")]
pub use request::request;

const TINY_CONFIG: &[u8] = include_bytes!("../fixtures/bitnet-tiny/config.json");

/// If a file opens, the `safetensors` crate accepts it too, and both read the same tensors.
pub fn safetensors(data: &[u8]) {
    let file = match TensorFile::open(data.to_vec().into(), "fuzz.safetensors") {
        Ok(file) => file,
        Err(error) => return assert_readable(&error),
    };
    let peer = SafeTensors::deserialize(data).expect("the `safetensors` crate accepts the file too");
    assert_eq!(file.names().len(), peer.len());
    for name in file.names() {
        let tensor = peer.tensor(&name).expect("the `safetensors` crate has the tensor too");
        let shape = tensor.shape();
        let elements = shape.iter().product::<usize>();
        if let Ok(bytes) = file.u8(&name, shape) {
            assert_eq!(bytes, tensor.data());
        }
        if let Ok(floats) = file.floats(&name, shape) {
            assert_eq!(floats.to_vec().len(), elements);
            let stored = file.stored_floats(&name, shape).expect("the same tensor");
            assert_eq!(stored.bytes(), tensor.data().len());
        }
        if let Ok(values) = file.vector(&name, elements) {
            assert!(values.iter().all(|value| value.is_finite()));
        }
        if let Ok(scale) = file.scale(&name) {
            assert!(scale > 0.0 && scale.is_finite());
        }
        assert_readable(&file.u8(&name, &[1, 2, 3, 4, 5]).expect_err("no tensor has five dimensions"));
    }
}

/// If an index is accepted, it lists every tensor, and every file is in the same directory as the index.
pub fn index(data: &[u8]) {
    let files = match shard_index(data, "fuzz.index.json") {
        Ok(files) => files,
        Err(error) => return assert_readable(&error),
    };
    let peer: serde_json::Value = serde_json::from_slice(data).expect("accepted input is JSON");
    assert_eq!(peer["weight_map"].as_object().map(serde_json::Map::len), Some(files.len()));
    for (tensor, file) in &files {
        assert_eq!(peer["weight_map"][tensor], **file);
        let path = std::path::Path::new(file);
        assert!(path.file_name() == Some(path.as_os_str()) && file.ends_with(".safetensors"), "{file:?}");
    }
}

/// If a file opens, its tensors have the values of their types, and its metadata describe a model
/// or are refused.
pub fn gguf(data: &[u8]) {
    let file = match GgufFile::open(data.to_vec().into(), "fuzz.gguf") {
        Ok(file) => file,
        Err(error) => return assert_readable(&error),
    };
    for name in file.names() {
        match *file.shape(name).expect("the file lists this name") {
            [n, k] => {
                if let Ok(Table::Floats(floats)) = file.table(name, n, k) {
                    assert_eq!(floats.get().to_vec().len(), n * k);
                }
                if let Ok(matrix) = file.ternary(name, n, k) {
                    assert_eq!(matrix.trits.len(), n * k);
                    assert!(matrix.trits.iter().all(|trit| (-1..=1).contains(trit)));
                }
            }
            [len] => {
                if let Ok(values) = file.vector(name, len) {
                    assert!(values.len() == len && values.iter().all(|value| value.is_finite()));
                }
            }
            _ => {}
        }
    }
    let files = ModelFiles::in_gguf("fuzz".to_owned(), file);
    for outcome in [
        Config::load(&files).map(drop).map_err(Error::from),
        Tokenizer::load(&files, 1 << 20).and_then(|tokenizer| tokenizer.encode("the king", true)).map(drop),
        ChatTemplate::load(&files).map(drop).map_err(Error::from),
    ] {
        outcome.unwrap_or_else(|error| assert_readable(&error));
    }
}

/// If a configuration parses, its fields are valid for a model.
pub fn config(data: &[u8]) {
    let config = Config::parse(data, "config.json");
    match &config {
        Err(error) => assert_readable(error),
        Ok(config) => {
            assert!(config.heads.is_multiple_of(config.kv_heads) && config.head_dim.is_multiple_of(2));
            assert!(
                config.vocab_size > 0
                    && config.hidden_size > 0
                    && config.layers > 0
                    && config.max_positions > 0
            );
            assert!(config.rope.theta > 0.0 && config.rms_norm_eps > 0.0);
            assert!(
                config
                    .eos_token_ids
                    .iter()
                    .chain(&config.bos_token_id)
                    .all(|&id| (id as usize) < config.vocab_size)
            );
        }
    }
    let config =
        config.unwrap_or_else(|_| Config::parse(TINY_CONFIG, "config.json").expect("the fixture is valid"));
    match GenerationDefaults::parse(data, "generation_config.json", &config) {
        Err(error) => assert_readable(&error),
        Ok(defaults) => {
            assert!(defaults.eos_token_ids.iter().all(|&id| (id as usize) < config.vocab_size));
            assert!(defaults.top_p.is_none_or(|p| p > 0.0 && p <= 1.0));
            assert!(defaults.temperature.is_none_or(|t| t >= 0.0 && t.is_finite()));
        }
    }
}

/// If a tokenizer parses, it cuts a text into tokens and gives their text, or says why not.
pub fn tokenizer(data: &[u8]) {
    const IDS: u32 = 16;
    tercet::hide_caught_panics();
    let run = || -> Result<(), Error> {
        let tokenizer = Tokenizer::parse(&TokenizerSource::alone(data.to_vec(), "fuzz.json"), 1 << 20)?;
        let mut ids = tokenizer.encode("the  king é▁12345<|eot_id|> ", true)?;
        ids.extend(0..IDS);
        tokenizer.decode(&ids, false)?;
        let mut stream = tokenizer.stream(true);
        for id in ids {
            stream.push(id)?;
        }
        stream.finish().map(drop)
    };
    run().unwrap_or_else(|error| assert_readable(&error));
}

/// A template and, after a byte of zero, its input as JSON: if it renders, it does so again to the same text.
pub fn chat(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (template, input) = text.split_once('\0').unwrap_or((&text, ""));
    let input: ChatInput = serde_json::from_str(input)
        .unwrap_or_else(|_| ChatInput::question(&[Message::new("user", "Tell me about the sea")]));
    let special_tokens = vec![("bos_token".to_owned(), "<s>".to_owned())];
    let source = TemplateSource { special_tokens, ..TemplateSource::alone(template, "fuzz.jinja") };
    let template = match ChatTemplate::compile(source) {
        Ok(template) => template,
        Err(error) => return assert_readable(&error),
    };
    match template.render(&input) {
        Ok(prompt) if !text.contains("strftime_now") => {
            assert_eq!(template.render(&input).expect("it has rendered before"), prompt);
        }
        Ok(_) => {}
        Err(error) => {
            assert_readable(&error);
            assert!(!error.to_string().contains("the template engine failed"), "{error}");
        }
    }
}

/// If the header of a packed model is accepted, all parts lie within the file.
pub fn packed(data: &[u8]) {
    const POSITION: u64 = 100_000;
    if let Err(error) = PackedCache::check(data, POSITION) {
        return assert_readable(&error);
    }
    let header: serde_json::Value = serde_json::from_slice(data).expect("accepted input is JSON");
    for part in header["parts"].as_object().expect("parts have names").values() {
        let [offset, len] = ["offset", "len"].map(|field| part[field].as_u64().expect("a number"));
        assert!(offset >= 32 && offset.checked_add(len).is_some_and(|end| end <= POSITION));
        assert!(part["checksums"].as_array().is_some_and(|all| all.is_empty() == (len == 0)));
    }
}

/// If a kernel spec parses, it can be emitted, and its name parses to the same spec.
pub fn kernel_spec(data: &[u8]) {
    let Ok(spec) = String::from_utf8_lossy(data).parse::<KernelSpec>() else { return };
    assert_eq!(spec.to_string().parse(), Ok(spec));
    if let Some(emitted) = emit::emit(&spec).expect("a spec that parses is valid") {
        assert!(
            emitted.loop_body.start < emitted.loop_body.end && emitted.loop_body.end <= emitted.code.len()
        );
    }
}

/// If a schema, GBNF, Lark or a regular expression compiles, every token that it allows can follow, and every text of a schema
/// is JSON.
pub fn grammar(data: &[u8]) {
    static TINY: LazyLock<Tokenizer> = LazyLock::new(|| {
        let json = include_bytes!("../fixtures/bitnet-tiny/tokenizer.json");
        let source = TokenizerSource::alone(json.to_vec(), "tokenizer.json");
        Tokenizer::parse(&source, 320).expect("the fixture is a tokenizer")
    });
    let text = String::from_utf8_lossy(data);
    let mut grammars = vec![Grammar::read(&text), Grammar::Regex(text.clone().into_owned())];
    grammars.extend(serde_json::from_str(&text).map(Grammar::JsonSchema));
    for grammar in grammars {
        match TINY.matcher(&grammar) {
            Ok(matcher) => {
                let written = write(matcher.start(&[258]), data);
                if let (Grammar::JsonSchema(_), Some(ids)) = (&grammar, written) {
                    let json = TINY.decode(&ids, true).expect("the tokens are bytes");
                    // JSON has no largest number, and this library has one.
                    let is_json = |error: &serde_json::Error| error.to_string().contains("out of range");
                    let parsed = serde_json::from_str::<serde_json::Value>(&json);
                    assert!(parsed.as_ref().err().is_none_or(is_json), "{json}: {parsed:?}");
                }
            }
            Err(error) => assert_readable(&error),
        }
    }
}

/// Writes a text by choices that depend on `data`. Returns its tokens if it comes to an end.
fn write(mut matcher: Matcher, data: &[u8]) -> Option<Vec<u32>> {
    let mut ids: Vec<u32> = Vec::new();
    while ids.len() < 60 {
        let id = match matcher.allowed() {
            Ok(Next::End) => return Some(ids),
            Ok(Next::Forced(forced)) => forced[0],
            Ok(Next::Choice(mask)) => {
                let choice = data.get(ids.len() % data.len().max(1)).map_or(0, |byte| usize::from(*byte));
                mask.iter().nth((choice + ids.len()) % mask.len()).expect("the mask has so many")
            }
            // A grammar may lead nowhere, or take too many steps.
            Err(_) => return None,
        };
        if matcher.accept(id).is_err() {
            return None;
        }
        ids.push(id);
    }
    None
}

fn assert_readable(error: &dyn std::error::Error) {
    let message = error.to_string();
    assert!(!message.is_empty() && !message.contains(char::is_control), "{message:?}");
}
