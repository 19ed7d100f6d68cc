//! Embeddings: vectors and tokens of sentence-transformers, passes, faults and GGUF.

mod common;

use common::{Golden, Scratch, path};
use tercet::codegen::Isa;
use tercet::cpu::Cpu;
use tercet::formats::{Format, ModelFiles, TensorType, convert};
use tercet::{ActivationType, CacheType, Cancel, Mode, Runtime, RuntimeOptions, Session, cosine};

/// Qwen3, and Gemma 3 with windows that are shorter than some texts.
const FOLDERS: [&str; 2] = ["tests/fixtures/embedding-tiny", "tests/fixtures/embedding-gemma-tiny"];

fn texts() -> Vec<String> {
    serde_json::from_slice(&std::fs::read(path(&format!("{}/texts.json", FOLDERS[0]))).unwrap()).unwrap()
}

fn open(files: ModelFiles, mode: Mode) -> Session {
    let options = RuntimeOptions {
        mode,
        threads: Some(2),
        cache_type: Some(CacheType::F32),
        no_cache: true,
        ..RuntimeOptions::default()
    };
    Session::new(files, Runtime::new(&options), None, &mut |_| {}).unwrap()
}

fn session(folder: &str, mode: Mode) -> Session {
    open(ModelFiles::open(&path(folder)).unwrap(), mode)
}

/// Returns the vectors of the fixture's texts with the prompt called `name`.
fn embed(session: &Session, name: Option<&str>) -> Vec<Vec<f32>> {
    let embedder = session.embedder().unwrap();
    let prompt = name.map_or(embedder.default_prompt(), |name| embedder.prompt(name).unwrap());
    let tokens: Vec<_> = texts().iter().map(|text| embedder.encode(prompt, text).unwrap()).collect();
    embedder.embed(&tokens, None, &Cancel::new(), |_| {}).unwrap()
}

/// The fast mode rounds a few activations of this small model to another integer than the reference.
#[test]
fn vectors_are_those_of_sentence_transformers() {
    let modes = [(Mode::Exact(ActivationType::Int8), 0.9999), (Mode::Fast, 0.9995)];
    for (folder, (mode, least)) in FOLDERS.into_iter().flat_map(|folder| modes.map(|mode| (folder, mode))) {
        let golden = Golden::read(&format!("{folder}/golden.safetensors"));
        let session = session(folder, mode);
        for (prompt, expected) in [(None, "embeddings"), (Some("query"), "queries")] {
            let (found, expected) = (embed(&session, prompt), golden.f32(expected));
            for (text, (found, expected)) in texts().iter().zip(found.iter().zip(expected.chunks(128))) {
                let length: f32 = found.iter().map(|x| x * x).sum();
                let cosine = cosine(found, expected);
                let case = format!("{mode:?}, {prompt:?}, {text:.20?}: {cosine}");
                assert!(cosine > least && (length - 1.0).abs() < 1e-5, "{case}");
            }
        }
    }
}

#[test]
fn a_text_has_the_tokens_of_transformers() {
    let golden = Golden::read(&format!("{}/golden.safetensors", FOLDERS[0]));
    let session = session(FOLDERS[0], Mode::Fast);
    let embedder = session.embedder().unwrap();
    for (i, text) in texts().iter().enumerate() {
        assert_eq!(embedder.encode("", text).unwrap(), golden.ids(&format!("ids.{i}")), "{text:?}");
    }
}

#[test]
fn the_head_of_an_embedding_model_has_no_screen() {
    for folder in FOLDERS {
        assert_eq!(session(folder, Mode::Fast).model().memory_use().screen, 0, "{folder}");
    }
}

/// Texts that begin, go on and end in the midst of a pass, and more of them than a pass holds.
#[test]
fn texts_share_passes_and_keep_their_vectors() {
    FOLDERS.into_iter().for_each(shares_passes);
}

fn shares_passes(folder: &str) {
    let session = session(folder, Mode::Fast);
    let embedder = session.embedder().unwrap();
    let lengths = [3, 300, 1, 512, 40, 256, 255, 257, 2].into_iter().chain([5; 70]);
    let texts: Vec<Vec<u32>> = lengths
        .enumerate()
        .map(|(i, length)| (0..length).map(|j| (7 * i as u32 + j) % 300).collect())
        .collect();
    let mut told = Vec::new();
    let together = embedder.embed(&texts, None, &Cancel::new(), |done| told.push(done)).unwrap();
    for (i, (text, vector)) in texts.iter().zip(&together).enumerate() {
        let alone = embedder.embed(std::slice::from_ref(text), None, &Cancel::new(), |_| {}).unwrap();
        assert_eq!(alone, std::slice::from_ref(vector), "text {i}");
    }
    assert!(told.is_sorted() && told.last() == Some(&texts.len()), "{told:?}");
    let reads: usize = texts.iter().map(Vec::len).sum();
    assert!(told.len() <= reads / 256 + 3, "{} passes for {reads} tokens", told.len());
}

#[test]
fn faults_are_named() {
    let session = session(FOLDERS[0], Mode::Fast);
    let embedder = session.embedder().unwrap();
    let fault = |texts: &[Vec<u32>], dimensions| {
        embedder.embed(texts, dimensions, &Cancel::new(), |_| {}).unwrap_err().to_string()
    };
    assert!(fault(&[vec![1], vec![]], None).contains("no tokens"));
    assert!(fault(&[vec![9999]], None).contains("outside the vocabulary"));
    assert!(fault(&[vec![1; 513]], None).contains("513 tokens"));
    assert!(
        fault(&[vec![1]], Some(64))
            .contains("dimensions: 64 is not supported; this model has vectors of 128 only")
    );
    assert!(embedder.prompt("poem").unwrap_err().to_string().contains("this model has"));
    let mut long = vec![5; 600];
    embedder.truncate(&mut long);
    assert_eq!((long.len(), long.last()), (512, Some(&0)));
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(embedder.embed(&[vec![1]], None, &cancel, |_| {}).is_err());
    let model = ModelFiles::open(&path(common::TINY)).unwrap();
    let none = open(model, Mode::Fast).embedder().unwrap_err().to_string();
    assert!(none.contains("\"bitnet-tiny\" has no embeddings"), "{none}");
}

/// bitnet.cpp's form of such a model.
#[test]
fn a_gguf_file_gives_the_same_vectors() {
    let scratch = Scratch::new("embedding");
    let files = ModelFiles::open(&path(FOLDERS[0])).unwrap();
    let gguf = scratch.0.join("embedding.gguf");
    let converted = convert(&files, &gguf, Format::Gguf(TensorType::I2S), false).unwrap();
    assert!(converted.losses.iter().any(|loss| loss.contains("bitnet.cpp")), "{:?}", converted.losses);
    let gguf = ModelFiles::open(&gguf).unwrap();
    assert!(gguf.try_get("modules.json").unwrap().is_none());
    let (from_gguf, from_folder) = (open(gguf, Mode::Fast), session(FOLDERS[0], Mode::Fast));
    for prompt in [None, Some("query")] {
        assert_eq!(embed(&from_gguf, prompt), embed(&from_folder, prompt));
    }
    assert!(convert(&files, &scratch.0.join("again"), Format::Safetensors, false).is_err());
}

/// Every instruction set and packing computes the same first layer, and agrees with plain arithmetic.
#[test]
fn the_first_layer_is_the_same_on_every_kernel() {
    for folder in FOLDERS {
        let files = ModelFiles::open(&path(folder)).unwrap();
        for report in tercet::verify::first_layer(&files, &Isa::available(Cpu::host())).unwrap() {
            assert!(report.identical && report.mean_difference < 0.05, "{folder}: {report:?}");
        }
    }
}
