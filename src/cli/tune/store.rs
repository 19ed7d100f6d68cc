//! Export, import and deletion of tuning records.

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use tercet_autotune::{Store, StoreError, read_all};

use crate::cli::args::OutputArgs;
use crate::cli::report::{count, note, print, print_json};
use tercet_engine::Error;
use tercet_engine::Runtime;

/// Writes all records to the file `path`.
pub(super) fn export(runtime: &Runtime, path: &Path, output: OutputArgs) -> Result<()> {
    let (records, _) = store(runtime)?.read();
    tercet_formats::write_output(path, |file| file.write_all(records.to_json().as_bytes()))?;
    tell(output, store(runtime)?, records.len(), "exported")
}

/// Adds all records of the file `path`, and tells how many of them the store kept: a full one drops the oldest.
pub(super) fn import(runtime: &Runtime, path: &Path, output: OutputArgs) -> Result<()> {
    let records = read_all(path).map_err(bad_import)?;
    store(runtime)?.add(records.clone())?;
    let (stored, _) = store(runtime)?.read();
    let (kept, given) = (stored.shared_with(&records), records.len());
    if kept < given {
        note(format_args!(
            "warning: {kept} of {given} records are kept: the store holds {} and drops the oldest",
            stored.len()
        ));
    }
    tell(output, store(runtime)?, kept, "imported")
}

/// Deletes all records.
pub(super) fn forget(runtime: &Runtime, output: OutputArgs) -> Result<()> {
    let (records, _) = store(runtime)?.read();
    store(runtime)?.forget()?;
    tell(output, store(runtime)?, records.len(), "forgotten")
}

fn store(runtime: &Runtime) -> Result<&Store> {
    let missing = || Error::bad_argument("TERCET_CACHE_DIR", "the system names no cache directory", "set it");
    Ok(runtime.store().ok_or_else(missing)?)
}

fn bad_import(error: StoreError) -> Error {
    match error {
        StoreError::Io { action, path, source } => Error::io(action, &path, source),
        error => Error::bad_argument("import", error.to_string(), "export the records again"),
    }
}

fn tell(output: OutputArgs, store: &Store, records: usize, done: &str) -> Result<()> {
    let path = store.path();
    match output.json {
        true => print_json(&json!({ "store": path, "records": records })),
        false => print(&format!("{} {done}, store {}\n", count(records, "record"), path.display())),
    }
}
