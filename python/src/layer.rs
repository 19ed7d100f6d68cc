//! One ternary layer.

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use tercet_engine::Runtime;
use tercet_formats::{Scales, Ternary};

use crate::errors::{bad_argument, exception};
use crate::model::Options;

/// Computes y = W x for a ternary matrix W.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct TernaryLinear {
    layer: tercet_engine::TernaryLinear,
    runtime: Runtime,
}

impl TernaryLinear {
    fn of(py: Python<'_>, shape: (usize, usize), weights: Ternary, options: &Options) -> PyResult<Self> {
        let runtime = options.runtime()?;
        let layer =
            py.detach(|| tercet_engine::TernaryLinear::new(&runtime, shape, weights)).map_err(exception)?;
        Ok(TernaryLinear { layer, runtime })
    }
}

fn shape<T: numpy::Element>(matrix: &PyReadonlyArray2<'_, T>) -> (usize, usize) {
    (matrix.shape()[0], matrix.shape()[1])
}

#[pymethods]
impl TernaryLinear {
    /// Packs n × k trits with one scale, or with one scale for each `size` columns of a row.
    #[staticmethod]
    fn new(
        py: Python<'_>,
        trits: PyReadonlyArray2<'_, i8>,
        scales: Vec<f32>,
        size: Option<usize>,
        options: Options,
    ) -> PyResult<Self> {
        let scales = match (size, &scales[..]) {
            (Some(size), _) => Scales::Groups { size, values: scales },
            (None, &[scale]) => Scales::Tensor(scale),
            _ => {
                return Err(bad_argument("scale", "there are several", "say how many columns share one"));
            }
        };
        let weights = Ternary { trits: trits.as_slice()?.to_vec(), scales };
        Self::of(py, shape(&trits), weights, &options)
    }

    /// Rounds n × k floats: each becomes the nearest of -1, 0 and 1 times their mean magnitude.
    #[staticmethod]
    fn round(py: Python<'_>, weights: PyReadonlyArray2<'_, f32>, options: Options) -> PyResult<Self> {
        let floats = weights.as_slice()?;
        if !floats.iter().all(|weight| weight.is_finite()) {
            return Err(bad_argument("weights", "they are not all finite", "give numbers"));
        }
        Self::of(py, shape(&weights), Ternary::absmean(floats), &options)
    }

    /// The numbers of output and input features: n and k.
    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.layer.n(), self.layer.k())
    }

    /// The size of the packed weights in bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.layer.bytes()
    }

    /// The instruction set of its kernels.
    #[getter]
    fn isa(&self) -> &'static str {
        self.runtime.isa().name()
    }

    /// Multiplies each row of `x` with the matrix.
    fn forward<'py>(&self, py: Python<'py>, x: PyReadonlyArray2<'py, f32>) -> PyResult<Bound<'py, PyAny>> {
        let (rows, width) = shape(&x);
        let (n, k) = self.shape();
        if width != k {
            return Err(bad_argument("the input", format!("its rows are {width} wide"), &format!("use {k}")));
        }
        let x = x.as_slice()?;
        let out = py.detach(|| self.layer.forward(x));
        Ok(PyArray1::from_vec(py, out).reshape([rows, n])?.into_any())
    }
}
