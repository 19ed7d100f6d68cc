//! The models that a server has, by name.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::Digest;
use tercet_engine::{ChatInput, ChatTemplate, Error, Matcher, SchedulerOptions, Session, Size};

use crate::embeddings::Embeddings;
use crate::error::{ApiError, Result};
use crate::grammar::Asked;
use crate::metrics::Metrics;
use crate::runner::Runner;
use crate::served::{self, ServedModel};
use crate::tools::Format;
use crate::turn::Turn;

/// A model that answers requests.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    /// Its other names.
    pub(crate) aliases: Vec<String>,
    pub(crate) session: Arc<Session>,
    pub(crate) runner: Runner,
    /// Tokens of the longest sequence.
    pub(crate) context: usize,
    /// None if the model has no template: it then continues texts, but holds no chats.
    template: Result<ChatTemplate, String>,
    pub(crate) embeddings: Embeddings,
    pub(crate) turn: Turn,
    /// The form of its calls and thoughts.
    pub(crate) format: Format,
    /// Seconds since 1970 when it was loaded.
    pub(crate) created: u64,
    /// The same fingerprint, request and seed give the same text.
    pub(crate) fingerprint: String,
}

impl Model {
    /// Returns the prompt for a chat.
    ///
    /// # Errors
    /// Fails with status 400 if the model has no template, or the template refuses the messages.
    pub(crate) fn render(&self, input: &ChatInput) -> Result<String> {
        let template = self.template.as_ref().map_err(|error| ApiError::field("model", error))?;
        template.render(input).map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// Compiles the grammar that a request asks for, on a thread for work that takes time.
    ///
    /// # Errors
    /// Fails with status 400 and the field that asks for it if the grammar cannot be used.
    pub(crate) async fn matcher(self: &Arc<Self>, asked: Option<Asked>) -> Result<Option<Matcher>> {
        let Some(Asked { field, grammar }) = asked else { return Ok(None) };
        let model = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || model.session.tokenizer().matcher(&grammar)).await;
        let compiled = task.map_err(|_| ApiError::internal("the grammar library has failed"))?;
        compiled.map(Some).map_err(|error| match error {
            Error::BadArgument { problem, remedy, .. } => {
                ApiError::field(field, &format!("{problem}; {remedy}"))
            }
            error => error.into(),
        })
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Returns true if it can hold chats.
    pub(crate) fn has_template(&self) -> bool {
        self.template.is_ok()
    }

    /// Returns the number of weights.
    pub(crate) fn parameters(&self) -> usize {
        let tensors = self.session.model().config().tensors();
        tensors.iter().map(|tensor| tensor.role.shape().iter().product::<usize>()).sum()
    }

    /// Returns the bytes that its weights take.
    pub(crate) fn bytes(&self) -> usize {
        let memory = self.session.model().memory_use();
        memory.ternary + memory.embedding + memory.head + memory.screen
    }

    /// Returns the text of its template for chats without tools, empty without one.
    pub(crate) fn template_text(&self) -> &str {
        let template = self.template.as_ref().ok();
        template.and_then(|template| template.text(&ChatInput::default()).ok()).unwrap_or_default()
    }

    /// Returns hexadecimal digits that differ between models of other contents. Ollama's clients show and compare them.
    pub(crate) fn digest(&self) -> String {
        sha2::Sha256::digest(&self.fingerprint).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// All models of a server: none while they load, then at least one.
#[derive(Debug, Default)]
pub(crate) struct Models(OnceLock<Vec<Arc<Model>>>);

impl Models {
    /// Starts a runner for each model. The models are there from then on.
    ///
    /// # Errors
    /// Fails if two models share a name, the system refuses a thread, a file of a model cannot be read, or `options` leave no
    /// room for a sequence.
    pub(crate) fn start(
        &self,
        models: Vec<ServedModel>,
        options: SchedulerOptions,
        metrics: &Arc<Metrics>,
    ) -> std::io::Result<()> {
        served::check_names(&models)?;
        let parts = served::divide(&models, options.kv_bytes);
        let start = |(served, kv_bytes): (ServedModel, Option<u64>)| {
            let (session, mut names) = (Arc::new(served.session), served.names.into_iter());
            let options = SchedulerOptions { kv_bytes, ..options };
            let context = context(&session, kv_bytes)?;
            let template = session.template().map_err(|error| error.to_string());
            let with_tools = ChatInput { tools: Some(Vec::new()), ..ChatInput::default() };
            let text = template.as_ref().ok().and_then(|template| template.text(&with_tools).ok());
            let name = names.next().unwrap_or_default();
            Ok(Arc::new(Model {
                aliases: names.collect(),
                runner: Runner::start(Arc::clone(&session), options, metrics.of(&name))?,
                name,
                format: Format::of(text.unwrap_or_default()),
                context,
                template,
                embeddings: Embeddings::new(&session),
                turn: Turn::default(),
                created: unix_time(),
                fingerprint: session.fingerprint().map_err(std::io::Error::other)?,
                session,
            }))
        };
        let models = models.into_iter().zip(parts).map(start).collect::<std::io::Result<_>>()?;
        self.0.get_or_init(|| models);
        Ok(())
    }

    /// # Errors
    /// Fails with status 503 while the models load.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.get().map(|_| ()).ok_or_else(ApiError::loading)
    }

    /// Returns the model called `name`, or the first without a name. Ollama's tag `:latest` may follow a name.
    ///
    /// # Errors
    /// Fails with status 404 if there is no such model.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<&Arc<Model>> {
        self.check()?;
        let called = |name: &str| self.iter().find(|model| model.is_called(name));
        let found = match name {
            Some(name) => called(name).or_else(|| called(name.strip_suffix(":latest")?)),
            None => self.iter().next(),
        };
        found.ok_or_else(|| ApiError::unknown_model(name.unwrap_or_default()))
    }

    /// Waits until no request is under way.
    pub(crate) async fn idle(&self) {
        for model in self.iter() {
            model.runner.idle().await;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.0.get().into_iter().flatten()
    }
}

/// Returns the tokens of the longest sequence whose keys and values take at most `kv_bytes`.
fn context(session: &Session, kv_bytes: Option<u64>) -> std::io::Result<usize> {
    let Some(bytes) = kv_bytes else { return Ok(session.context()) };
    match session.model().context_within(bytes) {
        0 => {
            let (size, name) = (Size(bytes), session.model().name());
            let problem = format!("{size} of keys and values hold no sequence of {name}");
            Err(served::refusal(Error::bad_argument("kv_size", problem, "allow more")))
        }
        most => Ok(session.context().min(most)),
    }
}

/// Returns the seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
