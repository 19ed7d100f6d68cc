//! Bounds against the float logits, and candidates against the whole head.

use half::bf16;
use tercet_autotune::Planner;
use tercet_codegen::Isa;
use tercet_cpu::Cpu;

use super::*;
use crate::vectors::dot::dot_stored;

struct Matrix {
    bytes: Vec<u8>,
    width: usize,
}

impl Rows for Matrix {
    fn row(&self, token: usize) -> Floats<'_> {
        Floats::Bf16(&self.bytes).slice(token * self.width, self.width)
    }
}

/// Returns the sum of all bounds' distances.
fn width_of(estimates: &[Estimate]) -> f32 {
    estimates.iter().map(|estimate| estimate.upper - estimate.lower).sum()
}

/// Returns rows of very different sizes: some are equal, and one is all zeros.
fn matrix(n: usize, width: usize) -> Matrix {
    let element = |i: usize| {
        let row = i / width % (n - 3);
        let size = if row == 7 { 0.0 } else { 1.0 + (row % 5) as f32 };
        bf16::from_f32(size * ((i % width * (row + 3)) as f32 * 0.77).sin())
    };
    Matrix { bytes: (0..n * width).flat_map(|i| element(i).to_le_bytes()).collect(), width }
}

#[test]
fn bounds_hold_and_candidates_are_exact() {
    let (n, width) = (300, 83);
    let matrix = matrix(n, width);
    let (cache, pool) = (KernelCache::default(), Pool::new(2).unwrap());
    for (isa, cached) in Isa::available(Cpu::host()).into_iter().flat_map(|isa| [(isa, 0), (isa, n * width)])
    {
        let plans = Plans::within(cached, (n, width), |packing| Planner::new(isa, packing).on(Cpu::host()));
        let screen = Screen::new(&matrix, &plans, &cache, &pool).unwrap();
        let planes = screen.planes.low_planes();
        assert_eq!(planes, if cached == 0 { LOW_PLANES } else { 0 });
        let mut scratch = Scratch::default();
        for seed in 0..20 {
            let outlier = if seed % 3 == 0 { 500.0 } else { 1.0 };
            let input = |i: usize| ((i * i + seed) as f32 * 0.31).cos() * if i == 5 { outlier } else { 1.0 };
            let x: Vec<f32> = (0..width).map(input).collect();
            let exact: Vec<f32> = (0..n).map(|token| dot_stored(&x, matrix.row(token))).collect();
            scratch.selection();
            for refined in [None, Some(f32::MIN), Some(f32::MAX)] {
                for depth in 0..=planes {
                    let team = Team::new(&pool);
                    let (screened, _) = screen.multiply(team, &x, depth, &mut scratch).next().unwrap();
                    let mut estimates = Vec::new();
                    screened.estimate(&pool, &mut estimates);
                    let coarse = width_of(&estimates);
                    let needed = refined.map(|least| screened.refine(&pool, &mut estimates, least).depth);
                    for (exact, Estimate { lower, upper, .. }) in exact.iter().zip(&estimates) {
                        assert!(lower <= exact && exact <= upper, "{exact} is not in {lower}..{upper}");
                    }
                    let all_matter = refined == Some(f32::MIN);
                    let read = if all_matter { planes } else { depth };
                    assert_eq!(needed.unwrap_or(depth), read, "only blocks that matter are read");
                    let narrower = width_of(&estimates) < 0.5 * coarse;
                    assert_eq!(narrower, all_matter && depth < planes);
                }
            }
            let best = exact.iter().copied().fold(f32::MIN, f32::max);
            let mut sorted = exact.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            for (rule, least) in [
                (Rule::Best, best),
                (Rule::Top(10), sorted[9]),
                (Rule::Within(2.5), best - 2.5),
                (Rule::Top(0), f32::MIN),
            ] {
                let candidates = Candidates { always: &[7, 11, u32::MAX], ..Candidates::by(rule) };
                let mut logits = vec![0.0; n];
                screen.logits(Team::new(&pool), &matrix, &x, &[candidates], &mut scratch, &mut logits);
                for (token, (logit, exact)) in logits.iter().zip(&exact).enumerate() {
                    let wanted = *exact >= least || [7, 11].contains(&token);
                    assert!(logit == exact || !wanted && *logit == f32::NEG_INFINITY, "{rule:?} {token}");
                }
                // A mask excludes tokens, whether it leaves many or few.
                for every in [2, 9] {
                    let allowed: Vec<u32> = (0..n as u32).filter(|token| token % every == 0).collect();
                    let mask = Mask::of(&allowed);
                    let candidates = Candidates { allowed: Some(&mask), ..Candidates::by(rule) };
                    screen.logits(Team::new(&pool), &matrix, &x, &[candidates], &mut scratch, &mut logits);
                    let mut left: Vec<f32> = allowed.iter().map(|&token| exact[token as usize]).collect();
                    left.sort_by(|a, b| b.total_cmp(a));
                    let least = match rule {
                        Rule::Best => left[0],
                        Rule::Top(count) => *left.get(count.wrapping_sub(1)).unwrap_or(&f32::MIN),
                        Rule::Within(distance) => left[0] - distance,
                    };
                    for (token, (logit, exact)) in logits.iter().zip(&exact).enumerate() {
                        let wanted = mask.contains(token as u32) && *exact >= least;
                        let may = mask.contains(token as u32) && logit == exact;
                        assert!(may || !wanted && *logit == f32::NEG_INFINITY, "{rule:?} {token}");
                    }
                }
            }
        }
        let (x, mut logits, rules) = (vec![1.0; width], vec![0.0; n], [Rule::Best, Rule::Top(10)]);
        for (rule, most) in rules.into_iter().zip([n / 20, n / 6]) {
            let candidates = [Candidates::by(rule)];
            screen.logits(Team::new(&pool), &matrix, &x, &candidates, &mut scratch, &mut logits);
            let computed = scratch.selections[0].chosen.len();
            assert!(computed <= most, "{rule:?}: {computed} of {n} rows are computed");
        }
        // Tokens get the logits that matter, together and alone.
        let candidates =
            [Candidates::by(Rule::Best), Candidates::by(Rule::Top(10)), Candidates::by(Rule::Within(2.0))];
        let x: Vec<f32> = (0..3 * width).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut together = vec![0.0; 3 * n];
        screen.logits(Team::new(&pool), &matrix, &x, &candidates, &mut scratch, &mut together);
        for ((x, candidates), together) in x.chunks(width).zip(candidates).zip(together.chunks(n)) {
            screen.logits(Team::new(&pool), &matrix, x, &[candidates], &mut scratch, &mut logits);
            let exact: Vec<f32> = (0..n).map(|token| dot_stored(x, matrix.row(token))).collect();
            let mut sorted = exact.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let least = match candidates.rule {
                Rule::Top(count) => sorted[count - 1],
                Rule::Best => sorted[0],
                Rule::Within(distance) => sorted[0] - distance,
            };
            for (logit, exact) in [together, &logits].into_iter().flat_map(|logits| logits.iter().zip(&exact))
            {
                assert!(logit == exact || *exact < least && *logit == f32::NEG_INFINITY);
            }
        }
    }
}
