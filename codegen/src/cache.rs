//! The cache of micro-kernels: each spec is emitted once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::emit::Emitted;
use crate::kernel::{Code, KernelError, MicroKernel};
use crate::profile::Profiler;
use crate::spec::KernelSpec;

/// The micro-kernels of one process.
#[derive(Debug, Default)]
pub struct KernelCache {
    profiler: Option<Box<dyn Profiler>>,
    /// True if kernels are interpreted.
    #[cfg(test)]
    emulates: bool,
    kernels: Mutex<HashMap<KernelSpec, Arc<MicroKernel>>>,
}

impl KernelCache {
    /// Returns an empty cache that announces every kernel to `profiler`.
    pub fn with_profiler(profiler: impl Profiler + 'static) -> Self {
        KernelCache { profiler: Some(Box::new(profiler)), ..KernelCache::default() }
    }

    /// Returns an empty cache of kernels for x86-64 that are interpreted.
    #[cfg(test)]
    pub(crate) fn emulating() -> Self {
        KernelCache { emulates: true, ..KernelCache::default() }
    }

    /// Makes emitted code callable, and announces it as `name`. Each call publishes it anew.
    ///
    /// # Errors
    /// Fails if the system refuses executable memory.
    pub(crate) fn publish(&self, name: &str, emitted: &Emitted) -> Result<Code, KernelError> {
        #[cfg(test)]
        if self.emulates {
            return Ok(Code::emulate(emitted));
        }
        let code = Code::publish(emitted)?;
        if let (Some(profiler), Some(code)) = (&self.profiler, code.bytes()) {
            profiler.published(name, code);
        }
        Ok(code)
    }

    fn make(&self, spec: &KernelSpec) -> Result<MicroKernel, KernelError> {
        #[cfg(test)]
        if self.emulates {
            return MicroKernel::emulated(*spec);
        }
        MicroKernel::new(*spec)
    }

    /// Returns the [micro-kernel](KernelSpec::micro_kernel) of `spec`, and emits it if it is new.
    ///
    /// Emission holds no lock. If two threads race, both get the same kernel.
    ///
    /// # Errors
    /// See [`KernelError`].
    pub fn get(&self, spec: &KernelSpec) -> Result<Arc<MicroKernel>, KernelError> {
        spec.validate()?;
        let micro_kernel = spec.micro_kernel();
        let lock = || self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = lock().get(&micro_kernel) {
            return Ok(Arc::clone(kernel));
        }
        let kernel = Arc::new(self.make(spec)?);
        let mut kernels = lock();
        let kept = kernels.entry(micro_kernel).or_insert_with(|| {
            if let (Some(profiler), Some(code)) = (&self.profiler, kernel.code()) {
                profiler.published(&micro_kernel.to_string(), code);
            }
            kernel
        });
        Ok(Arc::clone(kept))
    }
}
