//! Files that are sound by their form, and cannot be what their authors meant, cause warnings.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tercet::formats::ModelFiles;
use tercet::{Model, Runtime, RuntimeOptions};

/// A temporary directory with a copy of a model. Dropping the value deletes it.
struct Copy(PathBuf);

impl Copy {
    fn of(model: &str, name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tercet-senseless-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        for file in ["config.json", "model.safetensors"] {
            fs::copy(common::path(model).join(file), dir.join(file)).unwrap();
        }
        Copy(dir)
    }

    /// Fills the bytes of every tensor that `fill` returns a byte for, given its name.
    fn fill(&self, fill: impl Fn(&str) -> Option<u8>) -> &Self {
        let path = self.0.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..start]).unwrap();
        for (name, about) in &header {
            let Some(byte) = fill(name) else { continue };
            let at = |i: usize| start + about["data_offsets"][i].as_u64().unwrap() as usize;
            bytes[at(0)..at(1)].fill(byte);
        }
        fs::write(path, bytes).unwrap();
        self
    }

    /// Adds a table of the rotary embedding, which nobody reads, to make the model large enough for the
    /// cache of packed models.
    fn enlarge(&self) -> &Self {
        const BYTES: usize = 4 << 20;
        let path = self.0.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        let (length, rest) = bytes.split_at(8);
        let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
        let mut header: Map<String, Value> = serde_json::from_slice(header).unwrap();
        let about = json!({
            "dtype": "F32", "shape": [BYTES / 4], "data_offsets": [data.len(), data.len() + BYTES],
        });
        header.insert("model.layers.0.self_attn.rotary_emb.inv_freq".into(), about);
        let header = serde_json::to_vec(&header).unwrap();
        let length = (header.len() as u64).to_le_bytes();
        fs::write(path, [&length[..], &header, data, &vec![0; BYTES]].concat()).unwrap();
        self
    }

    fn warnings(&self, cache: Option<&Path>) -> Vec<String> {
        let options = RuntimeOptions {
            threads: Some(2),
            cache_dir: cache.map(Path::to_owned),
            ..RuntimeOptions::default()
        };
        let files = ModelFiles::open(&self.0).unwrap();
        Model::load(&files, &Runtime::new(&options)).unwrap();
        files.warnings()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Four codes of the trit 0.
const ZEROS: u8 = 0x55;

#[test]
fn good_models_cause_no_warning() {
    for model in
        [common::TINY, common::FAIRY_TALES, "tests/fixtures/bonsai-tiny", "tests/fixtures/master-tiny"]
    {
        let files = ModelFiles::open(&common::path(model)).unwrap();
        Model::load(&files, &common::best_runtime()).unwrap();
        assert_eq!(files.warnings(), [""; 0], "{model}");
    }
}

#[test]
fn layers_of_zeros_are_named_also_from_the_packed_form() {
    let model = Copy::of(common::FAIRY_TALES, "zeros");
    model.enlarge().fill(|name| (name.contains("mlp.") && name.ends_with("proj.weight")).then_some(ZEROS));
    let cache = model.0.join("cache");
    for _ in 0..2 {
        let warnings = model.warnings(Some(&cache));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("all weights are zero in model.layers.0.mlp.gate_proj, "),
            "{warnings:?}"
        );
        assert!(warnings[0].contains(" more: ") && !warnings[0].contains("self_attn"), "{warnings:?}");
    }
    let packed = fs::read_dir(cache.join("packed")).unwrap();
    assert!(
        packed.map(|entry| entry.unwrap().path()).any(|path| path.extension().is_some_and(|e| e == "packed"))
    );
}

#[test]
fn norms_of_zeros_equal_scales_and_equal_rows_are_named() {
    let tiny = || Copy::of(common::TINY, "parts");
    let warnings = tiny().fill(|name| (name == "model.norm.weight").then_some(0)).warnings(None);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("all gains are zero in model.norm: "), "{warnings:?}");
    // As bf16 or f32, each of these bytes makes a small positive number.
    let warnings = tiny().fill(|name| name.ends_with("weight_scale").then_some(0x3C)).warnings(None);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("all 14 ternary matrices have the same scale, 0.01"), "{warnings:?}");
    let warnings = tiny().fill(|name| (name == "model.embed_tokens.weight").then_some(0x3C)).warnings(None);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("all rows are the same in model.embed_tokens: "), "{warnings:?}");
}
