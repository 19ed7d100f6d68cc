//! The environment variables that Tercet reads.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use tercet_formats::without_password;

use crate::error::{Error, Result};
use crate::options::{OPTIONS, OptionInfo};
use crate::runtime::{Mode, RuntimeOptions};
use crate::size::Size;

/// One environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    /// The variable's name.
    pub name: &'static str,
    /// A help text of a few words.
    pub help: &'static str,
    /// The option of [`OPTIONS`] whose default it sets, if there is one.
    pub option: Option<&'static str>,
}

const fn knob(name: &'static str, help: &'static str) -> Knob {
    Knob { name, help, option: None }
}

const MODEL: Knob = knob("TERCET_MODEL", "model to run: directory, file, name or repository");
const CONFIG: Knob = knob(
    "TERCET_CONFIG",
    "file of the command's defaults; by default tercet/config.toml in the user's configuration",
);
const NO_TUNE: Knob = knob("TERCET_NO_TUNE", "1: do not tune at the first load of a model");
const NO_CACHE: Knob = knob("TERCET_NO_CACHE", "1: neither keep nor use packed models");
const CACHE_DIR: Knob = knob(
    "TERCET_CACHE_DIR",
    "directory of tuning records and packed models; by default tercet in the user's cache",
);
const CACHE_SIZE: Knob =
    knob("TERCET_CACHE_SIZE", "size that packed models may have together; by default 20GB");
const NO_JIT: Knob = knob("TERCET_NO_JIT", "1: never make memory executable, run the portable kernels");
const AMX: Knob =
    knob("TERCET_AMX", "1: multiply prompts in tiles of AMX, which were tested by emulation only");
const PERF_MAP: Knob =
    knob("TERCET_PERF_MAP", "1: write /tmp/perf-PID.map, so that perf can name the kernels");
const JITDUMP: Knob =
    knob("TERCET_JITDUMP", "directory for jit-PID.dump, so that perf inject can annotate the kernels");
const HF_ENDPOINT: Knob = knob("HF_ENDPOINT", "address of the hub; by default https://huggingface.co");
const HF_TOKEN: Knob = knob("HF_TOKEN", "access token for the hub");

/// Variables that belong to no option of [`OPTIONS`].
const OTHERS: [Knob; 17] = [
    MODEL,
    CONFIG,
    NO_TUNE,
    NO_CACHE,
    CACHE_DIR,
    CACHE_SIZE,
    NO_JIT,
    AMX,
    PERF_MAP,
    JITDUMP,
    knob("HF_HOME", "directory of Hugging Face's files; by default huggingface in the user's cache"),
    knob("HF_HUB_CACHE", "directory of downloaded models; by default hub in HF_HOME"),
    HF_TOKEN,
    knob("HF_TOKEN_PATH", "file that holds the token; by default token in HF_HOME"),
    HF_ENDPOINT,
    knob("HF_HUB_DOWNLOAD_TIMEOUT", "seconds without progress that end a download; by default 30"),
    knob("HF_HUB_OFFLINE", "1: never download"),
];

/// Returns every variable. A flag or an argument of the same meaning wins over it.
pub fn all() -> impl Iterator<Item = Knob> {
    let of_option = |option: &OptionInfo| {
        Some(Knob { name: option.variable?, help: option.help, option: Some(option.name) })
    };
    OPTIONS.iter().filter_map(of_option).chain(OTHERS)
}

impl Knob {
    /// Returns the variable's value if it is set. Secrets in it are replaced by stars.
    pub fn value(&self) -> Option<String> {
        let value = env::var_os(self.name)?;
        let value = value.to_string_lossy();
        Some(match self.name {
            name if name == HF_TOKEN.name => "***".to_owned(),
            name if name == HF_ENDPOINT.name => without_password(&value),
            _ => value.into_owned(),
        })
    }
}

/// Returns the model of `TERCET_MODEL`.
pub fn model() -> Option<PathBuf> {
    set(MODEL.name).map(PathBuf::from)
}

/// Returns the file of `TERCET_CONFIG`.
pub fn config() -> Option<PathBuf> {
    set(CONFIG.name).map(PathBuf::from)
}

/// Returns true if `TERCET_NO_TUNE` forbids tuning at a model's first load.
///
/// # Errors
/// Fails if the variable's value cannot be read.
pub fn no_tune() -> Result<bool> {
    switch(&NO_TUNE)
}

/// Returns the runtime's options as the environment sets them.
///
/// # Errors
/// Fails if a variable's value cannot be read.
pub fn runtime_options() -> Result<RuntimeOptions> {
    Ok(RuntimeOptions {
        isa_cap: option("isa")?,
        threads: option("threads")?,
        packing: option("packing")?,
        head: option("head")?.unwrap_or_default(),
        cache_type: option("cache_type")?,
        mode: Mode::default(),
        no_jit: switch(&NO_JIT)?,
        perf_map: switch(&PERF_MAP)?,
        jitdump: set(JITDUMP.name).map(PathBuf::from),
        cache_dir: set(CACHE_DIR.name).map(PathBuf::from),
        no_cache: switch(&NO_CACHE)?,
        cache_size: cache_size()?,
    })
}

fn set(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Reads the variable of an option.
fn option<T: FromStr>(name: &str) -> Result<Option<T>> {
    let Some(OptionInfo { variable: Some(variable), values, .. }) = OptionInfo::find(name) else {
        return Ok(None);
    };
    let Some(value) = set(variable) else { return Ok(None) };
    let value = value.to_string_lossy();
    let names = values();
    let remedy = match names.is_empty() {
        true => "use a number".to_owned(),
        false => format!("use one of {}", names.join(", ")),
    };
    let bad = || Error::bad_argument(*variable, format!("{value:?} is not understood"), remedy);
    value.parse().map(Some).map_err(|_| bad())
}

fn cache_size() -> Result<Option<Size>> {
    let Some(value) = set(CACHE_SIZE.name) else { return Ok(None) };
    let value = value.to_string_lossy();
    let bad = |_| {
        Error::bad_argument(
            CACHE_SIZE.name,
            format!("{value:?} is not understood"),
            "use a size such as 20GB",
        )
    };
    value.parse().map(Some).map_err(bad)
}

fn switch(knob: &Knob) -> Result<bool> {
    match set(knob.name) {
        None => Ok(false),
        Some(value) if value == "0" => Ok(false),
        Some(value) if value == "1" => Ok(true),
        Some(value) => {
            let problem = format!("{:?} is not understood", value.to_string_lossy());
            Err(Error::bad_argument(knob.name, problem, "use 0 or 1"))
        }
    }
}
