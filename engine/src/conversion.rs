//! Converts a model, and compares the result with its source before it appears.

mod behaviour;
mod greedy;
mod texts;

use std::path::Path;

use tercet_formats::{Converted, Format, ModelFiles, convert_checked};

use crate::error::{Error, Result};
use crate::runtime::Runtime;
use behaviour::Behaviour;

/// A finished conversion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversion {
    /// What was written.
    pub converted: Converted,
    /// What differs from the source, and what programs other than Tercet cannot learn from the result. A
    /// line each.
    pub differences: Vec<String>,
}

/// Converts like [`tercet_formats::convert()`], and compares the new model with its source: the tokens of
/// a thousand texts, the chat template, end tokens, suggested sampling, and greedy continuations on
/// `runtime`.
///
/// # Errors
/// Those of [`convert_checked`]. [`Error::File`] if the new model gives other tokens, ends elsewhere, or
/// has another template or sampling; nothing is written then.
///
/// # Examples
/// ```
/// use tercet_engine::{Runtime, RuntimeOptions, convert};
/// use tercet_formats::{Format, ModelFiles, TensorType};
///
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
/// let files = ModelFiles::open(folder.as_ref())?;
/// let out = std::env::temp_dir().join(format!("tercet-conversion-{}.gguf", std::process::id()));
///
/// let runtime = Runtime::new(&RuntimeOptions::default());
/// let conversion = convert(&files, &out, Format::Gguf(TensorType::I2S), false, &runtime)?;
/// assert_eq!(conversion.converted.tensors, 24);
/// # std::fs::remove_file(&out).ok();
/// # Ok::<(), tercet_engine::Error>(())
/// ```
pub fn convert(
    files: &ModelFiles,
    out: &Path,
    format: Format,
    replace: bool,
    runtime: &Runtime,
) -> Result<Conversion> {
    let mut differences = Vec::new();
    let converted = convert_checked(files, out, format, replace, |new| -> Result<()> {
        let source = Behaviour::load(files)?;
        if let Some(difference) = source.differences(&Behaviour::load(new)?)?.into_iter().next() {
            let remedy = "nothing was written; please report this";
            let label = out.display().to_string();
            return Err(Error::malformed(label, "the converted model", difference, remedy));
        }
        let continuations = [greedy::continuations(files, runtime)?, greedy::continuations(new, runtime)?];
        differences.extend(greedy::difference(&continuations));
        if matches!(format, Format::Gguf(_)) {
            let others = Behaviour::load(&new.as_others_read_them())?;
            let told = source.differences(&others)?;
            differences
                .extend(told.into_iter().map(|line| format!("other programs, such as llama.cpp: {line}")));
        }
        Ok(())
    })?;
    differences.splice(..0, converted.losses.iter().cloned());
    Ok(Conversion { converted, differences })
}
