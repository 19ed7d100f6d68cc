//! Packs matrices, and plans and makes their kernels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tercet_autotune::{Plan, Planner, Problem};
use tercet_codegen::{
    ColumnGemm, ColumnMatrix, Epilogue, Gemm, KernelCache, KernelError, KernelSpec, Layout, PackedMatrix,
    RowGemm, RowMatrix,
};

use super::columns::ColumnLayer;
use super::exact::ExactMatrix;
use super::linear::{Linear, MANY_TOKENS, PLANNED_TOKENS, Weights};
use super::norm::Norm;
use super::rivals::Rivals;
use super::rows::RowLayer;
use super::weights::Layer;
use crate::error::Result;
use crate::packed;
use crate::runtime::{Mode, Runtime};
use tercet_formats::config::{Activation, Config};
use tercet_formats::{Scales, Ternary};

/// The kernels of one shape, for each of [`PLANNED_TOKENS`].
type Planned = [(Plan, Arc<Rivals<Gemm>>); PLANNED_TOKENS.len()];

/// The plans and kernels of each matrix shape.
#[derive(Debug, Default)]
pub struct Kernels {
    /// By n, k and epilogue.
    planned: BTreeMap<(usize, usize, Epilogue), Planned>,
    /// The kernels of matrices that are packed column by column, by n and k.
    by_columns: BTreeMap<(usize, usize), Arc<Rivals<ColumnGemm>>>,
    /// The kernels of matrices that are packed row by row, by n and k.
    by_rows: BTreeMap<(usize, usize), Arc<Rivals<RowGemm>>>,
}

impl Kernels {
    /// Returns the shapes (n, k) of a model's ternary matrices.
    pub fn shapes(config: &Config) -> BTreeSet<(usize, usize)> {
        Layer::shapes(config).into_iter().collect()
    }

    /// Returns the most threads that make a product faster, for each of [`PLANNED_TOKENS`].
    ///
    /// The plan of the largest matrix decides. Without any plan it is `all`.
    pub(super) fn threads(&self, all: usize) -> [usize; PLANNED_TOKENS.len()] {
        let largest = self.plans().max_by_key(|((n, k), _)| n * k);
        largest.map_or([all; PLANNED_TOKENS.len()], |(_, plans)| plans.map(|plan| plan.sharing.threads))
    }

    /// Returns true if some matrices of this shape (n, k) are packed column by column. A few tokens then read only the columns
    /// whose input is not zero, with other kernels than those of the plans.
    pub fn skips_columns(&self, shape: (usize, usize)) -> bool {
        self.by_columns.contains_key(&shape)
    }

    /// Returns true if some matrices of this shape (n, k) are packed row by row. A few tokens then read only the rows whose gate
    /// is positive, with other kernels than those of the plans.
    pub fn skips_rows(&self, shape: (usize, usize)) -> bool {
        self.by_rows.contains_key(&shape)
    }

    /// Returns the plans of every shape (n, k), one for each of [`PLANNED_TOKENS`].
    pub fn plans(&self) -> impl Iterator<Item = ((usize, usize), [&Plan; PLANNED_TOKENS.len()])> {
        let planned = self.planned.iter();
        planned.map(|(&(n, k, _), planned)| ((n, k), planned.each_ref().map(|(plan, _)| plan)))
    }
}

/// The parts of a matrix that count for nothing in many products, so that a layer can skip them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    Nothing,
    /// Columns with an input of zero.
    Columns,
    /// Rows whose gate is not positive.
    Rows,
}

/// Packs matrices. For each new shape it plans and makes the kernels.
#[derive(Debug)]
pub(super) struct Packer<'a> {
    planner: Planner,
    cache: &'a KernelCache,
    threads: usize,
    mode: Mode,
    kernels: Mutex<Kernels>,
}

impl<'a> Packer<'a> {
    /// Returns a packer with the options of `runtime`.
    pub(super) fn new(runtime: &'a Runtime) -> Self {
        Packer {
            planner: runtime.planner(),
            cache: runtime.kernels(),
            threads: runtime.threads(),
            mode: runtime.mode(),
            kernels: Mutex::default(),
        }
    }

    /// Returns the kernels of all shapes packed so far.
    pub(super) fn into_kernels(self) -> Kernels {
        self.kernels.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the layer with n × k weights: packed, or unpacked in the exact mode. `norm` is applied
    /// to its input.
    ///
    /// # Errors
    /// Fails like [`PackedMatrix::pack`], or if a planned kernel cannot be made.
    pub(super) fn linear(
        &self,
        (n, k): (usize, usize),
        ternary: Ternary,
        norm: Option<Norm>,
    ) -> Result<Linear> {
        if let Mode::Exact(activations) = self.mode {
            let weights = Weights::Exact(ExactMatrix::new((n, k), ternary), activations);
            return Ok(Linear { norm, weights });
        }
        let (layout, Ternary { trits, scales }) = (self.layout(), ternary);
        let weights = match scales {
            Scales::Tensor(scale) => PackedMatrix::pack(layout, n, k, &trits)?.with_scale(scale),
            Scales::Groups { size, values } => {
                PackedMatrix::pack_groups(layout, (n, k), &trits, size, &values)?
            }
        };
        self.packed(weights, norm)
    }

    /// Returns true if [`Packer::skipping`] packs n × k weights in another order, which takes 1.6 bits a weight in each packing.
    pub(super) fn can_skip(&self, skipped: Skipped, (n, k): (usize, usize)) -> bool {
        let suits = match skipped {
            Skipped::Nothing => false,
            Skipped::Columns => ColumnLayer::suits(n),
            Skipped::Rows => RowLayer::suits(k),
        };
        suits && self.mode == Mode::Fast && ColumnGemm::exists_for(self.planner.isa())
    }

    /// Does [`Packer::linear`] for a layer that may skip columns or rows.
    ///
    /// # Errors
    /// Fails like [`Packer::linear`].
    pub(super) fn skipping(
        &self,
        skipped: Skipped,
        (n, k): (usize, usize),
        ternary: Ternary,
        norm: Option<Norm>,
    ) -> Result<Linear> {
        match (skipped, &ternary.scales) {
            (Skipped::Columns, Scales::Tensor(scale)) if self.can_skip(skipped, (n, k)) => {
                self.columns(ColumnMatrix::pack(n, k, &ternary.trits)?.with_scale(*scale), norm)
            }
            (Skipped::Rows, Scales::Tensor(scale)) if self.can_skip(skipped, (n, k)) => {
                self.rows(RowMatrix::pack(n, k, &ternary.trits)?.with_scale(*scale), norm)
            }
            _ => self.linear((n, k), ternary, norm),
        }
    }

    /// Returns the layer with these weights.
    ///
    /// # Errors
    /// Fails if a kernel cannot be made.
    pub(super) fn columns(&self, weights: ColumnMatrix, norm: Option<Norm>) -> Result<Linear> {
        let shape = (weights.n(), weights.k());
        let kernels = self.shared(shape, |kernels| &mut kernels.by_columns, ColumnGemm::new)?;
        Ok(Linear { norm, weights: Weights::Columns(ColumnLayer { weights, kernels }) })
    }

    /// Returns the layer with these weights.
    ///
    /// # Errors
    /// Fails if a kernel cannot be made.
    pub(super) fn rows(&self, weights: RowMatrix, norm: Option<Norm>) -> Result<Linear> {
        let shape = (weights.n(), weights.k());
        let kernels = self.shared(
            shape,
            |kernels| &mut kernels.by_rows,
            |cache, spec| RowGemm::new(cache, spec, shape.1),
        )?;
        Ok(Linear { norm, weights: Weights::Rows(RowLayer { weights, kernels }) })
    }

    /// Returns the kernels of a shape (n, k) in a map of [`Kernels`]. The first time, `make` makes them with a spec for many
    /// tokens.
    fn shared<T>(
        &self,
        (n, k): (usize, usize),
        map: impl Fn(&mut Kernels) -> &mut BTreeMap<(usize, usize), Arc<Rivals<T>>>,
        make: impl Fn(&KernelCache, KernelSpec) -> std::result::Result<T, KernelError>,
    ) -> Result<Arc<Rivals<T>>> {
        let kernels = || self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = map(&mut kernels()).get(&(n, k)) {
            return Ok(Arc::clone(found));
        }
        let problem = Problem { n, k, m: MANY_TOKENS, threads: self.threads };
        let [.., (planned, _)] = self.planned(n, k, Epilogue::F32)?;
        let candidates = || self.planner.candidates(&problem).into_iter();
        let spec = [planned.spec].into_iter().chain(candidates()).find(ColumnGemm::can_use);
        let spec = spec.unwrap_or(planned.spec);
        let rival = self.planner.rival(&problem, &spec).filter(ColumnGemm::can_use);
        let made = Arc::new(Rivals::make(spec, rival, |spec| make(self.cache, spec))?);
        Ok(Arc::clone(map(&mut kernels()).entry((n, k)).or_insert(made)))
    }

    /// Returns the layer with these weights, which must have the planned [layout](Self::layout).
    ///
    /// # Errors
    /// Fails if a planned kernel cannot be made.
    pub(super) fn packed(&self, weights: PackedMatrix, norm: Option<Norm>) -> Result<Linear> {
        let epilogue = match weights.group_size() {
            None => Epilogue::F32,
            Some(_) => Epilogue::I32,
        };
        let kernels = self.planned(weights.n(), weights.k(), epilogue)?;
        Ok(Linear {
            norm,
            weights: Weights::Packed(weights, kernels.map(|(plan, rivals)| (rivals, plan.sharing))),
        })
    }

    /// Returns the layout that the planned kernels read.
    pub(super) fn layout(&self) -> Layout {
        self.planner.layout()
    }

    /// Returns the form of the packed matrices of a model.
    pub(super) fn form(&self, config: &Config) -> packed::Form {
        let skips = config.activation == Activation::Relu2 && ColumnGemm::exists_for(self.planner.isa());
        packed::Form { layout: self.layout(), skips }
    }

    fn planned(&self, n: usize, k: usize, epilogue: Epilogue) -> Result<Planned> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(planned) = kernels.planned.get(&(n, k, epilogue)) {
            return Ok(planned.clone());
        }
        let plan = |m| -> Result<(Plan, Arc<Rivals<Gemm>>)> {
            let problem = Problem { n, k, m, threads: self.threads };
            let plan = self.planner.plan(&problem);
            let rival = self.planner.rival(&problem, &plan.spec);
            let plan = Plan { spec: KernelSpec { epilogue, ..plan.spec }, ..plan };
            let rivals = Rivals::make(plan.spec, rival, |spec| {
                Gemm::new(self.cache, KernelSpec { epilogue, ..spec })
            })?;
            Ok((plan, Arc::new(rivals)))
        };
        let [decode, pair, few, prefill] = PLANNED_TOKENS.map(|(_, m)| plan(m));
        let planned = [decode?, pair?, few?, prefill?];
        kernels.planned.insert((n, k, epilogue), planned.clone());
        Ok(planned)
    }
}
