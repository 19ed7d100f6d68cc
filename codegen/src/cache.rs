//! Micro-kernels, emitted once per spec.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kernel::{KernelError, MicroKernel};
use crate::profile::Profiler;
use crate::spec::KernelSpec;

/// The micro-kernels of one process.
#[derive(Debug, Default)]
pub struct KernelCache {
    profiler: Profiler,
    kernels: Mutex<HashMap<KernelSpec, Arc<MicroKernel>>>,
}

impl KernelCache {
    /// An empty cache; `profiler` is told of every kernel.
    pub fn new(profiler: Profiler) -> Self {
        KernelCache { profiler, kernels: Mutex::default() }
    }

    /// The [micro-kernel](KernelSpec::micro_kernel) of `spec`, emitted now if it is new.
    ///
    /// Emission holds no lock; if two threads race, both get the kernel that was kept.
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
        let kernel = Arc::new(MicroKernel::new(*spec)?);
        let mut kernels = lock();
        let kept = kernels.entry(micro_kernel).or_insert_with(|| {
            if let Some(code) = kernel.code() {
                self.profiler.published(&micro_kernel.to_string(), code);
            }
            kernel
        });
        Ok(Arc::clone(kept))
    }
}
