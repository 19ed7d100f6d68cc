//! One micro-kernel: its code, its results and its speed.

use std::collections::BTreeMap;
use std::time::Duration;

use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tercet_autotune::Choice;
use tercet_codegen::Isa;
use tercet_codegen::{
    Activations, ColumnsMut, Element, Epilogue, Gemm, KernelCache, KernelSpec, Listing, PackedMatrix,
    Prefetch, Unpack,
};
use tercet_cpu::Cpu;

use crate::errors::{bad_argument, bad_spec, exception};
use crate::model::{parse, parse_one_of};

/// A micro-kernel of any instruction set. It runs only if this CPU has the instruction set.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct Kernel {
    spec: KernelSpec,
    gemm: Option<Gemm>,
}

/// The choices for a kernel. The planner makes the choices that are None.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Choices {
    isa: Option<String>,
    packing: Option<String>,
    tile: Option<String>,
    unpack: Option<String>,
    prefetch: Option<usize>,
    interleave: Option<usize>,
    epilogue: Option<String>,
    tokens: Option<usize>,
}

impl Choices {
    fn spec(&self) -> PyResult<KernelSpec> {
        // A full name contains every choice.
        if let Some(name) = self.isa.as_ref().filter(|name| name.contains('/')) {
            return name.parse().map_err(bad_spec);
        }
        let choice = Choice {
            cpu: self.isa.is_none().then(Cpu::host),
            packing: parse("packing", &self.packing)?,
            tile: self.tile.as_ref().map(|tile| tile.parse()).transpose().map_err(bad_spec)?,
            unpack: parse_one_of("unpack", &self.unpack, &Unpack::ALL.map(Unpack::name))?,
            prefetch: self.prefetch.map(Prefetch::near),
            interleave: self.interleave,
            epilogue: parse_one_of("epilogue", &self.epilogue, &Epilogue::ALL.map(Epilogue::name))?,
            tokens: self.tokens,
            ..Choice::of(parse("isa", &self.isa)?.unwrap_or_else(|| Isa::best(Cpu::host())))
        };
        Ok(choice.spec())
    }
}

#[pymethods]
impl Kernel {
    /// Emits the kernel, and makes its code executable if this CPU can run it.
    #[new]
    fn new(choices: Choices) -> PyResult<Self> {
        let spec = choices.spec()?;
        spec.validate().map_err(bad_spec)?;
        let gemm = match spec.isa.runs_on(Cpu::host()) {
            true => Some(Gemm::new(&KernelCache::default(), spec).map_err(exception)?),
            false => None,
        };
        Ok(Kernel { spec, gemm })
    }

    /// The kernel's full name.
    #[getter]
    fn name(&self) -> String {
        self.spec.to_string()
    }

    /// Its instruction set, packing, tile, unpacking strategy and epilogue.
    #[getter]
    fn parts(&self) -> [String; 5] {
        let KernelSpec { isa, layout, tile, schedule, epilogue } = &self.spec;
        [
            isa.to_string(),
            layout.packing.to_string(),
            tile.to_string(),
            schedule.unpack.to_string(),
            epilogue.name().to_owned(),
        ]
    }

    /// True if this CPU can run the kernel.
    #[getter]
    fn runs_here(&self) -> bool {
        self.gemm.is_some()
    }

    /// The machine code. None for the portable family.
    #[getter]
    fn code<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let code = self.listing()?.machine_code;
        Ok(code.map(|code| PyBytes::new(py, &code.bytes)))
    }

    /// Returns the annotated listing.
    fn disassemble(&self) -> PyResult<String> {
        Ok(self.listing()?.to_string())
    }

    /// Counts the instructions in one iteration of the loop over k, by kind.
    fn loop_mix(&self) -> PyResult<BTreeMap<&'static str, usize>> {
        let code = self.listing()?.machine_code;
        Ok(code.map(|code| code.loop_mix.named().into_iter().collect()).unwrap_or_default())
    }

    /// Multiplies `activations` (m × k) with `weights` (n × k), exactly. The result is m × n.
    fn sums<'py>(
        &self,
        py: Python<'py>,
        weights: PyReadonlyArray2<'py, i8>,
        activations: PyReadonlyArray2<'py, i8>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.spec.epilogue {
            Epilogue::I32 => self.multiply::<i32>(py, &weights, &activations),
            Epilogue::F32 => self.multiply::<f32>(py, &weights, &activations),
        }
    }

    /// Returns the seconds of the fastest product of n × k weights with m tokens.
    fn time(
        &self,
        py: Python<'_>,
        shape: (usize, usize),
        m: usize,
        threads: usize,
        budget: f64,
    ) -> PyResult<f64> {
        self.gemm()?;
        if m == 0 {
            return Err(bad_argument("m", "0 is out of range", "use 1 or more"));
        }
        let budget = seconds("budget", budget)?;
        let time = py.detach(|| tercet_engine::tune::time(&self.spec, shape, m, threads, budget));
        time.map(|time| time.as_secs_f64()).map_err(exception)
    }
}

impl Kernel {
    fn listing(&self) -> PyResult<Listing> {
        Listing::new(&self.spec).map_err(bad_spec)
    }

    fn gemm(&self) -> PyResult<&Gemm> {
        let isa = self.spec.isa;
        let missing =
            || bad_argument("isa", format!("this CPU has no {isa}"), "run the kernel on one that has");
        self.gemm.as_ref().ok_or_else(missing)
    }

    fn multiply<'py, T: Element + numpy::Element + Default>(
        &self,
        py: Python<'py>,
        weights: &PyReadonlyArray2<'py, i8>,
        activations: &PyReadonlyArray2<'py, i8>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let gemm = self.gemm()?;
        let (&[n, k], &[m, width]) = (weights.shape(), activations.shape()) else {
            return Err(bad_argument(
                "weights",
                "they and the activations are no matrices",
                "give two dimensions",
            ));
        };
        if k != width {
            let problem = format!("they have {width} columns, weights {k}");
            return Err(bad_argument("activations", problem, "give n × k and m × k"));
        }
        let (weights, activations) = (weights.as_slice()?, activations.as_slice()?);
        let product = py.detach(|| -> tercet_engine::Result<Vec<T>> {
            let packed = PackedMatrix::pack(self.spec.layout, n, k, weights)?;
            let mut acts = Activations::with_capacity(m, k);
            acts.reset(m, k);
            for (mut row, values) in acts.rows_mut().zip(activations.chunks(k)) {
                row.set(|to| {
                    to.copy_from_slice(values);
                    1.0
                });
            }
            let mut out = vec![T::default(); m * n];
            gemm.compute(&packed, &acts, ColumnsMut::new(&mut out, m, n));
            Ok(out)
        });
        Ok(PyArray1::from_vec(py, product.map_err(exception)?).reshape([m, n])?.into_any())
    }
}

/// Converts a number of seconds, at most a day, to a duration.
pub(crate) fn seconds(what: &str, seconds: f64) -> PyResult<Duration> {
    const DAY: f64 = 86_400.0;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if seconds <= DAY => Ok(duration),
        _ => Err(bad_argument(what, format!("{seconds} is out of range"), "use seconds, up to a day")),
    }
}
