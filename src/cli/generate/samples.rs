//! Several texts of one prompt, which grow together.

use anyhow::Result;
use tercet_engine::{Generation, Request, SamplerOptions, Scheduler, SchedulerOptions, Session};

use crate::cli::interrupt::{self, AtRest};
use crate::cli::progress;

/// Reads a number of samples.
pub(super) fn number(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "use a number from 1".to_owned())
}

/// Returns the request for sample `i`, counted from 0.
pub(super) fn request(first: &Request, i: u64) -> Request {
    let seed = first.sampler.seed.wrapping_add(i);
    Request { sampler: SamplerOptions { seed, ..first.sampler.clone() }, ..first.clone() }
}

/// Continues `prompt` in `number` ways, with the seeds that follow that of `first`.
///
/// # Errors
/// Fails if one sample fails.
pub(super) fn generate(
    session: &Session,
    prompt: &[u32],
    first: &Request,
    number: u64,
) -> Result<Vec<Generation>> {
    let spinner = progress::spinner("sampling");
    let samples: tercet_engine::Result<Vec<Generation>> = interrupt::during(AtRest::End, |cancel| {
        let mut scheduler = Scheduler::new(session, SchedulerOptions::default());
        for i in 0..number {
            let request = Request { cancel: cancel.clone(), ..request(first, i) };
            scheduler.submit(prompt.to_vec(), request)?;
        }
        scheduler.finish()
    });
    spinner.finish_and_clear();
    Ok(samples?)
}
