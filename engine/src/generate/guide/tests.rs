use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Value, json};
use tercet_grammar::{Grammar, Next};

use crate::generate::{Generation, Request, Stop};
use crate::model::Logits;
use crate::runtime::{HeadMode, Runtime, RuntimeOptions};
use crate::sampler::{Sampler, SamplerOptions};
use crate::scheduler::{Event, Scheduler, SchedulerOptions};
use crate::session::Session;

fn session(head: HeadMode) -> Session {
    let options = RuntimeOptions { threads: Some(1), head, ..RuntimeOptions::default() };
    Session::new(crate::fairy_tales(), Runtime::new(&options), None, &mut |_| {}).unwrap()
}

fn person() -> Grammar {
    Grammar::JsonSchema(json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "kind": { "enum": ["king", "dragon", "girl"] },
            "age": { "type": "integer", "minimum": 0, "maximum": 900 },
            "friends": { "type": "array", "items": { "type": "string", "maxLength": 8 }, "maxItems": 2 },
        },
        "required": ["name", "kind", "age", "friends"],
        "additionalProperties": false,
    }))
}

fn grammars() -> Vec<Grammar> {
    vec![
        person(),
        Grammar::Regex("The (king|queen|old dragon) (was|had) [a-z ]{3,40}\\.".to_owned()),
        Grammar::Gbnf("root ::= (\"- \" [A-Z] [a-z ]+ \"\\n\"){2,3}".to_owned()),
    ]
}

fn request(session: &Session, grammar: &Grammar, seed: u64, temperature: f32) -> Request {
    let sampler = SamplerOptions { temperature, seed, repetition_penalty: 1.1, ..SamplerOptions::default() };
    let grammar = Some(session.tokenizer().matcher(grammar).unwrap());
    Request { max_tokens: 160, sampler, grammar, ..session.request() }
}

fn generate(session: &Session, request: &Request) -> Generation {
    session.generate("Once upon a time", request, |_| ControlFlow::Continue(())).unwrap()
}

/// Generates by the logits of the whole vocabulary, where tokens that may not follow have the logit -∞.
fn by_whole_logits(session: &Session, request: &Request) -> Vec<u32> {
    let mut history = session.encode("Once upon a time").unwrap();
    let mut state = session.model().new_state(512).unwrap();
    let mut sampler = Sampler::new(request.sampler.clone()).unwrap();
    let mut matcher = request.grammar.as_ref().unwrap().start(&request.eos);
    let (start, mut unread) = (history.len(), history.clone());
    while history.len() - start < request.max_tokens {
        let logits = session.model().forward(&mut state, &unread, Logits::Last).unwrap();
        let may_follow: Box<dyn Fn(u32) -> bool> = match matcher.allowed().unwrap() {
            Next::End => break,
            Next::Forced(tokens) => Box::new(move |token| token == tokens[0]),
            Next::Choice(mask) => Box::new(move |token| mask.contains(token)),
        };
        for (token, logit) in logits.iter_mut().enumerate() {
            if !may_follow(token as u32) {
                *logit = f32::NEG_INFINITY;
            }
        }
        let token = sampler.sample(logits, &history);
        history.push(token);
        if request.eos.contains(&token) {
            break;
        }
        matcher.accept(token).unwrap();
        unread = vec![token];
    }
    history.split_off(start)
}

#[test]
fn a_text_by_a_grammar_is_sampled_from_the_allowed_logits() {
    let session = session(HeadMode::Exact);
    for grammar in grammars() {
        for (seed, temperature) in [(0, 0.0), (1, 0.8), (2, 1.5)] {
            let request = request(&session, &grammar, seed, temperature);
            let text = generate(&session, &request);
            assert_eq!(text.ids, by_whole_logits(&session, &request), "{grammar:?}: {}", text.text);
        }
    }
}

#[test]
fn json_is_whole_and_valid() {
    for head in [HeadMode::Exact, HeadMode::Int8] {
        let session = session(head);
        for seed in 0..6 {
            let text = generate(&session, &request(&session, &person(), seed, 1.3));
            assert_eq!(text.stop, Stop::Eos, "{}", text.text);
            let person: Value = serde_json::from_str(&text.text).unwrap();
            assert!(person["name"].as_str().unwrap().chars().count() <= 12);
            assert!(["king", "dragon", "girl"].contains(&person["kind"].as_str().unwrap()));
            assert!(person["age"].as_u64().unwrap() <= 900);
            assert!(person["friends"].as_array().unwrap().len() <= 2);
            assert_eq!(person.as_object().unwrap().len(), 4);
        }
    }
}

#[test]
fn probabilities_are_those_of_the_model_and_change_no_token() {
    let session = session(HeadMode::Exact);
    let plain = request(&session, &person(), 3, 1.0);
    let reported = generate(&session, &Request { logprobs: Some(2), ..plain.clone() });
    assert_eq!(reported.ids, generate(&session, &plain).ids);
    let prompt = session.encode("Once upon a time").unwrap();
    let tokens = [prompt.as_slice(), &reported.ids].concat();
    let mut state = session.model().new_state(tokens.len()).unwrap();
    let logits = session.model().forward(&mut state, &tokens[..tokens.len() - 1], Logits::All).unwrap();
    let rows = logits.chunks(session.model().config().vocab_size).skip(prompt.len() - 1);
    for ((row, id), logprobs) in rows.zip(&reported.ids).zip(&reported.logprobs) {
        assert_eq!(*logprobs, crate::TokenLogprobs::new(*id, row, 2));
    }
}

#[test]
fn a_batch_gives_each_request_its_lone_text() {
    let session = session(HeadMode::Exact);
    let requests = || {
        let grammars = grammars().into_iter().cycle().take(7).enumerate();
        let with = grammars.map(|(i, grammar)| request(&session, &grammar, i as u64, 0.9));
        with.chain([Request { max_tokens: 40, ..session.request() }]).collect::<Vec<_>>()
    };
    for round_time in [None, Some(Duration::from_millis(1))] {
        let options =
            SchedulerOptions { parallel: 3, round_time, keep_prefixes: true, ..SchedulerOptions::default() };
        let mut scheduler = Scheduler::new(&session, options);
        let prompt = session.encode("Once upon a time").unwrap();
        let submit = |request: &Request| scheduler.submit(prompt.clone(), request.clone()).unwrap();
        let requests = requests();
        let jobs: Vec<_> = requests.iter().map(submit).collect();
        let mut streamed = vec![Vec::new(); jobs.len()];
        while !scheduler.is_idle() {
            for event in scheduler.round() {
                let at = |id| jobs.iter().position(|job| *job == id).unwrap();
                match event {
                    Event::Step(id, step) => streamed[at(id)].extend(step.ids),
                    Event::Finished(id, text) => {
                        assert_eq!(text.ids, generate(&session, &requests[at(id)]).ids);
                        assert_eq!(text.ids, streamed[at(id)]);
                    }
                    Event::Failed(_, error) => panic!("{error}"),
                }
            }
        }
    }
}

#[test]
fn a_text_without_choice_takes_no_logits_and_ends() {
    let session = session(HeadMode::Exact);
    let forced = Grammar::Regex("The king was happy\\.".to_owned());
    let text = generate(&session, &request(&session, &forced, 0, 1.0));
    assert_eq!((text.text.as_str(), text.stop), ("The king was happy.", Stop::Eos));
    let empty = generate(&session, &request(&session, &Grammar::Regex("".to_owned()), 0, 1.0));
    assert_eq!((empty.ids.len(), empty.stop), (0, Stop::Eos));
    let short = Request { max_tokens: 2, ..request(&session, &forced, 0, 1.0) };
    assert_eq!((generate(&session, &short).ids.len(), generate(&session, &short).stop), (2, Stop::Length));
}

#[test]
fn a_stop_string_ends_the_text_within_a_grammar() {
    let session = session(HeadMode::Exact);
    let request = request(&session, &Grammar::Regex("The king was happy\\.".to_owned()), 0, 1.0);
    let text = generate(&session, &Request { stop: vec!["was".to_owned()], ..request });
    assert_eq!((text.text.as_str(), text.stop), ("The king ", Stop::StopString));
}

#[test]
fn an_invalid_grammar_is_refused_by_its_field() {
    let session = session(HeadMode::Exact);
    let refused = |grammar: Grammar| session.tokenizer().matcher(&grammar).unwrap_err().to_string();
    assert!(refused(Grammar::JsonSchema(json!({ "type": "animal" }))).starts_with("json_schema: "));
    assert!(refused(Grammar::Gbnf("root ::= (".to_owned())).starts_with("grammar: line 1, column 11: "));
    assert!(refused(Grammar::Regex("(".to_owned())).starts_with("regex: "));
}
