//! The models against outputs of Hugging Face transformers in float32.

mod common;

use common::{Golden, argmax, margin, mean_difference};

#[test]
fn tiny_model_agrees_with_transformers() {
    let model = common::load(common::TINY, &common::full_precision_runtime());
    let tokenizer = common::tokenizer(common::TINY, &model);
    let golden = Golden::read("tests/fixtures/bitnet-tiny/golden.safetensors");
    let vocabulary = model.config().vocab_size;
    let (ids, expected) = (golden.ids("input_ids"), golden.f32("logits.f32_offline"));
    for (ids, expected) in ids.chunks(96).zip(expected.chunks(96 * vocabulary)) {
        let (logits, _) = common::logits_and_greedy(&model, &tokenizer, ids, 0);
        let mean = mean_difference(&logits, expected);
        println!("mean |difference| {mean:.5}");
        assert!(mean < 0.01, "mean |difference| {mean}");
        for (found, expected) in logits.chunks(vocabulary).zip(expected.chunks(vocabulary)) {
            assert_eq!(argmax(found), argmax(expected));
        }
    }
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

/// Keys and values in half precision move an activation to the neighbouring integer now and then, which no two engines
/// agree about: the differences stay small, and the text the same.
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
