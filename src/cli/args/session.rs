//! The options of commands that load a model and run text through it.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use tercet_engine::{RuntimeOptions, Session, SessionOptions, Size};

use super::{MachineArgs, ModeArgs, ModelArgs, PrecisionArgs, RuntimeArgs};
use crate::cli::config;
use crate::cli::loading::Steps;

/// All options of a model's load, except for the mode.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Machine")]
pub(in crate::cli) struct LoadArgs<M: Args = ModelArgs> {
    #[command(flatten)]
    pub(in crate::cli) model: M,
    #[command(flatten)]
    pub(in crate::cli) machine: MachineArgs,
    /// Do not tune kernels at the first load of a model
    ///
    /// By default the first load spends a few seconds on finding the fastest kernels for the model's
    /// large matrices, and keeps them. TERCET_NO_TUNE=1 has the same effect.
    #[arg(long, hide_short_help = true)]
    pub(in crate::cli) no_tune: bool,
    #[command(flatten)]
    pub(in crate::cli) cache: CacheArgs,
    #[command(flatten)]
    pub(in crate::cli) precision: PrecisionArgs,
}

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Machine")]
pub(in crate::cli) struct CacheArgs {
    /// Neither keep nor use packed models
    ///
    /// By default the first load keeps the packed form of a model, and later loads read it.
    /// TERCET_NO_CACHE=1 has the same effect. `tercet cache` lists packed models.
    #[arg(long, hide_short_help = true)]
    no_cache: bool,
    /// Size that all packed models may have together; by default 20GB
    ///
    /// A first load that would exceed it deletes the packed models that were not used for the longest time.
    /// TERCET_CACHE_SIZE sets the default.
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    cache_size: Option<Size>,
}

impl RuntimeArgs for CacheArgs {
    fn apply(&self, options: &mut RuntimeOptions) -> Result<()> {
        options.no_cache |= self.no_cache;
        options.cache_size = self.cache_size.or(options.cache_size);
        Ok(())
    }
}

/// All options of a model's load.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct SessionArgs<M: Args = ModelArgs> {
    #[command(flatten)]
    pub(in crate::cli) load: LoadArgs<M>,
    #[command(flatten)]
    pub(in crate::cli) mode: ModeArgs,
}

impl SessionArgs {
    /// Opens the model with a context of `context` tokens, and shows progress on standard error.
    pub(in crate::cli) fn open(&self, context: Option<usize>) -> Result<Session> {
        self.open_drafting(context, None)
    }

    /// Opens the model, and the one that makes drafts.
    pub(in crate::cli) fn open_drafting(
        &self,
        context: Option<usize>,
        draft_model: Option<&Path>,
    ) -> Result<Session> {
        self.open_model(self.load.model.model.as_deref(), context, draft_model)
    }
}

impl<M: Args> SessionArgs<M> {
    /// Returns the environment's options, overridden by the flags.
    pub(in crate::cli) fn runtime_options(&self) -> Result<RuntimeOptions> {
        super::runtime_options(&self.groups())
    }

    /// Opens `model`, or else the default one, and the model that makes drafts.
    pub(in crate::cli) fn open_model(
        &self,
        model: Option<&Path>,
        context: Option<usize>,
        draft_model: Option<&Path>,
    ) -> Result<Session> {
        let environment = SessionOptions::from_environment()?;
        let tune = environment.tune && !self.load.no_tune;
        let draft_model = draft_model.map(config::aliased).transpose()?;
        let options = SessionOptions { runtime: self.runtime_options()?, context, tune, draft_model };
        let (model, mut steps) = (config::model(model)?, Steps::default());
        Ok(Session::open_with(model.as_deref(), &options, &mut |step| steps.show(step))?)
    }

    fn groups(&self) -> [&dyn RuntimeArgs; 4] {
        let LoadArgs { machine, cache, precision, .. } = &self.load;
        [machine, cache, &self.mode, precision]
    }
}
