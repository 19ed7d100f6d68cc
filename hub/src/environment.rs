//! The environment variables of Hugging Face's own libraries.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::HubOptions;
use crate::error::{Error, Result};

impl HubOptions {
    /// Reads the environment variables of Hugging Face's own libraries: `HF_ENDPOINT`, `HF_TOKEN`,
    /// `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE` and
    /// `HF_HUB_DOWNLOAD_TIMEOUT`.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no directory for downloaded files.
    pub fn from_environment() -> Result<Self> {
        let user_cache =
            || set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cache")));
        let home =
            set("HF_HOME").map(PathBuf::from).or_else(|| user_cache().map(|cache| cache.join("huggingface")));
        let in_home = |name: &str| home.as_ref().map(|home| home.join(name));
        let cache_dir = set("HF_HUB_CACHE").map(PathBuf::from).or_else(|| in_home("hub"));
        let missing = || Error::bad_argument("HF_HOME", "there is no place for downloaded models", "set it");
        let token_file = set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| in_home("token"));
        let patience = text("HF_HUB_DOWNLOAD_TIMEOUT").map(|value| seconds(&value)).transpose()?;
        Ok(HubOptions {
            endpoint: text("HF_ENDPOINT"),
            token: text("HF_TOKEN").map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            token_file,
            patience,
            cache_dir: cache_dir.ok_or_else(missing)?,
            offline: text("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
        })
    }
}

fn seconds(value: &str) -> Result<Duration> {
    let seconds = value.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
    let problem = || format!("{value:?} is not understood");
    let bad = || Error::bad_argument("HF_HUB_DOWNLOAD_TIMEOUT", problem(), "use 1 to 3600 seconds");
    seconds.map(Duration::from_secs).ok_or_else(bad)
}

fn is_true(value: &str) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
}

fn text(name: &str) -> Option<String> {
    set(name).map(|value| value.to_string_lossy().into_owned())
}

fn set(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
