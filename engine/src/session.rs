//! A model and everything that it takes to run it, opened in one call.

#[cfg(feature = "async")]
mod asynchronous;
mod batch;
mod fingerprint;
mod loading;
mod stream;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tercet_chat::ChatTemplate;
use tercet_formats::{GenerationDefaults, ModelFiles};

use crate::conversation::Conversation;
use crate::embedding::Embedder;
use crate::error::Result;
use crate::generate::{Draft, DraftModel, Generation, Generator, Request};
use crate::knobs;
use crate::model::Model;
#[cfg(feature = "embedded")]
use crate::model::Preset;
use crate::runtime::{Runtime, RuntimeOptions, user_cache};
use crate::sampler::SamplingChoices;
use crate::tokenizer::Tokenizer;

#[cfg(feature = "async")]
pub use asynchronous::{AsyncSession, AsyncStream};
pub use loading::Loading;
pub use stream::Stream;

/// The largest context that a session reserves without being asked: models allow more than most machines hold.
const DEFAULT_CONTEXT: usize = 4096;
/// Tokens that [`Session::request`] asks for.
const DEFAULT_TOKENS: usize = 128;

/// Options of a session. The default leaves everything to the machine and keeps nothing on disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionOptions {
    /// How the model runs.
    pub runtime: RuntimeOptions,
    /// Tokens that a context holds; none takes what the model allows, up to 4096.
    pub context: Option<usize>,
    /// Tune the kernels for a few seconds at the first load of a large model, and keep the result.
    pub tune: bool,
    /// A smaller model with the same tokens, which makes drafts: a path, name or repository. It changes no text.
    pub draft_model: Option<PathBuf>,
}

impl SessionOptions {
    /// Reads the environment variables of [`knobs`]. Packed models and tuning records are kept in the user's cache
    /// directory unless `TERCET_CACHE_DIR` names another.
    ///
    /// # Errors
    /// [`Error::BadArgument`](crate::Error::BadArgument) if a variable's value cannot be read.
    pub fn from_environment() -> Result<Self> {
        let mut runtime = knobs::runtime_options()?;
        runtime.cache_dir = runtime.cache_dir.or_else(user_cache);
        Ok(SessionOptions { runtime, tune: !knobs::no_tune()?, ..SessionOptions::default() })
    }
}

/// A model with its tokenizer, its runtime, and its authors' defaults.
///
/// A session is shared by reference or in an `Arc`; several threads may use it at once.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # fn main() -> tercet_engine::Result<()> {
/// use tercet_engine::{Request, Session};
///
/// let session = Session::open("fairy-tales")?;
/// let request = Request { max_tokens: 20, ..session.request() };
/// for text in session.stream("Once upon a time", request)? {
///     print!("{}", text?);
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Session {
    files: ModelFiles,
    runtime: Runtime,
    model: Model,
    tokenizer: Tokenizer,
    defaults: GenerationDefaults,
    context: usize,
    draft: Draft,
}

impl Session {
    /// Opens a model by path, name or repository, with the options of the environment: a directory in the Hugging Face
    /// format, a GGUF file, a name such as `bitnet-2b`, or `hf:OWNER/REPO`. Missing files are downloaded. It never tunes.
    ///
    /// # Errors
    /// Fails if there is no such model, or it cannot be downloaded, read or run.
    pub fn open(model: impl AsRef<Path>) -> Result<Self> {
        let options = SessionOptions { tune: false, ..SessionOptions::from_environment()? };
        Self::open_with(Some(model.as_ref()), &options, &mut |_| {})
    }

    /// Opens `model`, or else the one of `TERCET_MODEL`, or else the embedded one. `progress` hears of every step that
    /// takes time, and of every warning.
    ///
    /// # Errors
    /// Those of [`Session::open`] and of [`Session::with_draft_model`].
    pub fn open_with(
        model: Option<&Path>,
        options: &SessionOptions,
        progress: &mut dyn FnMut(Loading<'_>),
    ) -> Result<Self> {
        let mut runtime = Runtime::new(&options.runtime);
        runtime.warnings().iter().for_each(|warning| progress(Loading::Warning(warning)));
        let files = crate::open_model(model, &mut |download| progress(Loading::Download(download)))?;
        if options.tune {
            loading::tune_once(&mut runtime, &files, progress)?;
        }
        let session = Self::new(files, runtime, options.context, progress)?;
        let Some(draft) = &options.draft_model else { return Ok(session) };
        let options = SessionOptions { context: None, draft_model: None, ..options.clone() };
        session.with_draft_model(Self::open_with(Some(draft), &options, progress)?)
    }

    /// Takes the model of `draft`, which is smaller and has the same tokens, to make drafts. The requests that the session
    /// suggests have them.
    ///
    /// # Errors
    /// [`Error::OtherTokens`](crate::Error::OtherTokens) if the tokenizers differ in a token.
    pub fn with_draft_model(self, draft: Session) -> Result<Self> {
        Ok(Session { draft: Draft::Model(DraftModel::new(&self, draft)?), ..self })
    }

    /// Loads the model of `files` on `runtime`. A context of none is that of [`SessionOptions::context`].
    ///
    /// # Errors
    /// Fails if a file is missing, damaged or unsupported, or a kernel cannot be made.
    pub fn new(
        files: ModelFiles,
        runtime: Runtime,
        context: Option<usize>,
        progress: &mut dyn FnMut(Loading<'_>),
    ) -> Result<Self> {
        progress(Loading::Model(files.name()));
        let model = Model::load(&files, &runtime)?;
        model.warnings().iter().for_each(|warning| progress(Loading::Warning(warning)));
        let defaults = GenerationDefaults::load(&files, model.config())?;
        let tokenizer = Tokenizer::load(&files, model.config().vocab_size)?;
        files.warnings().iter().for_each(|warning| progress(Loading::Warning(warning)));
        let context = context.unwrap_or(model.config().max_positions.min(DEFAULT_CONTEXT));
        Ok(Session { files, runtime, model, tokenizer, defaults, context, draft: Draft::default() })
    }

    /// Makes a model of a preset's shape with random weights, and the embedded model's tokenizer.
    ///
    /// # Errors
    /// Fails if a kernel cannot be made.
    #[cfg(feature = "embedded")]
    pub fn synthetic(preset: &Preset, runtime: Runtime) -> Result<Self> {
        let (files, model) = (crate::fairy_tales(), Model::synthetic(preset, &runtime)?);
        let tokenizer = Tokenizer::load(&files, model.config().vocab_size)?;
        let context = model.config().max_positions.min(DEFAULT_CONTEXT);
        let (defaults, draft) = (GenerationDefaults::default(), Draft::default());
        Ok(Session { files, runtime, model, tokenizer, defaults, context, draft })
    }

    /// Returns the model's files.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// Returns the warnings about options, the cache and the model's files, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let parts = [self.runtime.warnings(), self.model.warnings(), &self.files.warnings()];
        parts.concat()
    }

    /// Returns the instruction set, threads and kernels that the model runs on.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Returns the model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Gives up everything but the model.
    pub(crate) fn into_model(self) -> Model {
        self.model
    }

    /// Returns the model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the settings that the model's authors suggest for generation.
    pub fn defaults(&self) -> &GenerationDefaults {
        &self.defaults
    }

    /// Returns the number of tokens that a context holds by default.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Returns the tokens of `text` as the beginning of a sequence, with what the tokenizer puts around a text.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text, true)
    }

    /// Returns what makes embeddings with the model.
    ///
    /// # Errors
    /// Those of [`Embedder::new`].
    pub fn embedder(&self) -> Result<Embedder<&Session>> {
        Embedder::new(self)
    }

    /// Reads the model's chat template.
    ///
    /// # Errors
    /// Those of [`ChatTemplate::load`].
    pub fn template(&self) -> Result<ChatTemplate> {
        Ok(ChatTemplate::load(&self.files)?)
    }

    /// Returns the request that the model's authors suggest: their sampling, their end tokens, up to 128 tokens.
    pub fn request(&self) -> Request {
        self.request_with(&SamplingChoices::default())
    }

    /// Returns the suggested request with these sampling choices instead of the authors'.
    pub fn request_with(&self, choices: &SamplingChoices) -> Request {
        Request {
            max_tokens: DEFAULT_TOKENS,
            sampler: choices.over(&self.defaults),
            eos: self.defaults.eos_token_ids.clone(),
            draft: self.draft.clone(),
            ..Request::default()
        }
    }

    /// Continues `prompt` and hands on text as it becomes certain. The text ends early if `on_text` breaks.
    ///
    /// # Errors
    /// Fails if the request is invalid, the prompt exceeds the context, or the model yields no numbers.
    pub fn generate(
        &self,
        prompt: &str,
        request: &Request,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation> {
        let prompt = self.encode(prompt)?;
        let context = self.model.context_for(prompt.len().saturating_add(request.max_tokens));
        Generator::new(&self.model, &self.tokenizer, context)?.generate(&prompt, request, on_text)
    }

    /// Continues `prompt`: an iterator over the pieces of text as they become certain.
    ///
    /// # Errors
    /// Fails if the request is invalid or the prompt exceeds the context.
    pub fn stream(&self, prompt: &str, request: Request) -> Result<Stream<&Session>> {
        Stream::new(self, &self.encode(prompt)?, request)
    }

    /// Continues several prompts, which share every read of the weights. The texts have the order of the prompts, and each is
    /// that of its prompt alone. The first has the seed of `request`, and each further one the next seed.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # fn main() -> tercet_engine::Result<()> {
    /// let session = tercet_engine::Session::open("fairy-tales")?;
    /// for text in session.batch(["The dragon", "The king"], &session.request())? {
    ///     println!("{}", text.text);
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// The first error of a text; those of [`Session::generate`].
    pub fn batch<P: AsRef<str>>(
        &self,
        prompts: impl IntoIterator<Item = P>,
        request: &Request,
    ) -> Result<Vec<Generation>> {
        batch::generate(self, prompts, request)
    }

    /// Starts a conversation by the model's chat template, with an optional message of the system.
    ///
    /// # Errors
    /// Fails if the model has no valid template.
    pub fn conversation(&self, system: Option<String>) -> Result<Conversation<&Session>> {
        Conversation::new(self, system)
    }
}
