use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
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
