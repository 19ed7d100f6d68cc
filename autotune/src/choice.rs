//! Kernels of which some parts are asked for; the others are planned.

use tercet_codegen::{Epilogue, Isa, KernelSpec, Packing, Tile, Unpack};

use crate::candidates::tiles;
use crate::planner::{Planner, Problem};

/// What a kernel is to be.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The instruction set, of whatever host.
    pub isa: Isa,
    /// None takes one that the strategy reads.
    pub packing: Option<Packing>,
    /// Register block and unrolling.
    pub tile: Option<Tile>,
    /// How packed bytes become operands.
    pub unpack: Option<Unpack>,
    /// Bytes between a load of weights and its prefetch.
    pub prefetch: Option<usize>,
    /// Panels in a row block.
    pub interleave: Option<usize>,
    /// What is stored.
    pub epilogue: Option<Epilogue>,
    /// Tokens that it is planned for; none takes the tile's, or 1.
    pub tokens: Option<usize>,
}

impl Choice {
    /// Nothing but the instruction set.
    pub fn of(isa: Isa) -> Self {
        Choice {
            isa,
            packing: None,
            tile: None,
            unpack: None,
            prefetch: None,
            interleave: None,
            epilogue: None,
            tokens: None,
        }
    }

    /// The planned kernel, changed as asked; if that no longer fits, in the largest tile that does. What was asked for may
    /// name no kernel: see [`KernelSpec::validate`].
    pub fn spec(&self) -> KernelSpec {
        let packing = self.packing.or(self.unpack.map(|unpack| unpack.packings()[0]));
        let planner = Planner::new(self.isa, packing.unwrap_or(Packing::Bits2));
        let m = self.tokens.or(self.tile.map(|tile| tile.mr)).unwrap_or(1).max(1);
        let problem = Problem { n: 2560, k: 2560, m, threads: 1 };
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
