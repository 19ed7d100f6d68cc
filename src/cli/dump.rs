//! `tercet dump`: any kernel's machine code, on any host.

mod json;
mod list;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tercet_autotune::Choice;
use tercet_codegen::Isa;
use tercet_codegen::{Epilogue, KernelSpec, Listing, Tile, Unpack};
use tercet_cpu::Cpu;

use super::options::Options;
use super::report;
use tercet_engine::Error;

const EXAMPLES: &str = "\
A kernel's name spells all that determines its code:
  avx512-vnni/2bit/x4/m1n64u2/planes/p8192/f32
  ISA / packing / panels of 16 rows in a row block / tile: m tokens, n rows, u steps of k in
  a turn of the loop / unpacking / bytes of prefetch distance / what is stored

Examples:
  tercet dump --list                                        every family and its kernels
  tercet dump                                               the kernel that decodes on this CPU
  tercet dump --isa avx2 --tokens 8                         the one for 8 tokens on an AVX2 machine
  tercet dump --isa avx512-vnni --tile m6n64u1 --unpack shift --core \"Zen 5\"
  tercet dump --isa neon-dot --tokens 128 --core \"Neoverse N1\"
  tercet dump --kernel avx-vnni/1.6bit/x4/m1n64u2/telescope/p4096/f32 --raw kernel.bin

JSON: kernel, multiply_adds_per_turn, weight_bytes_per_turn, machine_code (null for portable):
{bytes, loop_body, instructions: [{offset, bytes, text, label, marks, in_loop}], mix, loop_mix,
bounds: [{core, cycles_per_turn, limit, multiply_adds_per_cycle, percent_of_peak}]}.
With --list: kernels: [{isa, packing, unpack, registers, runs_here,
tiles: [{rows, most_tokens}], decode, prefill}].";

/// Tokens of a prompt, when a default is wanted for it.
const PREFILL_TOKENS: usize = 128;

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Dump {
    /// List the families with their packings, strategies and legal tiles
    #[arg(long)]
    list: bool,
    /// The kernel with this full name; other options that choose one are then not needed
    #[arg(long, value_name = "SPEC", conflicts_with_all = ["tile", "unpack", "prefetch", "interleave", "epilogue", "tokens"])]
    kernel: Option<KernelSpec>,
    /// Register block and unrolling
    #[arg(long, value_name = "mMnNuU")]
    tile: Option<Tile>,
    /// How packed bytes become operands
    #[arg(long, value_name = "STRATEGY", value_parser = unpack())]
    unpack: Option<Unpack>,
    /// Bytes between a load of weights and its software prefetch; 0 for none
    #[arg(long, value_name = "BYTES")]
    prefetch: Option<usize>,
    /// Panels of 16 rows in a row block: 1, 2, 4 or 8
    #[arg(long, value_name = "PANELS")]
    interleave: Option<usize>,
    /// What is stored: integer sums, or scaled floats
    #[arg(long, value_parser = epilogue())]
    epilogue: Option<Epilogue>,
    /// Take the kernel that is planned for this many tokens; by default the tile's, or 1
    #[arg(long, value_name = "M")]
    tokens: Option<usize>,
    /// Show the static bound only for cores whose name contains this
    #[arg(long, value_name = "NAME")]
    core: Option<String>,
    /// Also write the code's bytes to this file
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
}

fn unpack() -> impl TypedValueParser<Value = Unpack> {
    named(Unpack::ALL.map(|unpack| (unpack.name(), unpack)))
}

fn epilogue() -> impl TypedValueParser<Value = Epilogue> {
    named(Epilogue::ALL.map(|epilogue| (epilogue.name(), epilogue)))
}

/// A parser that knows its few values by name.
fn named<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [(&'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.map(|(name, _)| name)).try_map(move |name| {
        values.iter().find(|(known, _)| *known == name).map(|&(_, value)| value).ok_or("unknown name")
    })
}

impl Dump {
    pub(super) fn run(&self, options: &Options) -> Result<ExitCode> {
        if self.list {
            match options.json {
                true => report::print_json(&list::json())?,
                false => list::report().print()?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let spec = match self.kernel {
            Some(spec) => spec,
            None => self.compose(options)?,
        };
        let mut listing = Listing::new(&spec)?;
        if let Some(name) = &self.core {
            keep_core(&mut listing, name)?;
        }
        if let Some(path) = &self.raw {
            write_raw(path, &listing)?;
        }
        match options.json {
            true => report::print_json(&json::listing(&listing))?,
            false => report::print(&listing.to_string())?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn compose(&self, options: &Options) -> Result<KernelSpec> {
        let choices = options.runtime_options()?;
        let packing = options.packing.or(self.unpack.is_none().then_some(choices.packing).flatten());
        let choice = Choice {
            packing,
            tile: self.tile,
            unpack: self.unpack,
            prefetch: self.prefetch,
            interleave: self.interleave,
            epilogue: self.epilogue,
            tokens: self.tokens,
            ..Choice::of(choices.isa_cap.unwrap_or_else(|| Isa::best(Cpu::host())))
        };
        Ok(choice.spec())
    }
}

fn keep_core(listing: &mut Listing, name: &str) -> Result<()> {
    let Some(code) = &mut listing.machine_code else { return Ok(()) };
    let known: Vec<&str> = code.bounds.iter().map(|bound| bound.core).collect();
    code.bounds.retain(|bound| bound.core.to_lowercase().contains(&name.to_lowercase()));
    if code.bounds.is_empty() {
        let remedy = format!("{} is modelled for {}", listing.spec.isa, known.join(", "));
        return Err(Error::bad_argument("--core", format!("{name:?} is not known"), remedy).into());
    }
    Ok(())
}

fn write_raw(path: &Path, listing: &Listing) -> Result<()> {
    let Some(code) = &listing.machine_code else {
        let problem = format!("{} kernels are compiled Rust", listing.spec.isa);
        return Err(Error::bad_argument("--raw", problem, "choose another --isa").into());
    };
    Ok(tercet_formats::write_atomically(path, |file| file.write_all(&code.bytes))?)
}
