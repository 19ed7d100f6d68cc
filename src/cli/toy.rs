//! The model inside this program is a toy, and says so.

use std::io::{self, IsTerminal};

use tercet_engine::{Result, Size};
use tercet_hub::{MODELS, NamedModel};

use super::{config, report};

/// Tells people at a terminal that the embedded model is a toy, and the command that runs a real one.
pub(super) fn remark(command: &str) {
    if io::stderr().is_terminal() {
        let NamedModel { name, license, download_mb, memory_mb, .. } = MODELS[0];
        report::note(format_args!(
            "fairy-tales is a toy inside this program. A real model: tercet {command} -m {name} ({} to download, {} of \
             memory, licence {license})",
            megabytes(download_mb),
            megabytes(memory_mb)
        ));
    }
}

/// Returns true if neither the option nor the environment nor the configuration file names a model.
///
/// # Errors
/// Fails if the configuration file cannot be read.
pub(super) fn is_chosen(model: Option<&std::path::Path>) -> Result<bool> {
    Ok(config::model(model)?.is_none())
}

pub(super) fn megabytes(number: u32) -> Size {
    Size(u64::from(number) * 1_000_000)
}
