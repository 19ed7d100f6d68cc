//! Published micro-kernels.

use std::io;

use crate::activations::Activations;
use crate::columns::{Element, TileMut};
use crate::emit;
use crate::exec::ExecutableMemory;
use crate::isa::Isa;
use crate::packing::{BLOCK_BYTES, LOOKUP_TABLES};
use crate::portable;
use crate::spec::{Epilogue, KernelArgs, KernelSpec, SpecError, TILE_STEPS, Tile};
use crate::view::View;
use tercet_cpu::Cpu;

/// An error of making a micro-kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The spec is not valid.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The CPU lacks the instruction set.
    #[error("this CPU cannot run {isa} kernels (it can run {})", available.iter().map(|i| i.name()).collect::<Vec<_>>().join(", "))]
    Cpu {
        /// The ISA of the spec.
        isa: Isa,
        /// The ISAs of the CPU.
        available: Vec<Isa>,
    },
    /// The system refused executable memory.
    #[error("the system refused executable memory: {0}")]
    ExecutableMemory(#[from] io::Error),
}

/// Code that can be called.
pub(crate) enum Code {
    Machine(ExecutableMemory),
    Portable,
    #[cfg(test)]
    Emulated(emit::emulator::Program),
}

/// Published code and its spec. Having one proves that the CPU can run it.
pub struct MicroKernel {
    spec: KernelSpec,
    code: Code,
}

impl std::fmt::Debug for MicroKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MicroKernel({})", self.spec)
    }
}

impl MicroKernel {
    /// Emits and publishes the machine code of `spec`: the kernel of [`KernelSpec::micro_kernel`].
    ///
    /// # Errors
    /// See [`KernelError`].
    pub fn new(spec: KernelSpec) -> Result<Self, KernelError> {
        let emitted = emit::emit(&spec)?;
        let cpu = Cpu::host();
        if !spec.isa.runs_on(cpu) {
            return Err(KernelError::Cpu { isa: spec.isa, available: Isa::available(cpu) });
        }
        let code = match emitted {
            Some(emitted) => Code::publish(&emitted)?,
            None => Code::Portable,
        };
        Ok(MicroKernel { spec: spec.micro_kernel(), code })
    }

    /// Emits the x86-64 machine code of `spec`, and interprets it in every call. The CPU need not have its ISA.
    #[cfg(test)]
    pub(crate) fn emulated(spec: KernelSpec) -> Result<Self, KernelError> {
        let emitted = emit::emit(&spec)?.expect("portable kernels have no machine code");
        Ok(MicroKernel { spec: spec.micro_kernel(), code: Code::emulate(&emitted) })
    }

    /// Returns the spec of the machine code.
    pub fn spec(&self) -> &KernelSpec {
        &self.spec
    }

    /// Returns the machine code at its final address; `None` for the portable family.
    pub fn code(&self) -> Option<&[u8]> {
        self.code.bytes()
    }

    /// Computes tiles of the rows from `panel` on and the tokens from `token` on. `out` says how many. Several tiles must be
    /// whole row blocks.
    ///
    /// For weights with groups it computes one tile of rows, and `out` has one tile for each group.
    ///
    /// # Panics
    /// If the operands do not have the spec's layout and epilogue, or do not hold the whole tile.
    pub(crate) fn run<T: Element>(
        &self,
        weights: View<'_>,
        panel: usize,
        acts: &Activations,
        token: usize,
        mut out: TileMut<'_, T>,
    ) {
        let KernelSpec { layout, tile, schedule, epilogue, .. } = self.spec;
        assert_eq!(weights.layout, layout, "the weights are packed for another kernel");
        assert_eq!(weights.k, acts.k(), "weights and activations differ in k");
        assert_eq!(weights.groups, acts.groups(), "weights and activations differ in groups");
        assert_eq!(T::EPILOGUE, epilogue, "the kernel stores another type");
        assert!(!weights.is_grouped || epilogue == Epilogue::I32, "groups have scales of their own");
        let tiles = out.columns() / tile.nr;
        let row_tiles = if weights.is_grouped { 1 } else { tiles };
        assert!(row_tiles == 1 || row_tiles > 1 && tile.nr == layout.block_rows());
        assert!(!weights.is_grouped || tiles == weights.groups && weights.zero_point == 1);
        assert!(panel.is_multiple_of(tile.panels()) && panel + row_tiles * tile.panels() <= weights.panels());
        assert!(token + tile.mr <= acts.tokens());
        assert!(weights.steps.is_multiple_of(schedule.unpack.unpacked_multiple().unwrap_or(1)));
        let (tile_groups, tile_steps) =
            if schedule.unpack.reads_tiles() { (layout.packing.groups(), TILE_STEPS) } else { (0, 1) };
        assert_eq!(acts.tile_groups(), tile_groups, "the activations are in another order");
        assert!(acts.stride() >= weights.steps.next_multiple_of(tile_steps) * layout.packing.step());
        assert_eq!((out.tokens(), out.columns()), (tile.mr, tiles * tile.nr));
        let mut factors = [0.0; Tile::MAX_MR];
        for (factor, of_token) in factors.iter_mut().zip(&acts.factors()[token..][..tile.mr]) {
            *factor = weights.scale * of_token;
        }
        let mut zero_points = [0; Tile::MAX_MR];
        for (zero_point, sum) in zero_points.iter_mut().zip(&acts.sums()[token..][..tile.mr]) {
            *zero_point = i32::from(weights.zero_point) * sum;
        }
        if let Code::Portable = &self.code {
            return portable::run(weights, panel, row_tiles * tile.panels(), acts, token, &factors, &mut out);
        };
        let step_bytes = layout.interleave * BLOCK_BYTES;
        let (zero_points, [tile_stride, act_tile_stride, zero_point_tile_stride]) = match weights.is_grouped {
            false => (&zero_points[..], [weights.steps * step_bytes, 0, 0]),
            true => {
                let strides = [acts.stride(), size_of::<i32>()].map(|bytes| acts.tokens() * bytes);
                (&acts.sums()[token..], [weights.group_steps() * step_bytes, strides[0], strides[1]])
            }
        };
        let mut args = KernelArgs {
            weights: weights.block(panel, 0, 0).0.as_ptr(),
            acts: acts.row(token).as_ptr(),
            act_stride: acts.stride(),
            steps: weights.steps,
            zero_points: zero_points.as_ptr(),
            factors: factors.as_ptr(),
            out: out.as_mut_ptr().cast(),
            out_stride: out.stride_bytes(),
            tiles,
            tile_stride,
            act_tile_stride,
            zero_point_tile_stride,
            tables: &raw const LOOKUP_TABLES,
        };
        // SAFETY:
        // - The code was emitted for the spec, and this CPU has its ISA (`new`) or interprets it.
        // - The assertions above check the operands against the spec:
        //   - Kernels with tiles read whole tiles of steps.
        //   - Weights: a tile's panels lie in one row block, and its `steps` × `interleave` blocks follow `weights`. Several
        //     tiles are whole row blocks, one after another.
        //   - Activations: `mr` rows of at least `steps` whole steps start at the token's row, or of whole tiles if the kernel
        //     reads tiles.
        //   - There are `mr` zero points and factors.
        // - With groups there are as many tiles as groups. The panels' next group begins `group_steps` steps later. The rows
        //   and sums of all tokens' next group follow those of this group. The epilogue stores integers and reads no factors.
        // - `out` is an exclusively borrowed region of mr × tiles · nr elements.
        // - Prefetches past the end do not fault.
        unsafe { self.code.call(&mut args) }
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code")
    }
}

impl Code {
    /// Publishes emitted code.
    ///
    /// # Errors
    /// Fails if the system refuses executable memory.
    pub(crate) fn publish(emitted: &emit::Emitted) -> io::Result<Self> {
        ExecutableMemory::publish(&emitted.code).map(Code::Machine)
    }

    /// Returns machine code at its final address.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Code::Machine(memory) => Some(memory.code()),
            _ => None,
        }
    }

    /// Returns emitted code of x86-64 that every call interprets.
    #[cfg(test)]
    pub(crate) fn emulate(emitted: &emit::Emitted) -> Self {
        Code::Emulated(emit::emulator::Program::new(&emitted.code))
    }

    /// Calls code that is not compiled Rust.
    ///
    /// # Safety
    /// - It must be code that was emitted for arguments of type `T`, and that this CPU can run or interpret.
    /// - `args` must satisfy it.
    pub(crate) unsafe fn call<T>(&self, args: &mut T) {
        match self {
            // SAFETY: the caller keeps the contract.
            Code::Machine(memory) => unsafe { call(memory, args) },
            Code::Portable => unreachable!("compiled kernels take other arguments"),
            #[cfg(test)]
            // SAFETY: the caller keeps the contract.
            Code::Emulated(program) => unsafe { program.run(args) },
        }
    }
}

/// The calling convention of kernels, the same on every operating system.
#[cfg(target_arch = "x86_64")]
type Entry<T> = unsafe extern "sysv64" fn(*mut T);
#[cfg(target_arch = "aarch64")]
type Entry<T> = unsafe extern "C" fn(*mut T);

/// Calls published code.
///
/// # Safety
/// `memory` must hold code that was emitted for arguments of type `T` and that this CPU can run, and `args` must satisfy
/// it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe fn call<T>(memory: &ExecutableMemory, args: &mut T) {
    // SAFETY: emitted code is a function of this type.
    let entry = unsafe { std::mem::transmute::<*const u8, Entry<T>>(memory.code().as_ptr()) };
    // SAFETY: the caller keeps this function's contract.
    unsafe { entry(args) }
}

/// Replaces the call on other architectures. No family emits code that their [`Cpu`] supports.
///
/// # Safety
/// Never called.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn call<T>(_: &ExecutableMemory, _: &mut T) {
    unreachable!("no machine code is published on this architecture")
}
