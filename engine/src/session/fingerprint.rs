//! A name for everything that determines a text, but for the request.

use super::Session;
use crate::error::Result;
use crate::model::BATCH;
use crate::packed::Appearance;
use crate::runtime::Mode;

/// Digits of the model's digest in a fingerprint: 64 bits.
const DIGITS: usize = 16;

impl Session {
    /// Returns a name for the version of Tercet, the contents of the model's files, and the arithmetic. The same
    /// fingerprint, request and seed give the same text, on every machine and with any number of threads.
    ///
    /// It reads all files of the model, but not the weights that a packed model was made from.
    ///
    /// # Errors
    /// Fails if a file cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        let pool = self.model.pool(BATCH);
        let contents = match Appearance::digest_all(&self.files, self.runtime.packed_cache(), pool)? {
            Some(digest) => digest[..DIGITS].to_owned(),
            // The version determines the contents of a model that is part of the program.
            None => self.model.name().to_owned(),
        };
        let (version, cache) = (env!("CARGO_PKG_VERSION"), self.runtime.cache_type().name());
        let arithmetic = match self.runtime.mode() {
            mode @ Mode::Fast => mode.name().to_owned(),
            mode @ Mode::Exact(activations) => format!("{}-{}", mode.name(), activations.name()),
        };
        Ok(format!("tercet-{version}-{contents}-{arithmetic}-{cache}"))
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use super::*;
    use crate::runtime::{ActivationType, Runtime, RuntimeOptions};
    use tercet_formats::ModelFiles;

    fn fingerprint(files: ModelFiles, mode: Mode, threads: usize) -> String {
        let options = RuntimeOptions { mode, threads: Some(threads), ..RuntimeOptions::default() };
        Session::new(files, Runtime::new(&options), None, &mut |_| {}).unwrap().fingerprint().unwrap()
    }

    #[test]
    fn it_tells_models_and_arithmetic_but_no_threads() {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(fixture).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        let open = |path: &std::path::Path| ModelFiles::open(path).unwrap();
        let of = |threads| fingerprint(open(copy.path()), Mode::Fast, threads);
        let first = of(1);
        assert_eq!(first, of(2));
        assert_eq!(first, fingerprint(open(fixture.as_ref()), Mode::Fast, 1));
        assert_ne!(first, fingerprint(open(copy.path()), Mode::Exact(ActivationType::Int8), 1));
        assert_ne!(first, fingerprint(crate::fairy_tales(), Mode::Fast, 1));

        std::fs::write(
            copy.path().join("generation_config.json"),
            r#"{"temperature": 0.5, "do_sample": true}"#,
        )
        .unwrap();
        assert_ne!(first, of(1));
    }
}
