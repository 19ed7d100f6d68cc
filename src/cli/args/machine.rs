//! The use of the machine: instruction set, threads and packing. None of them changes a result.

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tercet_codegen::{Isa, Packing};
use tercet_engine::RuntimeOptions;

use super::RuntimeArgs;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Machine")]
pub(in crate::cli) struct MachineArgs {
    #[command(flatten)]
    pub(in crate::cli) isa: IsaArgs,
    #[command(flatten)]
    pub(in crate::cli) threads: ThreadsArgs,
    #[command(flatten)]
    pub(in crate::cli) packing: PackingArgs,
}

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Machine")]
pub(in crate::cli) struct IsaArgs {
    /// Best instruction set to use; by default the best of this CPU
    ///
    /// The choice does not change the text. TERCET_ISA sets the default.
    #[arg(long, value_name = "ISA", value_parser = isa(), hide_short_help = true)]
    pub(in crate::cli) isa: Option<Isa>,
}

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Machine")]
pub(in crate::cli) struct ThreadsArgs {
    /// Number of threads; by default one for each performance core
    ///
    /// The default counts the performance cores in this process's affinity mask, within its CPU
    /// quota. The number does not change the text. TERCET_THREADS sets the default.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) threads: Option<usize>,
}

#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Machine")]
pub(in crate::cli) struct PackingArgs {
    /// Packing of the weights; by default the faster one on this CPU
    ///
    /// The packing does not change the text. 1.6bit takes less memory. It is the default with
    /// AVX-512, except with one or two threads on Zen 4. Layers whose rows or columns are skipped
    /// always take 1.6 bits a weight. TERCET_PACKING sets the default.
    #[arg(long, value_name = "PACKING", value_parser = packing(), hide_short_help = true)]
    pub(in crate::cli) packing: Option<Packing>,
}

impl RuntimeArgs for MachineArgs {
    fn apply(&self, options: &mut RuntimeOptions) -> Result<()> {
        self.isa.apply(options)?;
        self.threads.apply(options)?;
        self.packing.apply(options)
    }
}

impl RuntimeArgs for IsaArgs {
    fn apply(&self, options: &mut RuntimeOptions) -> Result<()> {
        options.isa_cap = self.isa.or(options.isa_cap);
        Ok(())
    }
}

impl RuntimeArgs for ThreadsArgs {
    fn apply(&self, options: &mut RuntimeOptions) -> Result<()> {
        options.threads = self.threads.or(options.threads);
        Ok(())
    }
}

impl RuntimeArgs for PackingArgs {
    fn apply(&self, options: &mut RuntimeOptions) -> Result<()> {
        options.packing = self.packing.or(options.packing);
        Ok(())
    }
}

fn isa() -> impl TypedValueParser<Value = Isa> {
    PossibleValuesParser::new(Isa::ALL.map(Isa::name)).try_map(|name| name.parse())
}

/// Returns a parser of the names of ternary packings.
pub(in crate::cli) fn packing() -> impl TypedValueParser<Value = Packing> {
    PossibleValuesParser::new(Packing::TERNARY.map(Packing::name)).try_map(|name| name.parse())
}
