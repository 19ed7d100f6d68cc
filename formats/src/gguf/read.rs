//! Reads tensors by transformers' names, with rows in transformers' order.

use super::order::Order;
use super::tensor::Tensor;
use super::{DAMAGED, GgufFile, TensorType, foreign, interleave, names, ternary};
use crate::config::{Family, Part};
use crate::error::{Error, Result};
use crate::{Checkpoint, Floats, Scales, StoredFloats, Table, Ternary};

const TERNARY_MODEL: &str = "a ternary model, such as BitNet b1.58; llama.cpp runs models of other weights";
const OTHER_MODEL: &str = "the file contradicts its own metadata: convert it again";

impl Checkpoint for GgufFile {
    fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let values = self.stored_floats(name, &[len])?.get().to_vec();
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(values),
            Some(i) => Err(self.malformed(&own_name(name), format!("element {i} is {}", values[i]), DAMAGED)),
        }
    }

    fn table(&self, name: &str, n: usize, k: usize) -> Result<Table> {
        let (_, _, kind) = self.tensor(name, &[n, k])?;
        match kind.is_ternary() {
            true => self.ternary(name, n, k).map(Table::Ternary),
            false => self.stored_floats(name, &[n, k]).map(|floats| Table::of(floats, k)),
        }
    }

    fn check(&self) -> Result<()> {
        self.parts.iter().try_for_each(|part| part.bytes.check())
    }

    fn ternary(&self, name: &str, n: usize, k: usize) -> Result<Ternary> {
        let (own, tensor, kind) = self.tensor(name, &[n, k])?;
        let bytes = self.data(tensor);
        let matrix = match kind.floats() {
            None => self.unpacked(&own, kind, bytes, (n, k))?,
            Some(floats) => Ternary::exact(Floats::of(floats, bytes), k).ok_or_else(|| {
                let found = format!("{}, and its weights are not ternary", kind.name());
                Error::unsupported(self.label(), &own, found, TERNARY_MODEL)
            })?,
        };
        // The matrix will be packed, so its pages are not needed again.
        self.parts[tensor.part].bytes.release(tensor.range.clone());
        let matrix = match self.interleaved_heads(name)? {
            None => matrix,
            Some(heads) => in_order(matrix, n, heads).ok_or_else(|| self.uneven(&own, n, heads))?,
        };
        Ok(match self.own_scale(&own)? {
            None => matrix,
            Some(factor) => matrix.scaled(factor),
        })
    }
}

impl GgufFile {
    /// Returns true if there is a tensor called `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// Returns the shape of the tensor called `name`, if there is one.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(&own_name(name)).map(|tensor| &tensor.shape[..])
    }

    pub(super) fn data(&self, tensor: &Tensor) -> &[u8] {
        &self.parts[tensor.part].bytes[tensor.range.clone()]
    }

    /// Returns the floating-point tensor `name` of `shape`, row-major, in its stored type.
    pub(super) fn stored_floats(&self, name: &str, shape: &[usize]) -> Result<StoredFloats> {
        let (name, tensor, kind) = self.tensor(name, shape)?;
        match kind.floats() {
            Some(floats) => {
                Ok(StoredFloats::new(self.parts[tensor.part].bytes.clone(), tensor.range.clone(), floats))
            }
            None => Err(self.wrong_type(&name, kind.name(), "floats, such as F32, F16 or Q8_0")),
        }
    }

    /// Returns the separate scale of the matrix `name`, if there is one. llama.cpp's converter
    /// stores one for 1bitLLM's models, and products of the matrix are multiplied by it.
    fn own_scale(&self, name: &str) -> Result<Option<f32>> {
        let name = format!("{}.scale", name.trim_end_matches(".weight"));
        match self.shape(&name) {
            None => Ok(None),
            Some([]) => Ok(Some(self.stored_floats(&name, &[])?.get().get(0))),
            Some(_) => Ok(self.vector(&name, 1)?.pop()),
        }
    }

    /// Returns the n × k matrix of a ternary type, with rows in the file's order.
    fn unpacked(
        &self,
        name: &str,
        kind: TensorType,
        bytes: &[u8],
        (n, k): (usize, usize),
    ) -> Result<Ternary> {
        let order = match kind {
            TensorType::I2S => *self.order.get_or_init(|| Order::of(self)),
            _ => Order::Blocks128,
        };
        let (mut trits, mut scales) = ternary::decode(kind, bytes, (n, k), order);
        if let Some(at) = trits.iter().position(|trit| *trit > 1) {
            let problem = format!("code 3 at row {}, column {} is not a ternary weight", at / k, at % k);
            let remedy = "use a file with ternary weights, or download it again";
            return Err(self.malformed(name, problem, remedy));
        }
        self.check_scales(name, &mut trits, &mut scales)?;
        Ok(merged(trits, scales, k))
    }

    /// Makes all scales positive. A negative scale negates its trits. A scale of 0 makes its trits
    /// 0, and its neighbour's scale or any other one takes its place.
    fn check_scales(&self, name: &str, trits: &mut [i8], scales: &mut [f32]) -> Result<()> {
        if let Some(bad) = scales.iter().find(|scale| !scale.is_finite()) {
            return Err(self.malformed(name, format!("the scale is {bad}"), DAMAGED));
        }
        let block = (trits.len() / scales.len().max(1)).max(1);
        for (trits, scale) in trits.chunks_mut(block).zip(&mut *scales) {
            if *scale < 0.0 {
                trits.iter_mut().for_each(|trit| *trit = -*trit);
            } else if *scale == 0.0 {
                trits.fill(0);
            }
            *scale = scale.abs();
        }
        let any = scales.iter().copied().find(|scale| *scale > 0.0).unwrap_or(1.0);
        for i in 0..scales.len() {
            if scales[i] == 0.0 {
                scales[i] = scales.get(i ^ 1).copied().filter(|scale| *scale > 0.0).unwrap_or(any);
            }
        }
        Ok(())
    }

    /// Returns the number of heads whose rows are interleaved in the matrix `name`, if they are.
    fn interleaved_heads(&self, name: &str) -> Result<Option<usize>> {
        let architecture = self.architecture()?;
        if !Family::is_interleaved(architecture) {
            return Ok(None);
        }
        let heads = |key: &str| self.metadata.uniform(&format!("{architecture}.attention.{key}"));
        let heads = match Part::of_name(name) {
            Some((_, Part::Query)) => heads("head_count")?,
            Some((_, Part::Key)) => match heads("head_count_kv")? {
                None => heads("head_count")?,
                some => some,
            },
            _ => None,
        };
        Ok(heads.and_then(|heads| usize::try_from(heads).ok()))
    }

    /// Returns the GGUF name, place and type of the tensor `name`, which must have this `shape`.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<(String, &Tensor, TensorType)> {
        let name = own_name(name);
        let tensor = self.tensors.get(&name);
        let tensor =
            tensor.ok_or_else(|| self.malformed(&name, "the tensor is missing".into(), OTHER_MODEL))?;
        if tensor.shape != shape {
            let problem = format!("the shape is {:?}, the metadata demand {shape:?}", tensor.shape);
            return Err(self.malformed(&name, problem, OTHER_MODEL));
        }
        match tensor.kind {
            Ok(kind) => Ok((name, tensor, kind)),
            Err(code) => Err(self.wrong_type(&name, &foreign::name(code), foreign::REMEDY)),
        }
    }

    fn uneven(&self, name: &str, n: usize, heads: usize) -> Error {
        self.malformed(name, format!("{n} rows cannot be {heads} heads of an even width"), OTHER_MODEL)
    }

    fn wrong_type(&self, name: &str, found: &str, expected: &str) -> Error {
        Error::unsupported(self.label(), format!("the type of {name}"), found, expected)
    }

    fn malformed(&self, name: &str, problem: String, remedy: &str) -> Error {
        Error::malformed(self.label(), name, problem, remedy)
    }
}

/// Returns GGUF's name of the tensor. Any other name is taken as GGUF's own.
pub(super) fn own_name(name: &str) -> String {
    names::gguf_name(name).unwrap_or_else(|| name.to_owned())
}

/// Returns the matrix with its rows in transformers' order.
fn in_order(matrix: Ternary, n: usize, heads: usize) -> Option<Ternary> {
    let trits = interleave::undo(&matrix.trits, n, heads)?;
    let scales = match matrix.scales {
        Scales::Groups { size, values } => {
            Scales::Groups { size, values: interleave::undo(&values, n, heads)? }
        }
        one => one,
    };
    Some(Ternary { trits, scales })
}

/// Returns the matrix of `trits` in rows of `k`. Its scales, each for the same number of trits, are
/// merged into as few as possible: one if all are the same.
fn merged(trits: Vec<i8>, scales: Vec<f32>, k: usize) -> Ternary {
    let same = |scales: &[f32]| scales.iter().all(|scale| *scale == scales[0]);
    if scales.len() <= 1 || same(&scales) {
        return Ternary::of(trits, scales.first().copied().unwrap_or(1.0));
    }
    let size = trits.len() / scales.len();
    let in_row = k / size;
    let fits = |&count: &usize| in_row.is_multiple_of(count) && scales.chunks(count).all(same);
    let count = [in_row, 8, 4, 2].into_iter().find(fits).unwrap_or(1);
    let values = scales.into_iter().step_by(count).collect();
    Ternary { trits, scales: Scales::Groups { size: count * size, values } }
}
