//! A directory that replaces Linux's `/` in tests. Dropping it removes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

pub(super) struct FakeRoot(PathBuf);

impl FakeRoot {
    /// Creates the files, given as path and text. The name must differ between tests of one process.
    pub(super) fn new(name: &str, files: &[(&str, &str)]) -> FakeRoot {
        let root = FakeRoot(std::env::temp_dir().join(format!("tercet-cpu-{}-{name}", process::id())));
        for (path, text) in files {
            let path = root.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for FakeRoot {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
