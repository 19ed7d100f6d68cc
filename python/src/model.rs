//! A loaded model.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use numpy::PyArray2;
use pyo3::prelude::*;
use tercet_engine::options::OptionInfo;
use tercet_engine::{Mode, Preset, Runtime, RuntimeOptions, Session, SessionOptions};

use crate::embedding;
use crate::errors::{bad_argument, exception};
use crate::generation::{Request, Requested};
use crate::scheduler::Scheduler;
use crate::scoring::{self, Scored};
use crate::stream::Stream;
use crate::tokenizer::Tokenizer;

/// A loaded model. Several threads may use it at the same time.
#[pyclass(frozen, module = "tercet._tercet")]
pub(crate) struct Model {
    session: Arc<Session>,
    /// Tokens that a sequence may have.
    context: usize,
}

/// Options for running a model. The environment and the machine decide the options that are None.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Options {
    isa: Option<String>,
    threads: Option<usize>,
    packing: Option<String>,
    mode: Option<String>,
    activations: Option<String>,
    head: Option<String>,
    cache_type: Option<String>,
}

impl Options {
    pub(crate) fn runtime(&self) -> PyResult<Runtime> {
        Ok(Runtime::new(&self.runtime_options()?))
    }

    fn runtime_options(&self) -> PyResult<RuntimeOptions> {
        let environment = SessionOptions::from_environment().map_err(exception)?.runtime;
        let mode: Mode = parse("mode", &self.mode)?.unwrap_or_default();
        let mode = match parse("activations", &self.activations)? {
            Some(activations) => mode.with_activations(activations).map_err(exception)?,
            None => mode,
        };
        Ok(RuntimeOptions {
            mode,
            isa_cap: parse("isa", &self.isa)?.or(environment.isa_cap),
            threads: self.threads.or(environment.threads),
            packing: parse("packing", &self.packing)?.or(environment.packing),
            head: parse("head", &self.head)?.unwrap_or(environment.head),
            cache_type: parse("cache_type", &self.cache_type)?.or(environment.cache_type),
            ..environment
        })
    }
}

/// Parses the option `what` of the library's table, if it has a value.
pub(crate) fn parse<T: FromStr>(what: &str, name: &Option<String>) -> PyResult<Option<T>> {
    let values = OptionInfo::find(what).map(|option| (option.values)()).unwrap_or_default();
    parse_one_of(what, name, &values)
}

/// Parses the argument `what`, if it has a value. `values` are those that it takes.
pub(crate) fn parse_one_of<T: FromStr>(
    what: &str,
    name: &Option<String>,
    values: &[&str],
) -> PyResult<Option<T>> {
    let Some(name) = name else { return Ok(None) };
    let unknown =
        || bad_argument(what, format!("{name:?} is not known"), &format!("use {}", values.join(", ")));
    name.parse().map(Some).map_err(|_| unknown())
}

#[pymethods]
impl Model {
    /// Loads the model called `name`, with a context of `context` tokens or of all that it allows. The model called
    /// `draft_model` makes drafts.
    #[staticmethod]
    fn load(
        py: Python<'_>,
        name: Option<PathBuf>,
        options: Options,
        context: Option<usize>,
        draft_model: Option<PathBuf>,
    ) -> PyResult<Self> {
        let options =
            SessionOptions { runtime: options.runtime_options()?, context, tune: false, draft_model };
        let open = || Session::open_with(name.as_deref(), &options, &mut |_| {});
        let session = py.detach(open).map_err(exception)?;
        let most = session.model().config().max_positions;
        match context {
            Some(context) if !(1..=most).contains(&context) => {
                let remedy = format!("use 1 to {most}");
                Err(bad_argument("context", format!("{context} is out of range"), &remedy))
            }
            _ => Ok(Model { session: Arc::new(session), context: context.unwrap_or(most) }),
        }
    }

    /// Makes a model with the shape of a preset, random weights, and the tokenizer of the built-in model.
    #[staticmethod]
    fn synthetic(py: Python<'_>, preset: &str, options: Options) -> PyResult<Self> {
        let runtime = options.runtime()?;
        let open = || Session::synthetic(&Preset::find(preset)?, runtime);
        let session = py.detach(open).map_err(exception)?;
        Ok(Model { context: session.model().config().max_positions, session: Arc::new(session) })
    }

    /// The model's tokenizer.
    #[getter]
    fn tokenizer(&self) -> Tokenizer {
        Tokenizer(Arc::clone(&self.session))
    }

    /// The model's name.
    #[getter]
    fn name(&self) -> &str {
        self.session.model().name()
    }

    /// The instruction set of its kernels.
    #[getter]
    fn isa(&self) -> &str {
        self.session.runtime().isa().name()
    }

    /// The mode of computing: `fast` or `exact`.
    #[getter]
    fn mode(&self) -> &str {
        self.session.runtime().mode().name()
    }

    /// The number of threads that compute each token.
    #[getter]
    fn threads(&self) -> usize {
        self.session.runtime().threads()
    }

    /// Warnings about options, the cache and the model's files.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.session.warnings()
    }

    /// The number of rows of the embedding: the largest token id plus one.
    #[getter]
    fn vocab_size(&self) -> usize {
        self.session.model().config().vocab_size
    }

    /// The maximum number of tokens in a sequence.
    #[getter]
    fn context_length(&self) -> usize {
        self.context
    }

    /// Sizes in bytes: packed ternary matrices, embedding, output head, the quantized copy of the
    /// head, and the keys and values of one position.
    fn memory_use(&self) -> [usize; 5] {
        let tercet_engine::MemoryUse { ternary, embedding, head, screen, cache_per_token } =
            self.session.model().memory_use();
        [ternary, embedding, head, screen, cache_per_token]
    }

    /// Returns a request for texts.
    fn request(&self, py: Python<'_>, requested: Requested) -> PyResult<Request> {
        Request::new(py, &self.session, requested)
    }

    /// Returns a scheduler. An interactive one goes on with its texts while it reads a prompt.
    fn scheduler(&self, interactive: bool) -> Scheduler {
        Scheduler::new(Arc::clone(&self.session), interactive)
    }

    /// Returns an iterator over the pieces of text that continue a prompt.
    fn stream(&self, prompt: Vec<u32>, request: Py<Request>, seed: u64) -> PyResult<Stream> {
        Stream::new(Arc::clone(&self.session), &prompt, request, seed)
    }

    /// Returns the probabilities of each pair's second tokens after its first tokens.
    fn logprobs(&self, py: Python<'_>, pairs: Vec<(Vec<u32>, Vec<u32>)>) -> PyResult<Vec<Scored>> {
        scoring::logprobs(py, &self.session, pairs)
    }

    /// Returns the logits of the last `last` tokens, or of all: positions × vocabulary.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        ids: Vec<u32>,
        last: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        scoring::logits(py, &self.session, &ids, last)
    }

    /// Returns the embeddings of texts: texts × dimensions.
    fn embed<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        prompt_name: Option<String>,
        dimensions: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        embedding::embed(py, &self.session, &texts, prompt_name.as_deref(), dimensions)
    }

    /// Returns the perplexity of `ids`, cut into windows.
    fn perplexity(&self, py: Python<'_>, ids: Vec<u32>, window: Option<usize>) -> PyResult<f64> {
        scoring::perplexity(py, &self.session, &ids, window)
    }
}
