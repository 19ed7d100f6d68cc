use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::config::Family;
use crate::config::family::FAMILIES;
use crate::json::{self, Object};
use crate::{CONFIG, GgufFile, ModelFiles, ROPE_FACTORS, TensorFile, transformers};

/// The fixtures in the folder `under` of the fixtures that hold a model.
fn models(under: &str) -> Vec<ModelFiles> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(under);
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.collect();
    paths.sort();
    let models = paths.iter().filter_map(|path| ModelFiles::open(path).ok());
    models.filter(|files| Config::load(files).is_ok()).collect()
}

fn family(files: &ModelFiles) -> &'static Family {
    let map = json::parse(&files.get(CONFIG).unwrap(), CONFIG).unwrap();
    Family::of(&Object::new(CONFIG, &map)).unwrap()
}

/// The names of the tensors in a model's safetensors files, without scales.
fn stored(files: &ModelFiles) -> BTreeSet<String> {
    let paths = files.paths().unwrap().unwrap();
    let names = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap());
    let names = names.filter(|name| name.ends_with(".safetensors") && !name.starts_with("golden"));
    let names: BTreeSet<String> =
        names.flat_map(|name| TensorFile::load(files, name).unwrap().names()).collect();
    names.into_iter().filter(|name| !name.ends_with("_scale")).collect()
}

#[test]
fn the_fixture_of_every_family_holds_exactly_the_listed_tensors() {
    let fixtures: Vec<ModelFiles> = [models(""), models("gguf")].into_iter().flatten().collect();
    let directories = || fixtures.iter().filter(|files| files.gguf().is_none());
    for files in directories() {
        let names = transformers::names(files, Some(family(files))).unwrap().unwrap();
        let listed = Config::load(files).unwrap().tensors();
        let listed = listed.into_iter().map(|tensor| names.stored(&tensor.name));
        assert_eq!(listed.collect::<BTreeSet<_>>(), stored(files), "{}", files.name());
    }
    for family in FAMILIES {
        let mut classes = directories().map(|files| self::family(files).class);
        assert!(classes.any(|class| class == family.class), "{} has no fixture", family.class);
    }
}

#[test]
fn the_list_is_exactly_what_every_gguf_fixture_holds() {
    let fixtures: Vec<ModelFiles> =
        models("gguf").into_iter().filter(|files| files.gguf().is_some()).collect();
    assert!(fixtures.len() > 9);
    for files in fixtures {
        let file: &GgufFile = files.gguf().unwrap();
        let found: BTreeSet<&str> = file.names().filter(|name| *name != ROPE_FACTORS).collect();
        let listed: Vec<Tensor> = Config::load(&files).unwrap().tensors();
        let names = listed.iter().filter_map(|tensor| tensor.gguf_name.as_deref());
        // `rope.gguf` holds an embedding and no layer.
        match found.len() {
            1 => assert!(found.is_subset(&names.collect()), "{}", files.name()),
            _ => assert_eq!(names.collect::<BTreeSet<_>>(), found, "{}", files.name()),
        }
        for tensor in listed.iter().filter(|tensor| file.contains(&tensor.name)) {
            assert_eq!(file.shape(&tensor.name).unwrap(), tensor.role.shape(), "{}", tensor.name);
        }
    }
}

#[test]
fn names_translate_both_ways() {
    for files in models("") {
        let tensors = Config::load(&files).unwrap().tensors();
        for tensor in &tensors {
            assert_eq!(gguf_name(&tensor.name), tensor.gguf_name, "{}", files.name());
            let Some(own) = &tensor.gguf_name else { continue };
            let back: Vec<_> =
                tensors.iter().filter(|tensor| tensor.gguf_name.as_ref() == Some(own)).collect();
            assert_eq!(back, [tensor], "{}", files.name());
        }
    }
    assert_eq!(gguf_name("model.layers.7.mlp.down_proj.weight").unwrap(), "blk.7.ffn_down.weight");
    assert_eq!(gguf_name("model.layers.7.mlp.down_proj.bias"), None);
    assert_eq!(gguf_name("model.layers.7.weight"), None);
}

#[test]
fn no_two_families_share_a_name() {
    for (i, family) in FAMILIES.iter().enumerate() {
        for other in &FAMILIES[i + 1..] {
            assert_ne!(family.class, other.class);
            assert!(family.model_type != other.model_type || other.known_by_class || family.known_by_class);
            for (a, b) in family.gguf.iter().flat_map(|a| other.gguf.iter().map(move |b| (a, b))) {
                let apart = !a.activations.is_empty()
                    && !b.activations.is_empty()
                    && a.activations.iter().all(|activation| !b.activations.contains(activation));
                assert!(a.architecture != b.architecture || apart, "{}", a.architecture);
            }
        }
    }
}
