//! The environment variables that Tercet reads, all of them.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use tercet_codegen::Isa;

use crate::error::{Error, Result};
use crate::runtime::{Mode, RuntimeOptions};

/// One variable.
#[derive(Debug)]
pub struct Knob {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
}

const MODEL: &str = "TERCET_MODEL";
const ISA: &str = "TERCET_ISA";
const THREADS: &str = "TERCET_THREADS";
const PACKING: &str = "TERCET_PACKING";
const HEAD: &str = "TERCET_HEAD";
const CACHE_TYPE: &str = "TERCET_CACHE_TYPE";
const NO_JIT: &str = "TERCET_NO_JIT";
const PERF_MAP: &str = "TERCET_PERF_MAP";
const JITDUMP: &str = "TERCET_JITDUMP";
const CACHE_DIR: &str = "TERCET_CACHE_DIR";
const NO_TUNE: &str = "TERCET_NO_TUNE";
const NO_CACHE: &str = "TERCET_NO_CACHE";
const HF_HOME: &str = "HF_HOME";
const HF_HUB_CACHE: &str = "HF_HUB_CACHE";
const HF_TOKEN: &str = "HF_TOKEN";
const HF_TOKEN_PATH: &str = "HF_TOKEN_PATH";
const HF_ENDPOINT: &str = "HF_ENDPOINT";
const HF_HUB_OFFLINE: &str = "HF_HUB_OFFLINE";

/// Every variable; a command-line flag of the same meaning wins over it.
pub const KNOBS: [Knob; 18] = [
    Knob { name: MODEL, help: "model to run: directory, file, name or repository (--model)" },
    Knob { name: ISA, help: "best instruction set to use, as `tercet dump --list` names them (--isa)" },
    Knob { name: THREADS, help: "number of threads (--threads)" },
    Knob { name: PACKING, help: "packing of the weights: 2bit, 1.6bit (--packing)" },
    Knob { name: HEAD, help: "output head: exact, bf16, int8 (--head)" },
    Knob { name: CACHE_TYPE, help: "keys and values: f16, f32 (--cache-type)" },
    Knob { name: NO_JIT, help: "1: never make memory executable, run the portable kernels" },
    Knob { name: PERF_MAP, help: "1: write /tmp/perf-PID.map, so that perf can name the kernels" },
    Knob { name: JITDUMP, help: "directory for jit-PID.dump, so that perf inject can annotate the kernels" },
    Knob {
        name: CACHE_DIR,
        help: "directory of tuning records and packed models; by default tercet in the user's cache",
    },
    Knob { name: NO_TUNE, help: "1: do not tune at the first load of a model (--no-tune)" },
    Knob { name: NO_CACHE, help: "1: neither keep nor use packed models (--no-cache)" },
    Knob {
        name: HF_HOME,
        help: "directory of Hugging Face's files; by default huggingface in the user's cache",
    },
    Knob { name: HF_HUB_CACHE, help: "directory of downloaded models; by default hub in HF_HOME" },
    Knob { name: HF_TOKEN, help: "access token for the hub" },
    Knob { name: HF_TOKEN_PATH, help: "file that holds the token; by default token in HF_HOME" },
    Knob { name: HF_ENDPOINT, help: "address of the hub; by default https://huggingface.co" },
    Knob { name: HF_HUB_OFFLINE, help: "1: never download" },
];

impl Knob {
    /// The variable's value, if it is set; of a secret only that it is.
    pub fn value(&self) -> Option<String> {
        let value = env::var_os(self.name)?;
        Some(if self.name == HF_TOKEN { "***".to_owned() } else { value.to_string_lossy().into_owned() })
    }
}

/// What [`KNOBS`] name as the model.
pub fn model() -> Option<PathBuf> {
    set(MODEL).map(PathBuf::from)
}

/// Whether a model's first load is to do without tuning.
///
/// # Errors
/// Fails if the variable's value cannot be read.
pub fn no_tune() -> Result<bool> {
    switch(NO_TUNE)
}

/// The runtime's options as the environment sets them.
///
/// # Errors
/// Fails if a variable's value cannot be read.
pub fn runtime_options() -> Result<RuntimeOptions> {
    Ok(RuntimeOptions {
        isa_cap: parse(ISA, &format!("use one of {}", Isa::ALL.map(Isa::name).join(", ")))?,
        threads: parse(THREADS, "use a number")?,
        packing: parse(PACKING, "use 2bit or 1.6bit")?,
        head: parse(HEAD, "use exact, bf16 or int8")?.unwrap_or_default(),
        cache_type: parse(CACHE_TYPE, "use f16 or f32")?,
        mode: Mode::default(),
        no_jit: switch(NO_JIT)?,
        perf_map: switch(PERF_MAP)?,
        jitdump: set(JITDUMP).map(PathBuf::from),
        cache_dir: set(CACHE_DIR).map(PathBuf::from),
        no_cache: switch(NO_CACHE)?,
    })
}

fn set(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn parse<T: FromStr>(name: &str, remedy: &str) -> Result<Option<T>> {
    let Some(value) = set(name) else { return Ok(None) };
    let value = value.to_string_lossy();
    let bad = || Error::bad_argument(name, format!("{value:?} is not understood"), remedy);
    value.parse().map(Some).map_err(|_| bad())
}

fn switch(name: &str) -> Result<bool> {
    match set(name) {
        None => Ok(false),
        Some(value) if value == "0" => Ok(false),
        Some(value) if value == "1" => Ok(true),
        Some(value) => {
            let problem = format!("{:?} is not understood", value.to_string_lossy());
            Err(Error::bad_argument(name, problem, "use 0 or 1"))
        }
    }
}
