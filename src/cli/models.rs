//! The models that have names, and those on this machine.

mod list;
mod named;
mod pull;
mod remove;
mod show;

use std::path::Path;

use anyhow::Result;
use tercet_engine::{Error, PackedCache, RuntimeOptions};
use tercet_formats::ModelFiles;
use tercet_hub::{Hub, HubOptions};

use super::{args, config};

pub(super) use list::List;
pub(super) use named::Models;
pub(super) use pull::Pull;
pub(super) use remove::Remove;
pub(super) use show::Show;

/// Returns the hub that the environment names.
pub(super) fn hub() -> Result<Hub> {
    Ok(Hub::new(HubOptions::from_environment()?)?)
}

/// Opens the files of `model` without a download.
fn files_here(hub: &Hub, model: &Path) -> Result<ModelFiles> {
    let model = &config::aliased(model)?;
    if model.as_os_str() == "fairy-tales" && !model.exists() {
        return Ok(tercet_engine::fairy_tales());
    }
    let Some(repository) = Hub::repository(model)? else { return Ok(ModelFiles::open(model)?) };
    let path = hub.find(&repository).ok_or_else(|| {
        let name = model.display();
        Error::bad_argument(
            name.to_string(),
            "it is not on this machine",
            format!("`tercet pull {name}` downloads it"),
        )
    })?;
    Ok(ModelFiles::open(&path)?.named(repository.name()))
}

/// Returns the cache of packed models, if the system has a place for it.
fn packed_cache() -> Result<Option<PackedCache>> {
    let RuntimeOptions { cache_dir, .. } = args::runtime_options(&[])?;
    Ok(cache_dir.map(|dir| PackedCache::in_dir(&dir)))
}
