//! Drafts by models.

use serde_json::Value;
use tercet_formats::ModelFiles;

use super::*;
use crate::error::Error;

fn runtime() -> Runtime {
    Runtime::new(&RuntimeOptions { threads: Some(2), ..RuntimeOptions::default() })
}

/// Returns a session of the embedded model after `change` of one of its files.
fn changed(file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Session {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/fairy-tales");
    let mut change = Some(change);
    let read = |name: &'static str| {
        let mut bytes = std::fs::read(format!("{folder}/{name}")).unwrap();
        if name == file {
            change.take().unwrap()(&mut bytes);
        }
        (name, &*bytes.leak())
    };
    let names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    let files: Vec<(&'static str, &'static [u8])> = names.map(read).to_vec();
    let files = ModelFiles::embedded("changed".into(), files.leak());
    Session::new(files, runtime(), None, &mut |_| {}).unwrap()
}

fn change_json(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Value)) {
    let mut json = serde_json::from_slice(bytes).unwrap();
    change(&mut json);
    *bytes = serde_json::to_vec(&json).unwrap();
}

/// Returns the embedded model with a context of `context` tokens.
fn short(context: usize) -> Session {
    changed("config.json", |bytes| {
        change_json(bytes, |json| json["max_position_embeddings"] = context.into());
    })
}

/// Returns the embedded model with all logits negated: it finds best what is worst.
fn negated() -> Session {
    changed("model.safetensors", |bytes| {
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let tensors: Value = serde_json::from_slice(&bytes[8..header]).unwrap();
        let norm = &tensors["model.norm.weight"];
        let offset = |at: usize| header + norm["data_offsets"][at].as_u64().unwrap() as usize;
        let size = if norm["dtype"] == "F32" { 4 } else { 2 };
        bytes[offset(0)..offset(1)].chunks_mut(size).for_each(|element| element[size - 1] ^= 0x80);
    })
}

fn with(draft: Session) -> Session {
    session().with_draft_model(draft).unwrap()
}

fn generate(session: &Session, ids: &[u32], request: &Request) -> Generation {
    let mut sequence = Sequence::for_request(session.model(), ids, request).unwrap();
    eagerly(session, &mut sequence, ids, request)
}

fn eagerly(session: &Session, sequence: &mut Sequence, ids: &[u32], request: &Request) -> Generation {
    let (model, tokenizer) = (session.model(), session.tokenizer());
    let mut continuation = Continuation::new(model, tokenizer, sequence, ids, request.clone()).unwrap();
    continuation.draft_eagerly();
    continuation.run(model, sequence, |_| ControlFlow::Continue(())).unwrap()
}

/// Compares texts with drafts and without. Returns the drafted and the accepted tokens, greedy and sampled.
fn compare(draft: &Draft) -> [(usize, usize); 2] {
    let session = session();
    let mut counts = [(0, 0); 2];
    for (seed, prompt) in (0..).zip(PROMPTS.iter().cycle().take(9)) {
        let is_sampled = seed >= 3;
        let sampler = crate::SamplerOptions {
            temperature: if is_sampled { 0.8 } else { 0.0 },
            repetition_penalty: if seed % 3 == 2 && is_sampled { 1.1 } else { 1.0 },
            seed,
            ..crate::SamplerOptions::default()
        };
        let ids = session.encode(prompt).unwrap();
        let request = Request { max_tokens: 60, sampler, draft: Draft::None, ..Request::default() };
        let plain = generate(&session, &ids, &request);
        let fast = generate(&session, &ids, &Request { draft: draft.clone(), ..request });
        assert_eq!((plain.ids, plain.text, plain.stop), (fast.ids, fast.text, fast.stop), "{prompt}");
        let (drafted, accepted) = &mut counts[usize::from(is_sampled)];
        (*drafted, *accepted) = (*drafted + fast.drafted, *accepted + fast.accepted);
    }
    counts
}

#[test]
fn drafts_change_no_text_whichever_model_makes_them() {
    let of = |draft: Session| compare(&with(draft).request().draft);
    let [(drafted, accepted), (sampled, accepted_sampled)] = of(session());
    assert!(accepted == drafted && drafted > 100, "{accepted} of {drafted}");
    assert!(0 < accepted_sampled && accepted_sampled < sampled, "{accepted_sampled} of {sampled}");

    let [(drafted, accepted), _] = of(negated());
    assert!(accepted == 0 && drafted > 30, "{accepted} of {drafted}");

    let shallow = Model::load_layers(&crate::fairy_tales(), &runtime(), 2).unwrap();
    let [(drafted, accepted), _] = compare(&Draft::Model(DraftModel::unchecked(shallow)));
    assert!(0 < accepted && accepted < drafted, "{accepted} of {drafted}");
}

#[test]
fn a_draft_model_ends_with_its_context() {
    let draft = with(short(40)).request().draft;
    let [(drafted, accepted), _] = compare(&draft);
    assert!(accepted == drafted && drafted > 20, "{accepted} of {drafted}");
    let session = session();
    let ids = session.encode(&"The king was happy. ".repeat(20)).unwrap();
    assert!(ids.len() > 40);
    let long = generate(&session, &ids, &Request { max_tokens: 9, draft, ..Request::default() });
    assert_eq!((long.ids.len(), long.drafted), (9, 0));
}

#[test]
fn a_draft_model_that_fails_is_done_without() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
    let tiny = Model::load(&ModelFiles::open(fixture.as_ref()).unwrap(), &runtime()).unwrap();
    assert!(tiny.config().vocab_size < session().model().config().vocab_size);
    assert_eq!(compare(&Draft::Model(DraftModel::unchecked(tiny))), [(0, 0); 2]);
}

#[test]
fn a_draft_model_with_other_tokens_is_refused() {
    let other = changed("tokenizer.json", |bytes| {
        change_json(bytes, |json| {
            let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
            for id in vocabulary.values_mut() {
                *id = match id.as_u64() {
                    Some(300) => 301.into(),
                    Some(301) => 300.into(),
                    _ => continue,
                };
            }
        });
    });
    let refused = session().with_draft_model(other).unwrap_err();
    assert!(matches!(refused, Error::OtherTokens { token: 300, .. }) && refused.is_bad_input());
    let message = refused.to_string();
    assert!(message.starts_with("the draft model changed has other tokens than fairy-tales: token 300 is "));
}

#[test]
fn a_draft_model_reads_a_long_prompt_in_parts_and_keeps_it() {
    let session = with(session());
    let ids = session.encode(&"Once upon a time there was a king. ".repeat(32)).unwrap();
    assert!(ids.len() > 256);
    let request = Request { max_tokens: 24, ..session.request_with(&greedy()) };
    let mut sequence = Sequence::new(session.model(), 512).unwrap();
    let first = eagerly(&session, &mut sequence, &ids, &request);
    assert!(first.accepted > 0 && first.accepted == first.drafted);
    let read = sequence.follower.as_ref().unwrap().read.len();
    assert!(read > ids.len());

    // A part that is taken back and made again: the model need not read the prompt again.
    sequence.rewind_to(&[&ids, &first.ids[..8]].concat());
    let rest = Request { max_tokens: 15, ..request.clone() };
    let again = eagerly(&session, &mut sequence, &first.ids[8..9], &rest);
    assert_eq!(again.ids, first.ids[9..]);
    assert!(again.drafted >= 12, "{}", again.drafted);
    eagerly(&session, &mut sequence, &[], &Request { max_tokens: 1, draft: Draft::None, ..request });
    assert!(sequence.follower.is_none());
}

#[test]
fn texts_with_a_draft_model_are_cancelled_at_any_moment() {
    let session = with(session());
    let ids = session.encode("Once upon a time there was a king who had a daughter.").unwrap();
    let request = Request { max_tokens: 24, ..session.request_with(&greedy()) };
    let run = |cancel: Cancel| {
        let mut sequence = Sequence::new(session.model(), 512).unwrap();
        let cut = eagerly(&session, &mut sequence, &ids, &Request { cancel, ..request.clone() });
        (cut, sequence)
    };
    let (never, looks) = at_look(usize::MAX);
    let (whole, _) = run(never);
    let looks = looks.load(Ordering::Relaxed);
    for at in (0..looks).step_by(looks / 31) {
        let (cut, mut sequence) = run(at_look(at).0);
        assert_eq!((cut.stop, &cut.ids[..]), (Stop::Cancelled, &whole.ids[..cut.ids.len()]), "look {at}");
        let rest = Request { max_tokens: 24 - cut.ids.len(), ..request.clone() };
        let rest = eagerly(&session, &mut sequence, &[], &rest);
        assert_eq!([cut.ids, rest.ids].concat(), whole.ids, "look {at}");
    }
}

fn greedy() -> crate::SamplingChoices {
    crate::SamplingChoices { greedy: true, ..crate::SamplingChoices::default() }
}
