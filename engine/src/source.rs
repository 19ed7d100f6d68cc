//! Opens a model by path, name or repository.

use std::path::Path;

use tercet_formats::ModelFiles;

use crate::error::Result;
use crate::knobs;

/// Progress of opening a model.
#[cfg(feature = "hub")]
pub use tercet_hub::Progress;

/// Progress of opening a model; without the hub there is none.
#[cfg(not(feature = "hub"))]
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Bytes of a file that have arrived.
    Bytes {
        /// The file.
        file: &'a str,
        /// Bytes that are here.
        done: u64,
        /// All bytes.
        size: u64,
    },
}

/// Opens the files of `model`: a directory, a GGUF file, a name such as `bitnet-2b`, or `hf:OWNER/REPO`. Without one it
/// opens the model of `TERCET_MODEL`, or else the embedded one. Missing files are downloaded, and `progress` is told.
///
/// # Errors
/// Fails if there is no such model, or it cannot be downloaded.
pub fn open_model(model: Option<&Path>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelFiles> {
    let Some(model) = model.map(Path::to_owned).or_else(knobs::model) else { return embedded() };
    if is_embedded(&model) { embedded() } else { find(&model, progress) }
}

#[cfg(feature = "hub")]
fn find(model: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelFiles> {
    use tercet_hub::{Hub, HubOptions};
    Ok(Hub::new(HubOptions::from_environment()?)?.open(model, progress)?)
}

#[cfg(not(feature = "hub"))]
fn find(model: &Path, _: &mut dyn FnMut(Progress<'_>)) -> Result<ModelFiles> {
    Ok(ModelFiles::open(model)?)
}

#[cfg(feature = "embedded")]
fn embedded() -> Result<ModelFiles> {
    Ok(crate::embedded::fairy_tales())
}

#[cfg(not(feature = "embedded"))]
fn embedded() -> Result<ModelFiles> {
    Err(crate::error::Error::missing("the model", "name one: this program embeds none"))
}

/// Returns true if `model` names the embedded model and no file.
fn is_embedded(model: &Path) -> bool {
    cfg!(feature = "embedded") && model.as_os_str() == "fairy-tales" && !model.exists()
}
