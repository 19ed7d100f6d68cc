//! Kernels with some parts chosen by the user. The planner chooses the others.

use tercet_codegen::{Epilogue, Isa, KernelSpec, Packing, Prefetch, Tile, Unpack};
use tercet_cpu::Cpu;

use crate::candidates::tiles;
use crate::planner::{Planner, Problem};
use crate::rules::packing_by_rule;

/// The parts of a kernel that a user may choose.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The instruction set. The host need not have it.
    pub isa: Isa,
    /// The CPU to plan for. `None` takes the rule for unknown cores, so that the kernel is the same on every host.
    pub cpu: Option<&'static Cpu>,
    /// Packing of the weights. `None` takes one that the strategy reads.
    pub packing: Option<Packing>,
    /// Register block and unrolling.
    pub tile: Option<Tile>,
    /// How packed bytes become operands.
    pub unpack: Option<Unpack>,
    /// Prefetches of the weights.
    pub prefetch: Option<Prefetch>,
    /// Panels in a row block.
    pub interleave: Option<usize>,
    /// Stored result.
    pub epilogue: Option<Epilogue>,
    /// Number of tokens to plan for. `None` takes the tile's, or 1.
    pub tokens: Option<usize>,
}

impl Choice {
    /// Chooses only the instruction set.
    pub fn of(isa: Isa) -> Self {
        Choice {
            isa,
            cpu: None,
            packing: None,
            tile: None,
            unpack: None,
            prefetch: None,
            interleave: None,
            epilogue: None,
            tokens: None,
        }
    }

    /// Returns the planned kernel with the chosen parts. If its tile no longer fits, it gets the largest one that does.
    ///
    /// The chosen parts may exclude each other: [`KernelSpec::validate`] checks the result.
    pub fn spec(&self) -> KernelSpec {
        const THREADS: usize = 1;
        let packing = self.packing.or(self.unpack.map(|unpack| unpack.packings()[0]));
        let by_rule = || self.cpu.map(|cpu| packing_by_rule(self.isa, cpu, THREADS));
        let planner = Planner::new(self.isa, packing.or_else(by_rule).unwrap_or(Packing::Bits2));
        let planner = match self.cpu {
            Some(cpu) => planner.on(cpu),
            None => planner,
        };
        let m = self.tokens.or(self.tile.map(|tile| tile.mr)).unwrap_or(1).max(1);
        let problem = Problem { n: 2560, k: 2560, m, threads: THREADS };
        let mut spec = planner.plan(&problem).spec;
        spec.schedule.unpack = self.unpack.unwrap_or(spec.schedule.unpack);
        spec.schedule.prefetch = self.prefetch.unwrap_or(spec.schedule.prefetch);
        spec.layout.interleave = self.interleave.unwrap_or(spec.layout.interleave);
        spec.epilogue = self.epilogue.unwrap_or(spec.epilogue);
        match self.tile {
            Some(tile) => KernelSpec { tile, ..spec },
            None if spec.validate().is_ok() => spec,
            None => tiles(spec, problem.m).max_by_key(|spec| spec.tile.mr * spec.tile.nr).unwrap_or(spec),
        }
    }
}
