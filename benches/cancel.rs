//! Measures how soon a pass ends after a wish to end it, on random weights in the shape of BitNet b1.58 2B-4T.
//!
//! Each line has the time of a whole pass, and the longest time from one of twenty wishes to its return.

use std::thread;
use std::time::{Duration, Instant};

use tercet::{Cancel, Logits, Model, Preset, Runtime, RuntimeOptions};

/// Passes by name: tokens in the cache before, tokens of the pass, and the wanted logits.
const PASSES: [(&str, usize, usize, Logits<'static>); 4] = [
    ("prefill", 0, 256, Logits::Last),
    ("prefill behind 3500 tokens", 3500, 256, Logits::Last),
    ("decode", 0, 1, Logits::Last),
    ("logits of every token", 0, 64, Logits::All),
];
const WISHES: u32 = 20;

fn main() -> Result<(), tercet::Error> {
    let preset = Preset::find("bitnet-2b-4t").expect("the preset exists");
    let model = Model::synthetic(&preset, &Runtime::new(&RuntimeOptions::default()))?;
    println!("{:<28} {:>10} {:>16}", "pass", "whole, ms", "longest end, ms");
    for (name, before, tokens, wanted) in PASSES {
        let (whole, longest) = measure(&model, before, tokens, wanted)?;
        println!("{name:<28} {:>10.0} {:>16.1}", whole.as_secs_f64() * 1e3, longest.as_secs_f64() * 1e3);
    }
    Ok(())
}

/// Returns the time of a whole pass, and the longest time from a wish to the return of the pass.
fn measure(
    model: &Model,
    before: usize,
    tokens: usize,
    wanted: Logits<'_>,
) -> Result<(Duration, Duration), tercet::Error> {
    let mut state = model.new_state(4096)?;
    if before > 0 {
        model.forward(&mut state, &vec![5; before], Logits::None)?;
    }
    let prompt = vec![5; tokens];
    let start = Instant::now();
    model.forward(&mut state, &prompt, wanted)?;
    let whole = start.elapsed();

    let mut longest = Duration::ZERO;
    for i in 0..WISHES {
        state.truncate(before);
        let cancel = Cancel::new();
        state.set_cancel(cancel.clone());
        let wish = thread::spawn(move || {
            thread::sleep(whole * i / WISHES);
            cancel.cancel();
            Instant::now()
        });
        let cancelled = model.forward(&mut state, &prompt, wanted).is_err();
        let end = Instant::now();
        let wish = wish.join().expect("the thread only sleeps");
        if cancelled {
            longest = longest.max(end.saturating_duration_since(wish));
        }
    }
    Ok((whole, longest))
}
