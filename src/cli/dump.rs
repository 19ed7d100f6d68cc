//! `tercet dump`: the machine code of any kernel, on any host.

mod json;
mod list;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tercet_autotune::Choice;
use tercet_codegen::Isa;
use tercet_codegen::{Epilogue, KernelSpec, Listing, Prefetch, Tile, Unpack};
use tercet_cpu::Cpu;

use super::args::{self, IsaArgs, OutputArgs, PackingArgs};
use super::report;
use tercet_engine::Error;

const EXAMPLES: &str = "\
Examples:
  tercet dump --list                                        every family and its kernels
  tercet dump                                               the kernel for decode on this CPU
  tercet dump --isa avx2 --tokens 8                         the kernel for 8 tokens with AVX2
  tercet dump --isa avx512-vnni --tile m6n64u1 --unpack shift --core \"Zen 5\"
  tercet dump --isa neon-dot --tokens 128 --core \"Neoverse N1\"
  tercet dump --kernel avx-vnni/1.6bit/x4/m1n64u2/telescope/p4096/f32 --raw kernel.bin";

const JSON: &str = "\
JSON: kernel, multiply_adds_per_turn, weight_bytes_per_turn, machine_code (null for portable):
{bytes, loop_body, instructions: [{offset, bytes, text, label, marks, in_loop}], mix, loop_mix,
bounds: [{core, cycles_per_turn, limit, multiply_adds_per_cycle, percent_of_peak}]}.
With --list: kernels: [{isa, packing, unpack, registers, runs_here,
tiles: [{rows, most_tokens}], decode, prefill}].";

/// Tokens of the prompt for which the list shows the default prefill kernel.
const PREFILL_TOKENS: usize = 128;

/// Options that compose a kernel.
const PARTS: [&str; 8] = ["isa", "packing", "tile", "unpack", "prefetch", "interleave", "epilogue", "tokens"];

/// Show the machine code of any kernel, on any host
///
/// The name of a kernel spells out everything that determines its code, as in
/// avx512-vnni/2bit/x4/m1n64u2/planes/p8192/f32:
/// - avx512-vnni: the ISA
/// - 2bit: the packing of the weights
/// - x4: 4 panels of 16 rows in a row block
/// - m1n64u2: a tile of 1 token and 64 rows, and 2 steps of k in an iteration of the loop
/// - planes: the unpacking strategy
/// - p8192: the prefetch distance in bytes; p2048+16384 also prefetches into the second-level
///   cache, 16384 bytes ahead
/// - f32: the type of the stored results
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON}"))]
#[command(verbatim_doc_comment)]
pub(super) struct Dump {
    /// List the families with their packings, strategies and legal tiles
    #[arg(long, conflicts_with_all = PARTS, conflicts_with_all = ["kernel", "core", "raw"])]
    list: bool,
    /// Show the kernel with this full name
    #[arg(long, value_name = "SPEC", conflicts_with_all = PARTS)]
    kernel: Option<KernelSpec>,
    /// Tile: M tokens, N rows, U steps of k in an iteration
    #[arg(long, value_name = "mMnNuU")]
    tile: Option<Tile>,
    /// Strategy that unpacks bytes to operands
    #[arg(long, value_name = "STRATEGY", value_parser = unpack())]
    unpack: Option<Unpack>,
    /// Prefetch distance of the weights; 0 for no prefetch. With NEAR+FAR two of them
    #[arg(long, value_name = "BYTES")]
    prefetch: Option<Prefetch>,
    /// Panels of 16 rows in a row block: 1, 2, 4 or 8
    #[arg(long, value_name = "PANELS")]
    interleave: Option<usize>,
    /// Type of the stored results: integer sums, or scaled floats
    #[arg(long, value_parser = epilogue())]
    epilogue: Option<Epilogue>,
    /// Take the kernel planned for M tokens; by default the tile's tokens, or 1
    #[arg(long, value_name = "M")]
    tokens: Option<usize>,
    /// Show static bounds only for cores with NAME in their name
    #[arg(long, value_name = "NAME")]
    core: Option<String>,
    /// Write the machine code to FILE
    #[arg(long, value_name = "FILE")]
    raw: Option<PathBuf>,
    #[command(flatten)]
    isa: IsaArgs,
    #[command(flatten)]
    packing: PackingArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn unpack() -> impl TypedValueParser<Value = Unpack> {
    named(Unpack::ALL.map(|unpack| (unpack.name(), unpack)))
}

fn epilogue() -> impl TypedValueParser<Value = Epilogue> {
    named(Epilogue::ALL.map(|epilogue| (epilogue.name(), epilogue)))
}

/// Returns a parser that takes the names of `values`.
fn named<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [(&'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.map(|(name, _)| name)).try_map(move |name| {
        values.iter().find(|(known, _)| *known == name).map(|&(_, value)| value).ok_or("unknown name")
    })
}

impl Dump {
    pub(super) fn run(&self) -> Result<ExitCode> {
        if self.list {
            match self.output.json {
                true => report::print_json(&list::json())?,
                false => list::report().print()?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let spec = match self.kernel {
            Some(spec) => spec,
            None => self.compose()?,
        };
        let mut listing = Listing::new(&spec)?;
        if let Some(name) = &self.core {
            keep_core(&mut listing, name)?;
        }
        if let Some(path) = &self.raw {
            write_raw(path, &listing)?;
        }
        match self.output.json {
            true => report::print_json(&json::listing(&listing))?,
            false => report::print(&listing.to_string())?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn compose(&self) -> Result<KernelSpec> {
        let choices = args::runtime_options(&[&self.isa, &self.packing])?;
        // A strategy implies its packing, unless the flag names one.
        let packing = self.packing.packing.or(self.unpack.is_none().then_some(choices.packing).flatten());
        // With a chosen ISA the kernel is the same on every host.
        let choice = Choice {
            cpu: choices.isa_cap.is_none().then(Cpu::host),
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
        let remedy = format!("the models of {} are {}", listing.spec.isa, known.join(", "));
        return Err(Error::bad_argument("core", format!("{name:?} is unknown"), remedy).into());
    }
    Ok(())
}

fn write_raw(path: &Path, listing: &Listing) -> Result<()> {
    let Some(code) = &listing.machine_code else {
        let problem = format!("{} kernels are compiled Rust", listing.spec.isa);
        return Err(Error::bad_argument("raw", problem, "choose another --isa").into());
    };
    Ok(tercet_formats::write_output(path, |file| file.write_all(&code.bytes))?)
}
