//! Several prompts in one call.

use super::Session;
use crate::error::Result;
use crate::generate::{Generation, Request};
use crate::scheduler::{Event, Scheduler, SchedulerOptions};

/// Continues `prompts`, each with a seed of its own.
pub(super) fn generate<P: AsRef<str>>(
    session: &Session,
    prompts: impl IntoIterator<Item = P>,
    request: &Request,
) -> Result<Vec<Generation>> {
    let mut scheduler = Scheduler::new(session, SchedulerOptions::default());
    let mut jobs = Vec::new();
    for (i, prompt) in prompts.into_iter().enumerate() {
        let mut request = request.clone();
        request.sampler.seed = request.sampler.seed.wrapping_add(i as u64);
        jobs.push(scheduler.submit(session.encode(prompt.as_ref())?, request)?);
    }
    let mut made = Vec::with_capacity(jobs.len());
    while !scheduler.is_idle() {
        for event in scheduler.round() {
            match event {
                Event::Step(..) => {}
                Event::Finished(job, generation) => made.push((job, generation)),
                Event::Failed(_, error) => return Err(error),
            }
        }
    }
    // Jobs have the order in which they were submitted.
    made.sort_by_key(|(job, _)| *job);
    Ok(made.into_iter().map(|(_, generation)| generation).collect())
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::SamplingChoices;
    use crate::runtime::{Runtime, RuntimeOptions};

    #[test]
    fn each_text_of_a_batch_is_that_of_its_prompt_and_seed_alone() {
        let options = RuntimeOptions { threads: Some(1), ..RuntimeOptions::default() };
        let session = Session::new(crate::fairy_tales(), Runtime::new(&options), None, &mut |_| {}).unwrap();
        let choices = SamplingChoices { temperature: Some(1.0), seed: 7, ..SamplingChoices::default() };
        let request = Request { max_tokens: 12, ..session.request_with(&choices) };
        let prompts = ["The dragon", "Once upon a time, there was a king", "The dragon"];
        let together = session.batch(prompts, &request).unwrap();
        assert_ne!(together[0].text, together[2].text);
        for (i, (prompt, text)) in prompts.into_iter().zip(together).enumerate() {
            let mut request = request.clone();
            request.sampler.seed = 7 + i as u64;
            let alone = session.generate(prompt, &request, |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(text.ids, alone.ids, "{prompt}");
        }
        assert!(session.batch([""; 0], &request).unwrap().is_empty());
    }
}
