//! Groups of options. A command flattens the groups that it heeds and refuses all others.

mod grammar;
mod machine;
mod model;
mod output;
mod precision;
mod sampling;
mod session;
mod spelled;
mod template;

use anyhow::Result;
use tercet_engine::{Runtime, RuntimeOptions, SessionOptions};

use super::report;

pub(super) use grammar::GrammarArgs;
pub(super) use machine::{IsaArgs, MachineArgs, PackingArgs, ThreadsArgs, packing};
pub(super) use model::{ContextArgs, ModelArgs, ModelsArgs};
pub(super) use output::{OutputArgs, TextArgs};
pub(super) use precision::{ModeArgs, PrecisionArgs};
pub(super) use sampling::{ContinuationArgs, Described, SamplingArgs, random_seed, seed};
pub(super) use session::{CacheArgs, LoadArgs, SessionArgs};
pub(super) use spelled::SpelledArgs;
pub(super) use template::template_variables;

/// A group of options that sets fields of [`RuntimeOptions`].
pub(super) trait RuntimeArgs {
    /// Overrides the fields whose options were given.
    fn apply(&self, options: &mut RuntimeOptions) -> Result<()>;
}

/// Returns the environment's options, overridden by `groups` from first to last.
pub(super) fn runtime_options(groups: &[&dyn RuntimeArgs]) -> Result<RuntimeOptions> {
    let mut options = SessionOptions::from_environment()?.runtime;
    groups.iter().try_for_each(|group| group.apply(&mut options))?;
    Ok(options)
}

/// Creates the runtime and prints its warnings to standard error.
pub(super) fn runtime(groups: &[&dyn RuntimeArgs]) -> Result<Runtime> {
    let runtime = Runtime::new(&runtime_options(groups)?);
    runtime.warnings().iter().for_each(|warning| report::note(format_args!("warning: {warning}")));
    Ok(runtime)
}
