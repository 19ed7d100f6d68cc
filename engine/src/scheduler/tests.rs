use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::generate::{Generator, Stop};
use crate::runtime::{Runtime, RuntimeOptions};
use crate::sampler::SamplerOptions;

fn session() -> Session {
    let options = RuntimeOptions { threads: Some(1), ..RuntimeOptions::default() };
    Session::new(crate::fairy_tales(), Runtime::new(&options), None, &mut |_| {}).unwrap()
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
fn every_schedule_gives_each_request_its_lone_text() {
    let session = session();
    let story = session.encode(&"Once upon a time there was a king who had a daughter. ".repeat(24)).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut below = |bound: usize| random.next_u32() as usize % bound;
    for _ in 0..5 {
        let options = SchedulerOptions {
            parallel: 1 + below(6),
            prompt_tokens: [1, 20, 300, usize::MAX][below(4)],
            prompts_first: below(2) == 0,
            kept_prefixes: below(3),
            ..SchedulerOptions::default()
        };
        let mut scheduler = Scheduler::new(&session, options);
        let (mut asked, mut finished) = (BTreeMap::new(), BTreeMap::new());
        let mut cancelled = Vec::new();
        for seed in 0..8 {
            // One in eight is longer than a pass of the model takes.
            let length = if below(8) == 0 { 270 } else { 1 + below(40) };
            let mut prompt = story[..length].to_vec();
            prompt.extend(session.tokenizer().encode(["The end", " and a dragon"][below(2)], false).unwrap());
            let request = request(seed, 1 + below(8));
            let id = scheduler.submit(prompt.clone(), request.clone()).unwrap();
            asked.insert(id, (prompt, request));
            if below(5) == 0 {
                scheduler.cancel(id);
                cancelled.push(id);
            }
            for event in (0..below(3)).flat_map(|_| scheduler.round()).collect::<Vec<_>>() {
                if let Event::Finished(id, generation) = event {
                    finished.insert(id, generation);
                }
            }
        }
        finished.extend(drain(&mut scheduler));
        for (id, (prompt, request)) in &asked {
            match finished.get(id) {
                Some(generation) => {
                    let alone = alone(&session, prompt, request);
                    assert_eq!((&generation.ids, &generation.text), (&alone.ids, &alone.text), "{options:?}");
                    assert_eq!(generation.prompt_tokens + generation.cached_tokens, prompt.len());
                }
                None => assert!(cancelled.contains(id), "{id:?} is lost"),
            }
        }
    }
}

#[test]
fn a_common_prefix_is_read_once() {
    let session = session();
    let system = session.encode(&"The king had three sons. ".repeat(40)).unwrap();
    let options = SchedulerOptions { parallel: 2, kept_prefixes: 1, ..SchedulerOptions::default() };
    let mut scheduler = Scheduler::new(&session, options);
    for question in [" The first", " The second", " The third"] {
        let prompt = [&system[..], &session.tokenizer().encode(question, false).unwrap()].concat();
        scheduler.submit(prompt, request(0, 3)).unwrap();
    }
    let generations: Vec<_> = drain(&mut scheduler).into_values().collect();
    assert_eq!(generations[0].cached_tokens, 0);
    for later in &generations[1..] {
        assert!(later.cached_tokens >= system.len() && later.prompt_tokens < 10, "{later:?}");
    }
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
