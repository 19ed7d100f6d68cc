//! Decoding a token allocates no memory, unless the KV cache needs another page.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tercet::formats::ModelFiles;
use tercet::{CacheType, Candidates, HeadMode, Logits, Model, Rule, Runtime, RuntimeOptions};

/// The system allocator, with a counter of the allocations of all threads.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every method passes its arguments to the system allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_decoded_token_allocates_nothing() {
    const TOKENS: usize = 512;
    // Enough tokens for every thread to take part in every kind of work.
    const FIRST: usize = 64;
    // Positions of a page of the KV cache.
    const PAGE: usize = 128;
    let files = ModelFiles::open(&common::path(common::TINY)).unwrap();
    let heads = HeadMode::ALL.map(|head| (head, CacheType::F16));
    let caches = CacheType::ALL.map(|cache| (HeadMode::Exact, cache));
    for (head, cache) in heads.into_iter().chain(caches) {
        let cache_type = Some(cache);
        let options = RuntimeOptions { head, cache_type, threads: Some(2), ..RuntimeOptions::default() };
        let model = Model::load(&files, &Runtime::new(&options)).unwrap();
        let mut state = model.new_state(TOKENS).unwrap();
        let wanted = Logits::Candidates(Candidates::by(Rule::Top(40)));
        let mut decode = |token: usize| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            model.forward(&mut state, &[token as u32 % 200], wanted).unwrap();
            ALLOCATIONS.load(Ordering::Relaxed) - before
        };
        let first: usize = (0..FIRST).map(&mut decode).sum();
        assert!(first > 0, "the first tokens fill the buffers");
        let later = (FIRST..TOKENS).map(|token| (token, decode(token)));
        let later: Vec<_> = later.filter(|(token, _)| !token.is_multiple_of(PAGE)).collect();
        // The test harness has a thread of its own, which may allocate when it wakes.
        assert!(later.iter().map(|(_, count)| count).sum::<usize>() <= 2, "{head:?}, {cache:?}: {later:?}");
    }
}
