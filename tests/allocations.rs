//! A decoded token allocates nothing.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tercet::formats::ModelFiles;
use tercet::{Candidates, HeadMode, Logits, Model, Rule, Runtime, RuntimeOptions};

/// The system's allocator, counting what all threads ask of it.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_decoded_token_allocates_nothing() {
    const TOKENS: usize = 512;
    // Enough for every thread to have had a part in everything.
    const FIRST: usize = 64;
    let files = ModelFiles::open(&common::path(common::TINY)).unwrap();
    for head in HeadMode::ALL {
        let options = RuntimeOptions { head, threads: Some(2), ..RuntimeOptions::default() };
        let model = Model::load(&files, &Runtime::new(&options)).unwrap();
        let mut state = model.new_state(TOKENS).unwrap();
        let wanted = Logits::Candidates(Candidates { rule: Rule::Top(40), always: &[] });
        let mut decode = |token: usize| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            model.forward(&mut state, &[token as u32 % 200], wanted).unwrap();
            ALLOCATIONS.load(Ordering::Relaxed) - before
        };
        let first: usize = (0..FIRST).map(&mut decode).sum();
        assert!(first > 0, "the first tokens fill the buffers");
        let later: Vec<usize> = (FIRST..TOKENS).map(&mut decode).collect();
        // The test's own harness may allocate when it is woken, once in a while.
        assert!(later.iter().sum::<usize>() <= 2, "{head:?}: {later:?}");
    }
}
