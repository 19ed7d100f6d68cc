use super::lookup::{Lookup, Match};
use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn by_lookup() -> Drafter {
    Drafter::new(&Draft::Lookup).unwrap()
}

#[test]
fn the_longest_match_counts_and_then_the_latest() {
    let history = [1, 2, 3, 4, 9, 2, 3, 5, 9, 2, 3, 6, 1, 2, 3];
    let mut lookup = Lookup::default();
    lookup.extend(&history);
    assert_eq!(lookup.find(&history), Some(Match { next: 3, length: 3 }));
    let mut lookup = Lookup::default();
    for (end, found) in [(1, None), (6, Some((2, 2))), (10, Some((6, 3))), (12, None)] {
        let part = &history[1..][..end];
        lookup.extend(part);
        let found = found.map(|(next, length)| Match { next, length });
        assert_eq!(lookup.find(part), found, "{part:?}");
    }
}

#[test]
fn drafts_grow_with_success_and_stop_without() {
    let history: Vec<u32> = (0..20).chain([40, 41]).cycle().take(60).collect();
    let mut drafter = by_lookup().eager();
    let mut lengths = Vec::new();
    for _ in 0..40 {
        let draft = drafter.propose(&history[..50], None, 7);
        lengths.push(draft.len());
        drafter.learn(draft.len(), &history[50..=50 + draft.len()], MILLISECOND);
    }
    assert_eq!(lengths.last(), Some(&7));
    for _ in 0..60 {
        let draft = drafter.propose(&history[..50], None, 7);
        lengths.push(draft.len());
        drafter.learn(draft.len(), &[99], MILLISECOND);
    }
    assert_eq!(lengths.last(), Some(&0));
    assert!(drafter.accepted > 0 && drafter.drafted > drafter.accepted);
    // Matches that would have been right bring them back.
    for _ in 0..40 {
        let draft = drafter.propose(&history[..50], None, 7);
        drafter.learn(draft.len(), &history[50..=50 + draft.len()], MILLISECOND);
    }
    assert_eq!(drafter.propose(&history[..50], None, 7).len(), 7);
    assert_eq!(drafter.propose(&history[..50], None, 3).len(), 3);
    assert!(drafter.propose(&history[..50], None, 0).is_empty());
}

#[test]
fn passes_that_cost_as_much_as_their_tokens_end_drafts() {
    let history: Vec<u32> = (0..20).cycle().take(50).collect();
    let mut drafter = by_lookup();
    for _ in 0..100 {
        let drafted = drafter.propose(&history, None, 7).len();
        let cost = if drafted == 0 { 2 } else { 3 * (drafted as u32 + 1) };
        drafter.learn(drafted, &history[10..=10 + drafted], MILLISECOND * cost);
    }
    // One trial tells enough of all lengths.
    assert_eq!(drafter.drafted, 7);
}

#[test]
fn a_draft_model_that_is_wrong_is_tried_again_later() {
    let mut costs = Costs::new(0.1);
    let mut success = Success::new();
    costs.learn(1, MILLISECOND);
    let first = costs.best_length(success.rate, 7);
    assert!(first > 1, "{first}");
    assert_eq!(costs.best_length(success.rate, 1), 1);
    let mut wrong = 0;
    while costs.best_length(success.rate, 7) > 0 {
        success.learn(costs.best_length(success.rate, 7), 0);
        wrong += 1;
    }
    assert!(wrong < 20, "{wrong}");
    let mut without = 0;
    while costs.best_length(success.rate, 7) == 0 {
        success.learn(0, 0);
        without += 1;
    }
    assert!((20..2000).contains(&without), "{without}");
    (0..40).for_each(|_| success.learn(7, 7));
    assert_eq!(costs.best_length(success.rate, 7), 7);
}

#[test]
fn a_draft_model_that_costs_as_much_is_never_asked() {
    let mut costs = Costs::new(1.0);
    costs.learn(1, MILLISECOND);
    assert_eq!(costs.best_length(1.0, 7), 0);
}

#[test]
fn passes_without_a_draft_are_measured_now_and_then() {
    let mut costs = Costs::new(0.0);
    costs.learn(1, MILLISECOND);
    let drafted = (0..200).filter(|_| {
        let length = costs.best_length(1.0, 7);
        costs.learn(length + 1, MILLISECOND);
        length > 0
    });
    assert_eq!(drafted.count(), 200 - 200 / 65);
}
