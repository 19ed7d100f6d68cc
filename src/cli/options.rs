//! What every command can be told: the model, and the machine to run it on.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tercet_codegen::{Isa, Packing};

use super::loading::{self, Steps};
use super::report;
use tercet_engine::{
    ActivationType, CacheType, HeadMode, Mode, Runtime, RuntimeOptions, Session, SessionOptions,
};
use tercet_formats::ModelFiles;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model and machine")]
pub(super) struct Options {
    /// Model: a directory in the Hugging Face format, a GGUF file, a name that `tercet models` lists, or
    /// hf:OWNER/REPO[@REVISION]
    #[arg(short, long, global = true, value_name = "MODEL")]
    pub(super) model: Option<PathBuf>,
    /// Best instruction set to use; by default the best that this CPU has
    #[arg(long, global = true, value_name = "ISA", value_parser = isa())]
    pub(super) isa: Option<Isa>,
    /// Number of threads; by default one for each performance core that this process may use
    #[arg(long, global = true, value_name = "N")]
    pub(super) threads: Option<usize>,
    /// Packing of the weights, 2bit or 1.6bit: the same text; 1.6bit, the default with AVX-512 (but for one or two threads of a Zen 4), takes less memory
    #[arg(long, global = true, value_name = "PACKING", value_parser = packing())]
    pub(super) packing: Option<Packing>,
    /// Arithmetic: fast is in integers, by micro-kernels; exact is in floats, slowly, as a reference
    #[arg(long, global = true, value_name = "MODE", value_parser = mode())]
    pub(super) mode: Option<Mode>,
    /// What the exact mode multiplies: int8 rounds activations as the fast mode does, f32 leaves them as they are
    #[arg(long, global = true, value_name = "TYPE", value_parser = activations())]
    pub(super) activations: Option<ActivationType>,
    /// Output head: exact leaves out rows that a bound proves irrelevant, with the text of bf16, which computes all; int8 is approximate
    #[arg(long, global = true, value_name = "HEAD", value_parser = head())]
    pub(super) head: Option<HeadMode>,
    /// Keys and values: f16 is the fast mode's default; f32, the exact mode's, keeps them as they are computed
    #[arg(long, global = true, value_name = "TYPE", value_parser = cache_type())]
    pub(super) cache_type: Option<CacheType>,
    /// Tokens that the context holds; by default what the model allows, up to 4096
    #[arg(long, global = true, value_name = "N")]
    pub(super) context: Option<usize>,
    /// Do not spend the first seconds with a model on finding its fastest kernels
    #[arg(long, global = true)]
    pub(super) no_tune: bool,
    /// Neither keep the packed form of a model for the next time, nor use what was kept
    #[arg(long, global = true)]
    pub(super) no_cache: bool,
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long, global = true, help_heading = "For scripts")]
    pub(super) json: bool,
}

impl Options {
    /// The files of `--model`, of `TERCET_MODEL`, or of the model inside this program.
    pub(super) fn files(&self) -> Result<ModelFiles> {
        Ok(loading::open_model(self.model.as_deref())?)
    }

    /// The environment's options, overridden by the flags.
    pub(super) fn runtime_options(&self) -> Result<RuntimeOptions> {
        let environment = SessionOptions::from_environment()?.runtime;
        Ok(RuntimeOptions {
            isa_cap: self.isa.or(environment.isa_cap),
            threads: self.threads.or(environment.threads),
            packing: self.packing.or(environment.packing),
            mode: self.mode()?,
            head: self.head.unwrap_or(environment.head),
            cache_type: self.cache_type.or(environment.cache_type),
            no_cache: self.no_cache || environment.no_cache,
            ..environment
        })
    }

    fn mode(&self) -> Result<Mode> {
        let mode = self.mode.unwrap_or_default();
        Ok(self.activations.map_or(Ok(mode), |activations| mode.with_activations(activations))?)
    }

    /// The runtime; its warnings go to standard error.
    pub(super) fn runtime(&self) -> Result<Runtime> {
        let runtime = Runtime::new(&self.runtime_options()?);
        runtime.warnings().iter().for_each(|warning| report::note(format_args!("warning: {warning}")));
        Ok(runtime)
    }

    /// Opens the model; steps that take time are shown on standard error.
    pub(super) fn load(&self) -> Result<Session> {
        let mut options = SessionOptions::from_environment()?;
        options.runtime = self.runtime_options()?;
        options.context = self.context;
        options.tune &= !self.no_tune;
        let mut steps = Steps::default();
        Ok(Session::open_with(self.model.as_deref(), &options, &mut |step| steps.show(step))?)
    }
}

fn isa() -> impl TypedValueParser<Value = Isa> {
    PossibleValuesParser::new(Isa::ALL.map(Isa::name)).try_map(|name| name.parse())
}

fn mode() -> impl TypedValueParser<Value = Mode> {
    let names = Mode::NAMES.map(|[name, alias]| PossibleValue::new(name).alias(alias));
    PossibleValuesParser::new(names).map(|name| name.parse().unwrap_or_default())
}

fn activations() -> impl TypedValueParser<Value = ActivationType> {
    PossibleValuesParser::new(ActivationType::ALL.map(ActivationType::name))
        .map(|name| name.parse().unwrap_or_default())
}

fn head() -> impl TypedValueParser<Value = HeadMode> {
    PossibleValuesParser::new(HeadMode::ALL.map(HeadMode::name)).map(|name| name.parse().unwrap_or_default())
}

fn cache_type() -> impl TypedValueParser<Value = CacheType> {
    PossibleValuesParser::new(CacheType::ALL.map(CacheType::name))
        .map(|name| name.parse().unwrap_or_default())
}

fn packing() -> impl TypedValueParser<Value = Packing> {
    PossibleValuesParser::new(Packing::TERNARY.map(Packing::name)).try_map(|name| name.parse())
}
