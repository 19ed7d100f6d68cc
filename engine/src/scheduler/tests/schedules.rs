//! Random schedules: whatever runs beside a request, it gets the text, the probabilities and the end of its lone run, bit
//! for bit.

use std::collections::BTreeMap;
use std::iter::repeat_with;

use tercet_codegen::Isa;
use tercet_cpu::Cpu;
use tercet_grammar::{Grammar, Matcher};

use super::*;
use crate::cancel::Cancel;
use crate::generate::{DraftModel, LogitsProcessor, TokenLogprobs};
use crate::model::Model;

/// Fewer where programs are likely to run under an emulator.
const SCHEDULES: usize = if cfg!(target_arch = "x86_64") { 120 } else { 8 };
/// Schedules for each one that runs on another instruction set than the best.
const OTHERS: usize = 20;
/// Requests that schedules choose from.
const REQUESTS: usize = if cfg!(target_arch = "x86_64") { 48 } else { 12 };

/// Random numbers, the same in every run.
struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn choose<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// A request with the text of its lone run.
struct Case {
    prompt: Vec<u32>,
    request: Request,
    alone: Generation,
}

/// The parts of requests.
struct Makings<'s> {
    session: &'s Session,
    stories: [Vec<u32>; 2],
    grammar: Matcher,
    drafts: [Draft; 3],
}

impl<'s> Makings<'s> {
    fn new(session: &'s Session) -> Self {
        let story = |text: &str| session.encode(&text.repeat(30)).unwrap();
        let stories = [
            story("Once upon a time there was a king who had a daughter. "),
            story("Once upon a time there was a fisherman who lived with his wife by the sea. "),
        ];
        let grammar = Grammar::Regex("(The|A) (king|queen|old dragon) (was|had) [a-z ]{3,40}".to_owned());
        let shallow = Model::load_layers(&crate::fairy_tales(), session.runtime(), 2).unwrap();
        let drafts = [Draft::Lookup, Draft::None, Draft::Model(DraftModel::unchecked(shallow))];
        Makings { session, stories, grammar: session.tokenizer().matcher(&grammar).unwrap(), drafts }
    }

    /// Returns a request with a prompt that may begin like others, and with options of all kinds.
    fn case(&self, random: &mut Random) -> Case {
        let session = self.session;
        let story = random.choose(&self.stories);
        // One in six fills more than a page of keys and values, one in twelve more than a pass of the model takes.
        let length = match random.below(12) {
            0 => 257 + random.below(40),
            1 => 129 + random.below(60),
            _ => 1 + random.below(40),
        };
        let mut prompt = story[..length].to_vec();
        let endings = ["", " The end", " and a dragon", " and a dragon said"];
        prompt.extend(session.tokenizer().encode(random.choose(&endings), false).unwrap());
        let sampler = SamplerOptions {
            temperature: random.choose(&[0.0, 0.9, 1.5]),
            top_k: random.choose(&[0, 0, 5, 40]),
            top_p: random.choose(&[1.0, 0.9]),
            min_p: random.choose(&[0.0, 0.05]),
            repetition_penalty: random.choose(&[1.0, 1.2]),
            presence_penalty: random.choose(&[0.0, 0.5]),
            frequency_penalty: random.choose(&[0.0, 0.3]),
            logit_bias: random.choose(&[vec![], vec![(17, 4.0), (prompt[0], -100.0)]]),
            seed: random.below(1000) as u64,
            ..SamplerOptions::default()
        };
        let request = Request {
            max_tokens: random.choose(&[0, 1, 2, 5, 9, 14]),
            sampler,
            eos: session.request().eos,
            stop: random.choose(&[vec![], vec![" the".to_owned()], vec!["was a".to_owned(), ".".to_owned()]]),
            stop_id: random.choose(&[vec![], vec![300, 301, 302]]),
            logprobs: random.choose(&[None, None, Some(0), Some(3)]),
            logprobs_as_drawn: random.choose(&[false, true]),
            grammar: random.choose(&[None, None, None, Some(self.grammar.clone())]),
            processor: random.choose(&[None, None, None, Some(never_twice())]),
            cancel: Cancel::default(),
            draft: random.choose(&self.drafts),
        };
        let alone = alone(session, &prompt, &request);
        Case { prompt, request, alone }
    }
}

/// Returns a processor that excludes the latest token.
fn never_twice() -> LogitsProcessor {
    LogitsProcessor::new(|history, logits| {
        history.last().into_iter().for_each(|&token| logits[token as usize] = f32::MIN);
        Ok(())
    })
}

impl Case {
    /// Requires that a text is that of the lone run, or its beginning if the request was cancelled.
    fn check(&self, found: &Generation, heard: &Step, may_be_cut: bool) {
        let Case { alone, prompt, .. } = self;
        let cut = found.stop == Stop::Cancelled;
        assert!(may_be_cut || !cut, "nobody has cancelled this request");
        let count = if cut { found.ids.len() } else { alone.ids.len() };
        assert_eq!(found.ids, alone.ids[..count]);
        assert_eq!(bits(&found.logprobs), bits(&alone.logprobs[..count.min(alone.logprobs.len())]));
        assert!(alone.text.starts_with(&found.text));
        if !cut {
            assert_eq!((&found.text, found.stop), (&alone.text, alone.stop));
            assert_eq!(found.prompt_tokens + found.cached_tokens, prompt.len());
        }
        assert_eq!((&heard.ids, &heard.text), (&found.ids, &found.text), "events tell the whole text");
        assert_eq!(bits(&heard.logprobs), bits(&found.logprobs));
    }
}

/// Returns probabilities with every bit.
fn bits(logprobs: &[TokenLogprobs]) -> Vec<(u32, u64)> {
    let all = logprobs.iter().flat_map(|token| [token.chosen].into_iter().chain(token.best.clone()));
    all.map(|logprob| (logprob.token, logprob.logprob.to_bits())).collect()
}

/// One request in a schedule.
struct Submitted<'c> {
    case: &'c Case,
    /// Somebody cancels it at some time.
    may_be_cut: bool,
    /// The sum of its steps so far.
    heard: Step,
}

fn options(session: &Session, random: &mut Random) -> SchedulerOptions {
    // From one page, which is too little for some requests, to more than all of them take.
    let pages = random.choose(&[1, 2, 3, 4, 6, 10, 100]);
    SchedulerOptions {
        parallel: 1 + random.below(6),
        round_time: random.choose(&[None, Some(ROUND)]),
        kv_bytes: Some(pages * session.model().cache_bytes(1)),
        keep_prefixes: random.one_in(2),
        ..SchedulerOptions::default()
    }
}

/// Runs a random schedule of some of the cases.
fn run(session: &Session, cases: &[Case], random: &mut Random) {
    let options = options(session, random);
    // The random clock makes parts of all sizes.
    let mut scheduler = Scheduler::new(session, options).with_clock(clock(random.below(1 << 20) as u64));
    let mut submitted = BTreeMap::new();
    let mut to_come = 1 + random.below(9);
    while to_come > 0 || !scheduler.is_idle() {
        if to_come > 0 && (scheduler.is_idle() || random.one_in(2)) {
            to_come -= 1;
            let case = &cases[random.below(cases.len())];
            let mut request = case.request.clone();
            let cuts_itself = random.one_in(6);
            if cuts_itself {
                // The wish comes in the midst of a pass.
                let looks = AtomicU64::new(random.below(400) as u64);
                let ended = move || {
                    looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err()
                };
                request.cancel = Cancel::when(ended);
            }
            let id = scheduler.submit(case.prompt.clone(), request).unwrap();
            submitted.insert(id, Submitted { case, may_be_cut: cuts_itself, heard: Step::default() });
        }
        if random.one_in(12)
            && let Some((id, cancelled)) = submitted.iter_mut().nth(random.below(9))
        {
            cancelled.may_be_cut = true;
            scheduler.cancel(*id);
        }
        for event in scheduler.round() {
            match event {
                Event::Step(id, step) => {
                    let heard = &mut submitted.get_mut(&id).expect("steps are of requests that run").heard;
                    heard.ids.extend(step.ids);
                    heard.text += &step.text;
                    heard.logprobs.extend(step.logprobs);
                }
                Event::Finished(id, generation) => {
                    let Submitted { case, may_be_cut, heard } = submitted.remove(&id).expect("it ends once");
                    case.check(&generation, &heard, may_be_cut);
                }
                Event::Failed(id, error) => {
                    let case = submitted.remove(&id).expect("it ends once").case;
                    let tokens = case.prompt.len() + case.request.max_tokens;
                    let most = options.kv_bytes.unwrap();
                    assert!(matches!(error, Error::CacheExceeded { .. }), "{error}");
                    assert!(session.model().cache_bytes(tokens) > most);
                }
            }
        }
        let status = scheduler.status();
        assert!(status.running.len() <= options.parallel);
        assert!(status.kv_bytes + status.kv_bytes_to_come <= status.kv_bytes_limit, "{status:?}");
    }
    assert!(submitted.is_empty(), "{} requests are lost", submitted.len());
    let SchedulerTotals { submitted, finished, failed, .. } = scheduler.status().totals;
    assert_eq!(submitted, finished + failed);
}

/// Returns a session with an instruction set and a number of threads of its own.
fn session_with(isa: Isa, threads: usize) -> Session {
    let options = RuntimeOptions { isa_cap: Some(isa), threads: Some(threads), ..RuntimeOptions::default() };
    Session::new(crate::fairy_tales(), Runtime::new(&options), None, &mut |_| {}).unwrap()
}

#[test]
fn every_schedule_gives_each_request_its_lone_text() {
    let (alone, mut random) = (session(), Random(ChaCha8Rng::seed_from_u64(1)));
    let makings = Makings::new(&alone);
    let cases: Vec<Case> = repeat_with(|| makings.case(&mut random)).take(REQUESTS).collect();
    let best = [1, 2].map(|threads| session_with(Isa::best(Cpu::host()), threads));
    let others = Isa::available(Cpu::host()).into_iter().filter(|isa| *isa != Isa::best(Cpu::host()));
    let others: Vec<Session> = others.map(|isa| session_with(isa, 2)).collect();
    for schedule in 0..SCHEDULES {
        // Portable code takes many times as long.
        let other = others.get(schedule / OTHERS % others.len().max(1)).filter(|_| schedule % OTHERS == 0);
        run(other.unwrap_or(&best[schedule % 2]), &cases, &mut random);
    }
}
