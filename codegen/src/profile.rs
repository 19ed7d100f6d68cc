//! A hook for profilers.

use std::fmt;

/// Receives the name and the code of every published kernel.
pub trait Profiler: fmt::Debug + Send + Sync {
    /// Announces `code` as `name`. `code` is at the address where it will run.
    fn published(&self, name: &str, code: &[u8]);
}
