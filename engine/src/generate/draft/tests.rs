use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

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
    let mut drafter = Drafter::eager();
    let mut lengths = Vec::new();
    for _ in 0..40 {
        let draft = drafter.propose(&history[..50], 7);
        lengths.push(draft.len());
        drafter.learn(draft.len(), &history[50..=50 + draft.len()], MILLISECOND);
    }
    assert_eq!(lengths.last(), Some(&7));
    for _ in 0..60 {
        let draft = drafter.propose(&history[..50], 7);
        lengths.push(draft.len());
        drafter.learn(draft.len(), &[99], MILLISECOND);
    }
    assert_eq!(lengths.last(), Some(&0));
    assert!(drafter.accepted > 0 && drafter.drafted > drafter.accepted);
    // Matches that would have been right bring them back.
    for _ in 0..40 {
        let draft = drafter.propose(&history[..50], 7);
        drafter.learn(draft.len(), &history[50..=50 + draft.len()], MILLISECOND);
    }
    assert_eq!(drafter.propose(&history[..50], 7).len(), 7);
    assert_eq!(drafter.propose(&history[..50], 3).len(), 3);
    assert!(drafter.propose(&history[..50], 0).is_empty());
}

#[test]
fn passes_that_cost_as_much_as_their_tokens_end_drafts() {
    let history: Vec<u32> = (0..20).cycle().take(50).collect();
    let mut drafter = Drafter::new();
    for _ in 0..100 {
        let drafted = drafter.propose(&history, 7).len();
        let cost = if drafted == 0 { 2 } else { 3 * (drafted as u32 + 1) };
        drafter.learn(drafted, &history[10..=10 + drafted], MILLISECOND * cost);
    }
    // One trial tells enough of all lengths.
    assert_eq!(drafter.drafted, 7);
}
