//! Several prompts in one call.

use super::Session;
use crate::error::Result;
use crate::generate::{Generation, Request};
use crate::scheduler::{Scheduler, SchedulerOptions};

/// Continues `prompts`, each with a seed of its own.
pub(super) fn generate<P: AsRef<str>>(
    session: &Session,
    prompts: impl IntoIterator<Item = P>,
    request: &Request,
) -> Result<Vec<Generation>> {
    let mut scheduler = Scheduler::new(session, SchedulerOptions::default());
    for (i, prompt) in prompts.into_iter().enumerate() {
        let mut request = request.clone();
        request.sampler.seed = request.sampler.seed.wrapping_add(i as u64);
        scheduler.submit(session.encode(prompt.as_ref())?, request)?;
    }
    scheduler.finish()
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
