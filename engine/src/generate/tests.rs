mod models;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::model::{Logits, Model};
use crate::runtime::{Runtime, RuntimeOptions};
use crate::session::Session;

fn session() -> Session {
    let options = RuntimeOptions { threads: Some(2), ..RuntimeOptions::default() };
    Session::new(crate::fairy_tales(), Runtime::new(&options), None, &mut |_| {}).unwrap()
}

/// Returns a wish that is uttered at the look number `at`, and the number of looks.
fn at_look(at: usize) -> (Cancel, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&looks);
    (Cancel::when(move || counter.fetch_add(1, Ordering::Relaxed) >= at), looks)
}

fn run(session: &Session, sequence: &mut Sequence, prompt: &[u32], cancel: Cancel) -> Generation {
    let request = Request { max_tokens: 8, cancel, ..Request::default() };
    let (model, tokenizer) = (session.model(), session.tokenizer());
    let continuation = Continuation::new(model, tokenizer, sequence, prompt, request).unwrap();
    continuation.run(model, sequence, |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_text_that_is_cancelled_at_any_moment_goes_on_as_if_it_were_not() {
    let session = session();
    let prompt =
        session.encode(&"Once upon a time there was a king who had a daughter. ".repeat(24)).unwrap();
    assert!(prompt.len() > 256, "the prompt is read in parts");
    let sequence = || Sequence::new(session.model(), 512).unwrap();
    let (never, looks) = at_look(usize::MAX);
    let whole = run(&session, &mut sequence(), &prompt, never);
    assert_eq!(whole.ids.len(), 8);
    let looks = looks.load(Ordering::Relaxed);
    let parts = prompt.len() / 256 + 8;
    assert!(looks > parts * session.model().config().layers, "{looks} looks in {parts} passes");

    for at in (0..looks).step_by(looks / 23) {
        let mut sequence = sequence();
        let cut = run(&session, &mut sequence, &prompt, at_look(at).0);
        assert_eq!(
            (cut.stop, cut.ids.as_slice()),
            (Stop::Cancelled, &whole.ids[..cut.ids.len()]),
            "look {at}"
        );
        let rest = run(&session, &mut sequence, &[], Cancel::new());
        let all = [cut.ids, rest.ids].concat();
        assert_eq!(all[..8], whole.ids, "look {at}");
    }
}

/// The longer the context, the more work attention does between two looks, unless it looks in every segment.
#[test]
fn attention_looks_up_in_every_segment_of_the_context() {
    const SEGMENT: usize = 512;
    let fixture = |file| {
        std::fs::read(format!("{}/../tests/fixtures/bitnet-tiny/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let mut config: serde_json::Value = serde_json::from_slice(&fixture("config.json")).unwrap();
    config["max_position_embeddings"] = 4096.into();
    let config: &'static [u8] = config.to_string().into_bytes().leak();
    let tensors: &'static [u8] = fixture("model.safetensors").leak();
    let files = Box::leak(Box::new([("config.json", config), ("model.safetensors", tensors)]));
    let files = tercet_formats::ModelFiles::embedded("long".into(), files);
    let options = RuntimeOptions { threads: Some(2), ..RuntimeOptions::default() };
    let model = Model::load(&files, &Runtime::new(&options)).unwrap();

    let looks = |position: usize, tokens: usize| {
        let mut state = model.new_state(4096).unwrap();
        model.forward(&mut state, &vec![5; position], Logits::None).unwrap();
        let (never, looks) = at_look(usize::MAX);
        state.set_cancel(never);
        model.forward(&mut state, &vec![6; tokens], Logits::Last).unwrap();
        looks.load(Ordering::Relaxed)
    };
    let heads = model.config().layers * model.config().kv_heads;
    assert_eq!(looks(5 * SEGMENT, 1) - looks(SEGMENT, 1), heads * 4);
    // The last layer attends for the last token alone.
    let tasks = (model.config().layers - 1) * model.config().kv_heads * 2 + model.config().kv_heads;
    assert_eq!(looks(5 * SEGMENT, 16) - looks(SEGMENT, 16), tasks * 4);
}

#[test]
fn a_cancelled_request_reads_nothing() {
    let session = session();
    let cancel = Cancel::new();
    cancel.cancel();
    let mut sequence = Sequence::new(session.model(), 64).unwrap();
    let cut = run(&session, &mut sequence, &[1, 2, 3], cancel);
    assert_eq!((cut.stop, cut.ids.len(), sequence.state.position()), (Stop::Cancelled, 0, 0));
}

#[test]
fn predictions_can_be_cancelled() {
    let session = session();
    let ids = session.encode(&"The king was happy. ".repeat(40)).unwrap();
    let windows = crate::prediction::Windows::new(session.model(), session.tokenizer(), None).unwrap();
    let outcome = windows.predict(session.model(), &ids, &at_look(10).0, |_| {});
    assert!(matches!(outcome, Err(crate::Error::Cancelled)));
}

#[test]
fn special_tokens_and_ids_end_the_text() {
    let session = session();
    // With this seed the story ends within the context, and the model begins a new one after its end token.
    let sampler = crate::SamplerOptions { seed: 1, ..session.request().sampler };
    let prompt = session.encode("Once upon a time").unwrap();
    let story = |request: Request| {
        let request = Request { max_tokens: 480, sampler: sampler.clone(), ..request };
        let mut generator = Generator::new(session.model(), session.tokenizer(), 512).unwrap();
        generator.generate(&prompt, &request, |_| ControlFlow::Continue(())).unwrap()
    };
    let ended = story(session.request());
    assert_eq!(ended.stop, Stop::Eos);
    let end = ended.ids[ended.ids.len() - 1];
    let spelling = session.tokenizer().token_str(end).unwrap();
    let stopped = |stop: Vec<String>| story(Request { stop, ..Request::default() });

    let by_string = stopped(vec![spelling.clone()]);
    assert_eq!((by_string.stop, &by_string.ids), (Stop::StopString, &ended.ids));
    assert_eq!(by_string.text, ended.text);
    let last = ended.text.chars().last().unwrap();
    let spanning = stopped(vec![format!("{last}{spelling}")]);
    assert_eq!((spanning.stop, &spanning.ids), (Stop::StopString, &ended.ids));
    assert_eq!(spanning.text, ended.text[..ended.text.len() - last.len_utf8()]);

    let by_id = story(Request { stop_id: vec![end, 0], ..Request::default() });
    assert_eq!((by_id.stop, &by_id.ids, &by_id.text), (Stop::StopId, &ended.ids, &ended.text));
    let word = ended.ids[3];
    let at_word = story(Request { stop_id: vec![word], ..session.request() });
    let first = ended.ids.iter().position(|&id| id == word).unwrap();
    assert_eq!((at_word.stop, at_word.ids.as_slice()), (Stop::StopId, &ended.ids[..=first]));
}

#[test]
fn stop_tokens_outside_the_vocabulary_are_refused() {
    let session = session();
    let request = Request { stop_id: vec![4096], ..session.request() };
    let refused = session.generate("Once", &request, |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(refused.starts_with("stop_id: token 4096 is outside"), "{refused}");
}

/// Prompts that texts repeat, or not.
const PROMPTS: [&str; 3] = [
    "A red fox met a blue hen. A red fox met a blue hen. A red fox met a blue hen. A red fox",
    "Tom said: \"No.\" Ann said: \"Yes.\" Tom said: \"No.\" Ann said: \"Yes.\" Tom said:",
    "Once upon a time",
];

#[test]
fn drafts_change_no_text() {
    let session = session();
    let (mut drafted, mut accepted) = (0, 0);
    for (seed, prompt) in (0..).zip(PROMPTS.iter().cycle().take(24)) {
        let greedy = seed < 3;
        let sampler = crate::SamplerOptions {
            temperature: if greedy { 0.0 } else { 0.7 },
            top_k: [0, 50][seed as usize % 2],
            top_p: 0.95,
            repetition_penalty: if seed % 4 == 3 { 1.1 } else { 1.0 },
            frequency_penalty: if seed % 4 == 2 { 0.2 } else { 0.0 },
            seed,
            ..crate::SamplerOptions::default()
        };
        let (ids, eos) = (session.encode(prompt).unwrap(), session.defaults().eos_token_ids.clone());
        let stop = if seed % 5 == 4 { vec!["blue hen".to_owned(), "said".to_owned()] } else { Vec::new() };
        let request = Request { max_tokens: 60, sampler, eos, stop, ..Request::default() };
        let texts = [Draft::None, Draft::Lookup].map(|draft| {
            let (model, request) = (session.model(), Request { draft, ..request.clone() });
            let mut sequence = Sequence::for_request(model, &ids, &request).unwrap();
            let mut continuation =
                Continuation::new(model, session.tokenizer(), &mut sequence, &ids, request).unwrap();
            continuation.draft_eagerly();
            let mut streamed = String::new();
            let on_text = |text: &str| {
                streamed.push_str(text);
                ControlFlow::Continue(())
            };
            let generation = continuation.run(model, &mut sequence, on_text).unwrap();
            assert_eq!(streamed, generation.text);
            assert_eq!(sequence.history()[ids.len()..], generation.ids);
            assert!(sequence.pending().len() <= 1);
            (generation, sequence.read().to_vec())
        });
        let [(plain, read), (fast, read_fast)] = texts;
        assert_eq!((plain.ids, plain.text, plain.stop), (fast.ids, fast.text, fast.stop), "{prompt}");
        assert_eq!((read, plain.drafted), (read_fast, 0));
        (drafted, accepted) = (drafted + fast.drafted, accepted + fast.accepted);
    }
    assert!(accepted > 50 && drafted > accepted, "{accepted} of {drafted}");
}
