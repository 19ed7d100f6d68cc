//! Compares logits and greedy continuations with those of Hugging Face transformers in float32.

mod common;

use common::{FAMILIES, Golden, Reference, argmax, margin, mean_difference};
use tercet::codegen::Isa;
use tercet::cpu::Cpu;
use tercet::formats::ModelFiles;
use tercet::{ActivationType, Candidates, Logits, Mode, Model, Rule, Runtime, RuntimeOptions};

#[test]
fn tiny_model_agrees_with_transformers() {
    let model = common::load(common::TINY, &common::full_precision_runtime());
    let tokenizer = common::tokenizer(common::TINY, &model);
    let golden = Golden::read("tests/fixtures/bitnet-tiny/golden.safetensors");
    Reference::read("bitnet-tiny").assert_logits(&model, "as it came");
    let greedy = golden.ids("greedy32.f32_offline");
    let (prompt, continuation) = greedy.split_at(16);
    assert_eq!(common::logits_and_greedy(&model, &tokenizer, prompt, 32).1, continuation);
}

#[test]
fn fairy_tales_agree_with_transformers() {
    const SAFE_MARGIN: f32 = 0.3;
    let model = common::load(common::FAIRY_TALES, &common::full_precision_runtime());
    let tokenizer = common::tokenizer(common::FAIRY_TALES, &model);
    let golden = Golden::read("models/fairy-tales/golden.safetensors");
    let prompts =
        ["Once upon a time", "One day, a little girl named Lily", "There was once a king who had a daughter"];
    for (i, prompt) in prompts.iter().enumerate() {
        let ids = golden.ids(&format!("{i}.ids"));
        assert_eq!(tokenizer.encode(prompt, true).unwrap(), ids);
        let (logits, greedy) = common::logits_and_greedy(&model, &tokenizer, &ids, 32);
        let expected = golden.f32(&format!("{i}.logits"));
        let mean = mean_difference(&logits, &expected);
        println!("{prompt:?}: mean |difference| {mean:.5}");
        assert!(mean < 0.03, "{prompt}: mean |difference| {mean}");
        let vocabulary = model.config().vocab_size;
        for (found, expected) in logits.chunks(vocabulary).zip(expected.chunks(vocabulary)) {
            if margin(expected) > SAFE_MARGIN {
                assert_eq!(argmax(found), argmax(expected));
            }
        }
        let gaps = golden.f32(&format!("{i}.greedy_gap"));
        let certain = gaps.iter().position(|&gap| gap < SAFE_MARGIN).unwrap_or(gaps.len());
        assert_eq!(greedy[..certain], golden.ids(&format!("{i}.greedy"))[..certain], "{prompt}");
        println!("{certain} certain tokens; all 32 equal: {}", greedy == golden.ids(&format!("{i}.greedy")));
    }
}

#[test]
fn every_family_agrees_with_transformers() {
    const SAFE_MARGIN: f32 = 0.02;
    for family in FAMILIES {
        let folder = format!("tests/fixtures/{family}");
        let model = common::load(&folder, &common::full_precision_runtime());
        let golden = Golden::read(&format!("{folder}/golden.safetensors"));
        Reference::read(family).assert_logits(&model, "as it came");
        let (greedy, gaps) = (golden.ids("greedy"), golden.f32("greedy_gap"));
        let certain = gaps.iter().position(|&gap| gap < SAFE_MARGIN).unwrap_or(gaps.len());
        let (prompt, expected) = greedy.split_at(greedy.len() - gaps.len());
        let mut state = model.new_state(greedy.len()).unwrap();
        let mut next = prompt.to_vec();
        for (i, &expected) in expected[..certain].iter().enumerate() {
            let best = Logits::Candidates(Candidates::by(Rule::Best));
            next = vec![argmax(model.forward(&mut state, &next, best).unwrap()) as u32];
            assert_eq!(next[0], expected, "{family}: token {i} of the continuation");
        }
        println!("{family}: {certain} certain tokens of {}", gaps.len());
    }
}

fn exact(activations: ActivationType) -> Runtime {
    let mode = Mode::Exact(activations);
    Runtime::new(&RuntimeOptions { mode, threads: Some(2), ..RuntimeOptions::default() })
}

/// Returns the logits of every position.
fn logits(model: &Model, ids: &[u32]) -> Vec<f32> {
    let mut state = model.new_state(ids.len()).unwrap();
    model.forward(&mut state, ids, Logits::All).unwrap().to_vec()
}

/// Returns the mean difference between the model's logits and the golden logits of several
/// sequences. Each entry names a tensor of ids, the number of tokens in each of its rows, and the
/// tensor of the expected logits.
fn compare(model: &Model, golden: &Golden, sequences: &[(String, usize, String)]) -> f64 {
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for (ids, tokens, output) in sequences {
        golden.ids(ids).chunks(*tokens).for_each(|ids| found.extend(logits(model, ids)));
        expected.extend(golden.f32(output));
    }
    mean_difference(&found, &expected)
}

#[test]
fn the_exact_mode_agrees_with_transformers() {
    let mean = |folder: &str, sequences: &[_]| {
        let golden = Golden::read(&format!("{folder}/golden.safetensors"));
        let mean = compare(&common::load(folder, &exact(ActivationType::Int8)), &golden, sequences);
        println!("{folder}: mean |difference| {mean:.5}");
        mean
    };
    let rows = |tokens, logits: &str| [("input_ids".to_owned(), tokens, logits.to_owned())];
    assert!(mean(common::TINY, &rows(96, "logits.f32_offline")) < 0.005);
    let prompts: Vec<_> = (0..3).map(|i| (format!("{i}.ids"), usize::MAX, format!("{i}.logits"))).collect();
    assert!(mean(common::FAIRY_TALES, &prompts) < 0.005);
    // If an activation lies halfway between two integers, the last bit of a sum decides its rounding.
    let families = FAMILIES.map(|family| mean(&format!("tests/fixtures/{family}"), &rows(40, "logits")));
    assert!(families.iter().all(|&mean| mean < 0.02), "{families:?}");
    assert!(families.iter().sum::<f64>() / (FAMILIES.len() as f64) < 0.005, "{families:?}");
}

/// Rounding activations changes these logits by 0.012 on average.
#[test]
fn unrounded_activations_agree_with_transformers() {
    let golden = Golden::read("tests/fixtures/bonsai-tiny/golden.safetensors");
    let sequences = [("input_ids".to_owned(), 40, "logits.unrounded".to_owned())];
    let mean = |activations| {
        compare(&common::load("tests/fixtures/bonsai-tiny", &exact(activations)), &golden, &sequences)
    };
    assert!(mean(ActivationType::F32) < 0.0005, "mean |difference| {}", mean(ActivationType::F32));
    assert!(mean(ActivationType::Int8) > 0.005);
}

/// Every instruction set and packing computes the same first layer, and agrees with plain arithmetic.
#[test]
fn every_family_is_the_same_on_every_kernel() {
    for family in FAMILIES {
        let files = ModelFiles::open(&common::path(&format!("tests/fixtures/{family}"))).unwrap();
        for report in tercet::verify::first_layer(&files, &Isa::available(Cpu::host())).unwrap() {
            assert!(report.identical && report.mean_difference < 0.05, "{family}: {report:?}");
        }
    }
}

/// With keys and values in half precision, an activation is sometimes rounded to a neighbouring
/// integer. Engines differ in these cases. The differences stay small, and the text stays the
/// same.
#[test]
fn half_precision_changes_little() {
    const SAFE_MARGIN: f32 = 0.5;
    for (path, golden, input, output, bound) in [
        (
            common::TINY,
            "tests/fixtures/bitnet-tiny/golden.safetensors",
            "input_ids",
            "logits.f32_offline",
            0.1,
        ),
        (common::FAIRY_TALES, "models/fairy-tales/golden.safetensors", "0.ids", "0.logits", 0.05),
    ] {
        let model = common::load(path, &common::best_runtime());
        let (tokenizer, golden) = (common::tokenizer(path, &model), Golden::read(golden));
        let vocabulary = model.config().vocab_size;
        let (ids, expected) = (golden.ids(input), golden.f32(output));
        for (ids, expected) in ids.chunks(96).zip(expected.chunks(96 * vocabulary)) {
            let (logits, _) = common::logits_and_greedy(&model, &tokenizer, ids, 0);
            let mean = mean_difference(&logits, expected);
            println!("{path}: mean |difference| {mean:.5}");
            assert!(mean < bound, "{path}: mean |difference| {mean}");
            for (found, expected) in logits.chunks(vocabulary).zip(expected.chunks(vocabulary)) {
                assert!(argmax(found) == argmax(expected) || margin(expected) < SAFE_MARGIN, "{path}");
            }
        }
    }
}
