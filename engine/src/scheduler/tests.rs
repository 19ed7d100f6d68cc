mod schedules;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::generate::{Draft, Generator, Stop};
use crate::model::BATCH;
use crate::runtime::{Runtime, RuntimeOptions};
use crate::sampler::SamplerOptions;

fn session() -> Session {
    let options = RuntimeOptions { threads: Some(1), ..RuntimeOptions::default() };
    Session::new(crate::fairy_tales(), Runtime::new(&options), None, &mut |_| {}).unwrap()
}

const ROUND: Duration = Duration::from_millis(100);

/// Returns a clock by which every step takes some random time, up to three rounds.
fn clock(seed: u64) -> impl Fn() -> Instant + Send {
    let (start, looks, passed) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
    move || {
        let mut random = ChaCha8Rng::seed_from_u64(seed + looks.fetch_add(1, Ordering::Relaxed));
        let step = random.next_u64() % (3 * ROUND.as_micros() as u64);
        start + Duration::from_micros(passed.fetch_add(step, Ordering::Relaxed))
    }
}

fn request(seed: u64, max_tokens: usize) -> Request {
    let sampler = SamplerOptions { temperature: 0.9, top_p: 0.95, seed, ..SamplerOptions::default() };
    Request { max_tokens, sampler, ..Request::default() }
}

/// Runs until nothing is left, and returns the texts by request.
fn drain(scheduler: &mut Scheduler<&Session>) -> BTreeMap<JobId, Generation> {
    let mut finished = BTreeMap::new();
    while !scheduler.is_idle() {
        for event in scheduler.round() {
            match event {
                Event::Finished(id, generation) => drop(finished.insert(id, generation)),
                Event::Failed(id, error) => panic!("{id:?}: {error}"),
                Event::Step(..) => {}
            }
        }
    }
    finished
}

fn alone(session: &Session, prompt: &[u32], request: &Request) -> Generation {
    let context = prompt.len() + request.max_tokens;
    let mut generator = Generator::new(session.model(), session.tokenizer(), context).unwrap();
    generator.generate(prompt, request, |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn texts_grow_in_every_round_while_a_long_prompt_is_read_in_parts() {
    let session = session();
    let options = SchedulerOptions { round_time: Some(ROUND), ..SchedulerOptions::default() };
    let start = Instant::now();
    let mut scheduler = Scheduler::new(&session, options).with_clock(move || start);
    let texts: Vec<JobId> = (0..3)
        .map(|seed| scheduler.submit(session.encode("Once").unwrap(), request(seed, 64)).unwrap())
        .collect();
    let read = |running: &Running| running.sequence.read().len();
    let grown = |events: &[Event]| {
        let grown =
            events.iter().filter(|event| matches!(event, Event::Step(_, step) if step.ids.len() == 1));
        grown.count()
    };
    while scheduler.running.len() < 3 || scheduler.running.iter().any(|running| !running.decodes()) {
        scheduler.round();
    }
    let mut long = session.encode(&"The king had three sons. ".repeat(100)).unwrap();
    long.truncate(450);
    let long = scheduler.submit(long, request(9, 2)).unwrap();
    let mut parts = Vec::new();
    loop {
        let before = scheduler.running.last().filter(|last| last.id == long).map_or(0, read);
        let events = scheduler.round();
        let running = scheduler.running.iter().find(|running| running.id == long).unwrap();
        parts.push(read(running) - before);
        if running.decodes() {
            break;
        }
        assert_eq!(grown(&events), texts.len());
    }
    // No time is measured until the first part is read, and none seems to pass then. Another text has read the first token.
    assert_eq!(parts[0], 32 + 1);
    assert!(parts[1..parts.len() - 1].iter().all(|&part| part == BATCH), "{parts:?}");
    assert!(parts.len() > 2, "{parts:?}");
}

#[test]
fn a_common_prefix_is_read_once() {
    let session = session();
    let system = session.encode(&"The king had three sons. ".repeat(40)).unwrap();
    let together = SchedulerOptions { parallel: 8, round_time: Some(ROUND), ..SchedulerOptions::default() };
    let in_turn = SchedulerOptions { parallel: 1, keep_prefixes: true, ..together };
    for options in [together, in_turn] {
        let mut scheduler = Scheduler::new(&session, options);
        for number in 0..8 {
            let question = session.tokenizer().encode(&format!(" Number {number}"), false).unwrap();
            scheduler.submit([&system[..], &question].concat(), request(0, 3)).unwrap();
        }
        let generations: Vec<_> = drain(&mut scheduler).into_values().collect();
        assert_eq!(generations[0].cached_tokens, 0);
        for later in &generations[1..] {
            assert!(later.cached_tokens >= system.len() && later.prompt_tokens < 10, "{later:?}");
        }
        let read: usize = generations.iter().map(|generation| generation.prompt_tokens).sum();
        assert_eq!(scheduler.status().totals.prompt_tokens, read as u64);
    }
}

#[test]
fn a_request_waits_for_memory_and_fails_if_it_can_never_fit() {
    let session = session();
    let page = session.model().cache_bytes(1);
    let options = SchedulerOptions { kv_bytes: Some(2 * page), ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(&session, options);
    let prompt = session.encode("Once upon a time").unwrap();
    let huge = scheduler.submit(prompt.clone(), request(0, 300)).unwrap();
    let large = scheduler.submit(prompt.clone(), request(1, 150)).unwrap();
    let small = scheduler.submit(prompt.clone(), request(2, 5)).unwrap();
    let events = scheduler.round();
    let [Event::Failed(failed, Error::CacheExceeded { bytes, most, .. }), ..] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*failed, *bytes, *most), (huge, 3 * page, 2 * page));
    let status = scheduler.status();
    assert_eq!((status.waiting, status.running[0].job), (1, large));
    assert_eq!((status.kv_bytes, status.kv_bytes_to_come), (page, page));
    let finished = drain(&mut scheduler);
    for (job, request) in [(large, request(1, 150)), (small, request(2, 5))] {
        assert_eq!(finished[&job].ids, alone(&session, &prompt, &request).ids);
    }
    assert_eq!((scheduler.status().kv_bytes, scheduler.status().totals.failed), (0, 1));
}

#[test]
fn without_a_limit_a_request_runs_alone_where_little_memory_is_free() {
    let session = session();
    let mut scheduler = Scheduler::new(&session, SchedulerOptions::default());
    scheduler.kv_bytes = 0;
    let prompt = session.encode("Once upon a time").unwrap();
    let jobs = [0, 1].map(|seed| scheduler.submit(prompt.clone(), request(seed, 5)).unwrap());
    scheduler.round();
    assert_eq!(scheduler.load(), (1, 1));
    let finished = drain(&mut scheduler);
    for (seed, job) in [0, 1].into_iter().zip(jobs) {
        assert_eq!(finished[&job].ids, alone(&session, &prompt, &request(seed, 5)).ids);
    }
}

#[test]
fn the_least_recently_used_prefix_makes_room() {
    let session = session();
    let kv_bytes = Some(3 * session.model().cache_bytes(1));
    let options = SchedulerOptions { kv_bytes, keep_prefixes: true, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(&session, options);
    let mut is_cached = |text: &str| {
        let job = scheduler.submit(session.encode(text).unwrap(), request(0, 2)).unwrap();
        drain(&mut scheduler)[&job].cached_tokens > 2
    };
    let [king, dragon, wolf, sea] =
        ["A king had a son", "The dragon slept deep", "Some wolf ran away", "By the sea"];
    assert!(!is_cached(king) && !is_cached(dragon) && is_cached(king) && !is_cached(wolf));
    assert!(!is_cached(sea), "the dragon goes");
    assert!(is_cached(king) && !is_cached(dragon));
}

#[test]
fn a_greedy_batch_computes_only_rows_that_may_be_best() {
    let session = session();
    let mut scheduler = Scheduler::new(&session, SchedulerOptions::default());
    for prompt in ["Once upon a time", "The dragon was", "In the deep forest"] {
        let greedy = Request { max_tokens: 20, ..Request::default() };
        scheduler.submit(session.encode(prompt).unwrap(), greedy).unwrap();
    }
    (0..6).for_each(|_| drop(scheduler.round()));
    assert!(scheduler.running.len() == 3 && scheduler.running.iter().all(Running::decodes));
    for running in &mut scheduler.running {
        let logits = running.sequence.state.logits_mut();
        let computed = logits.iter().filter(|logit| logit.is_finite()).count();
        assert!((1..logits.len() / 4).contains(&computed), "{computed} of {} rows", logits.len());
    }
}

#[test]
fn a_request_that_waits_can_be_cancelled() {
    let session = session();
    let options = SchedulerOptions { parallel: 1, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(&session, options);
    let prompt = session.encode("Once").unwrap();
    scheduler.submit(prompt.clone(), request(0, 50)).unwrap();
    let cancel = crate::Cancel::new();
    let from_outside =
        scheduler.submit(prompt.clone(), Request { cancel: cancel.clone(), ..request(1, 50) }).unwrap();
    let by_number = scheduler.submit(prompt, request(2, 50)).unwrap();
    scheduler.round();
    assert_eq!(scheduler.load(), (2, 1));
    cancel.cancel();
    scheduler.cancel(by_number);
    let events = scheduler.round();
    let cancelled = events.iter().filter_map(|event| match event {
        Event::Finished(id, generation) if generation.stop == Stop::Cancelled => Some(*id),
        _ => None,
    });
    assert_eq!(cancelled.collect::<Vec<_>>(), [from_outside, by_number]);
    assert_eq!(scheduler.load(), (0, 1));
}

#[test]
fn one_request_fails_alone() {
    let session = session();
    let mut scheduler = Scheduler::new(&session, SchedulerOptions::default());
    let good = scheduler.submit(session.encode("The sea").unwrap(), request(0, 4)).unwrap();
    let empty = scheduler.submit(Vec::new(), request(0, 4)).unwrap();
    let foreign = scheduler.submit(vec![u32::MAX], request(0, 4)).unwrap();
    let long = scheduler.submit(vec![5; 100_000], request(0, 4)).unwrap();
    let (mut finished, mut failed) = (Vec::new(), Vec::new());
    while !scheduler.is_idle() {
        for event in scheduler.round() {
            match event {
                Event::Finished(id, _) => finished.push(id),
                Event::Failed(id, _) => failed.push(id),
                Event::Step(..) => {}
            }
        }
    }
    assert_eq!((finished, failed), (vec![good], vec![empty, foreign, long]));
}

#[test]
fn a_full_queue_refuses_and_a_cancelled_text_ends() {
    let session = session();
    let options = SchedulerOptions { parallel: 1, queue: 2, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(&session, options);
    let prompt = session.encode("Once").unwrap();
    let first = scheduler.submit(prompt.clone(), request(0, 100)).unwrap();
    scheduler.submit(prompt.clone(), request(1, 2)).unwrap();
    let refused = scheduler.submit(prompt.clone(), request(2, 2));
    assert!(matches!(refused, Err(Error::Busy { waiting: 2 })));
    scheduler.round();
    assert_eq!(scheduler.load(), (1, 1));
    scheduler.cancel(first);
    let generations = drain(&mut scheduler);
    assert_eq!(generations[&first].stop, Stop::Cancelled);
    assert_eq!(generations.len(), 2);
}

#[test]
fn a_request_can_be_cancelled_from_outside_and_harms_no_other() {
    let session = session();
    let prompts = ["Once upon a time", "The dragon was"].map(|prompt| session.encode(prompt).unwrap());
    let cancel = crate::Cancel::new();
    let mut scheduler = Scheduler::new(&session, SchedulerOptions::default());
    let ended =
        scheduler.submit(prompts[0].clone(), Request { cancel: cancel.clone(), ..request(1, 30) }).unwrap();
    let goes_on = scheduler.submit(prompts[1].clone(), request(2, 30)).unwrap();
    (0..5).for_each(|_| drop(scheduler.round()));
    cancel.cancel();
    let finished = drain(&mut scheduler);
    assert_eq!(finished[&ended].stop, Stop::Cancelled);
    assert!(finished[&ended].ids.len() < 6);
    assert_eq!(finished[&goes_on].ids, alone(&session, &prompts[1], &request(2, 30)).ids);
}
