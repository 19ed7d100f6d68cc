use super::*;

fn sampler(options: SamplerOptions) -> Sampler {
    Sampler::new(options).unwrap()
}

fn warm() -> SamplerOptions {
    SamplerOptions { temperature: 1.0, ..SamplerOptions::default() }
}

fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| (rng.next_u32() % 2000) as f32 / 200.0 - 5.0).collect()
}

/// Returns every token's probability by the definition, in f64 over a full sort; 0 for tokens that are
/// cut.
fn naive(options: &SamplerOptions, logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let weight = |i: usize| (f64::from(logits[i] - largest) / f64::from(options.temperature)).exp();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    if options.top_k > 0 {
        order.truncate(options.top_k);
    }
    let total: f64 = order.iter().map(|&i| weight(i)).sum();
    let mut before = 0.0;
    order.retain(|&i| {
        let kept = before < f64::from(options.top_p) * total;
        before += weight(i);
        kept
    });
    order.retain(|&i| weight(i) >= f64::from(options.min_p));
    let total: f64 = order.iter().map(|&i| weight(i)).sum();
    let mut probabilities = vec![0.0; logits.len()];
    for i in order {
        probabilities[i] = weight(i) / total;
    }
    probabilities
}

#[test]
fn greedy_takes_the_first_of_equal_best_tokens_and_never_nan() {
    let mut greedy = sampler(SamplerOptions::default());
    assert_eq!(greedy.sample(&mut [1.0, f32::NAN, 3.0, 3.0], &[]), 2);
    assert_eq!(greedy.sample(&mut [f32::NAN, -1.0], &[]), 1);
    assert_eq!(greedy.sample(&mut [f32::NEG_INFINITY, f32::NEG_INFINITY], &[]), 0);
}

#[test]
fn degenerate_logits_neither_panic_nor_choose_nan() {
    let mut sampler =
        sampler(SamplerOptions { temperature: 1e-30, top_k: 2, top_p: 0.5, min_p: 1.0, ..warm() });
    assert_eq!(sampler.sample(&mut [f32::NAN, 1.0, f32::NAN], &[]), 1);
    assert_eq!(sampler.sample(&mut [0.0, f32::INFINITY], &[]), 1);
    assert_eq!(sampler.sample(&mut [f32::NAN, f32::NAN], &[]), 0);
    assert_eq!(sampler.sample(&mut [f32::NEG_INFINITY; 3], &[]), 0);
    assert_eq!(sampler.sample(&mut [f32::MIN, f32::MAX], &[7, u32::MAX]), 1);
    assert_eq!(sampler.sample(&mut [], &[]), 0);
}

#[test]
fn every_cut_agrees_with_the_naive_definition() {
    for seed in 0..40 {
        let logits = noise(seed, 700);
        for options in [
            SamplerOptions { top_k: 1, ..warm() },
            SamplerOptions { top_k: 40, temperature: 0.7, ..warm() },
            SamplerOptions { top_p: 0.9, ..warm() },
            SamplerOptions { top_p: 0.999, temperature: 2.0, ..warm() },
            SamplerOptions { min_p: 0.05, ..warm() },
            SamplerOptions { top_k: 100, top_p: 0.8, min_p: 0.1, temperature: 1.5, ..warm() },
        ] {
            let mut sampler = sampler(options.clone());
            sampler.sample(&mut logits.clone(), &[]);
            let mut kept = vec![0.0; logits.len()];
            for candidate in &sampler.candidates {
                kept[candidate.token as usize] = candidate.weight as f64 / sampler.mass() as f64;
            }
            let naive = naive(&options, &logits);
            for (token, (kept, naive)) in kept.iter().zip(&naive).enumerate() {
                assert!((kept - naive).abs() < 1e-6, "{options:?}, token {token}: {kept} against {naive}");
            }
            let best = sampler.logprobs(0, usize::MAX).best;
            assert!(best.is_sorted_by(|a, b| a.logprob >= b.logprob));
            for Logprob { token, logprob } in best.into_iter().filter(|_| naive[0] > 0.0) {
                assert!((logprob.exp() - naive[token as usize]).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn draws_follow_the_probabilities() {
    let probabilities = [0.5, 0.3, 0.15, 0.05_f32];
    let logits = probabilities.map(f32::ln);
    let mut sampler = sampler(SamplerOptions { seed: 7, ..warm() });
    let draws = 40_000;
    let mut counts = [0_u32; 4];
    for _ in 0..draws {
        counts[sampler.sample(&mut logits.clone(), &[]) as usize] += 1;
    }
    for (count, p) in counts.into_iter().zip(probabilities) {
        let spread = (p * (1.0 - p) / draws as f32).sqrt();
        assert!((count as f32 / draws as f32 - p).abs() < 4.0 * spread, "{counts:?}");
    }
}

#[test]
fn repetition_is_penalised_once_and_within_the_window() {
    let options =
        SamplerOptions { repetition_penalty: 2.0, repetition_window: 3, ..SamplerOptions::default() };
    let mut sampler = sampler(options);
    let mut logits = [4.0, -1.0, 3.0, 2.5];
    assert_eq!(sampler.sample(&mut logits, &[3, 0, 0, 1]), 2);
    assert_eq!(logits, [2.0, -2.0, 3.0, 2.5]);
    let mut logits = [4.0, -1.0, 3.0, 2.5];
    sampler.sample(&mut logits, &[2, 9]);
    assert_eq!(logits, [4.0, -1.0, 1.5, 2.5]);
}

/// The sequence of a seed must stay the same on every platform and in every version.
#[test]
fn a_seed_always_gives_the_same_sequence() {
    let logits = noise(3, 1000);
    let draw = |seed| {
        let mut sampler = sampler(SamplerOptions { top_k: 50, top_p: 0.95, seed, ..warm() });
        (0..12).map(|_| sampler.sample(&mut logits.clone(), &[])).collect::<Vec<_>>()
    };
    assert_eq!(draw(42), draw(42));
    assert_ne!(draw(42), draw(43));
    assert_eq!(draw(42), [667, 980, 511, 658, 338, 213, 379, 817, 808, 306, 563, 943]);
}

#[test]
fn ranges_are_checked_and_the_flag_is_named() {
    let off = SamplerOptions::default;
    for (options, flag) in [
        (SamplerOptions { temperature: -0.1, ..off() }, "temperature"),
        (SamplerOptions { temperature: f32::NAN, ..off() }, "temperature"),
        (SamplerOptions { top_p: 0.0, ..off() }, "top_p"),
        (SamplerOptions { top_p: 1.1, ..off() }, "top_p"),
        (SamplerOptions { min_p: -1.0, ..off() }, "min_p"),
        (SamplerOptions { repetition_penalty: 0.0, ..off() }, "repetition_penalty"),
    ] {
        let error = Sampler::new(options).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().starts_with(flag), "{error}");
    }
}

#[test]
fn generated_tokens_are_penalised_and_those_of_the_prompt_are_not() {
    let options = SamplerOptions { presence_penalty: 1.0, frequency_penalty: 0.25, ..Default::default() };
    let mut sampler = sampler(options);
    let mut logits = [4.0, 3.9, 0.0];
    assert_eq!(sampler.sample(&mut logits, &[0, 0, 0]), 0);
    assert_eq!(logits, [4.0, 3.9, 0.0]);
    let mut logits = [4.0, 3.9, 0.0];
    assert_eq!(sampler.sample(&mut logits, &[0, 0, 0, 0, 1, 1]), 0);
    assert_eq!(logits, [4.0 - 1.25, 3.9 - 1.5, 0.0]);
}

#[test]
fn a_bias_brings_a_token_in_or_keeps_it_out() {
    let options = SamplerOptions { logit_bias: vec![(2, 5.0), (0, -100.0), (9, 1.0)], ..Default::default() };
    let mut sampler = sampler(options);
    assert_eq!(sampler.candidates(&[1]).always, [2, 0, 9]);
    assert_eq!(sampler.sample(&mut [4.0, 3.0, 0.0], &[]), 2);
    assert_eq!(sampler.sample(&mut [4.0, 3.0, -9.0], &[]), 1);
}

#[test]
fn adjusted_tokens_are_candidates_whatever_their_logits() {
    let penalties = SamplerOptions { frequency_penalty: 1.0, ..Default::default() };
    let mut sampler = sampler(SamplerOptions { logit_bias: vec![(7, 1.0)], ..penalties });
    sampler.sample(&mut [0.0; 8], &[3, 4]);
    assert_eq!(sampler.candidates(&[3, 4, 5]).always, [7, 5]);
}

#[test]
fn a_token_without_chance_has_all_the_probability() {
    let mut warm = sampler(warm());
    warm.sample(&mut [0.0, 1.0], &[]);
    assert_eq!(warm.logprobs(1, 9).best.len(), 2);
    warm.pass(&[]);
    let mut greedy = sampler(SamplerOptions::default());
    greedy.sample(&mut [0.0, 1.0], &[]);
    for sampler in [warm, greedy] {
        let TokenLogprobs { chosen, best } = sampler.logprobs(1, 9);
        assert_eq!((chosen.token, chosen.logprob, best), (1, 0.0, vec![chosen]));
    }
}
