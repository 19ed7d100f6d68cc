//! Serves models over HTTP, by the APIs that clients of OpenAI, Anthropic and Ollama speak.
//!
//! A request goes from a route to the model and back:
//!
//! 1. `routes` checks the page that asks (`origin`) and the key (`access`), and finds the handler. `openapi` describes all
//!    handlers by their types.
//! 2. `openai`, `anthropic` or `ollama` parses the body. `chat` renders the chat template, encodes the prompt and prepares
//!    calls of tools. `sampling` says how tokens are chosen.
//! 3. `runner` hands the prompt to the thread that owns the model's scheduler. `listener` measures what comes back.
//! 4. `reply` gathers the scheduler's news into an answer, and `stream` sends them on as they come.
//!
//! `log` writes a line for each request at its end, by what `record` learns on the way. Each text is bit for bit that of its request alone, whatever runs beside it.

mod access;
mod anthropic;
mod body;
mod chat;
mod connections;
mod drain;
mod embeddings;
mod error;
mod grammar;
mod ids;
mod listener;
mod llama;
mod log;
mod logprobs;
mod metrics;
mod models;
mod ollama;
mod openai;
mod openapi;
mod options;
mod origin;
mod page;
mod prompt;
mod record;
#[cfg(unix)]
mod reload;
mod reply;
mod routes;
mod runner;
mod sampling;
mod served;
mod shapes;
mod status;
mod stream;
mod telemetry;
mod text;
mod texts;
mod timings;
#[cfg(feature = "tls")]
mod tls;
mod tools;
mod turn;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tercet_engine::SchedulerOptions;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use access::Keys;
use connections::{Limits, Service};
use drain::Drain;
use metrics::Metrics;
use models::Models;
use origin::Origins;
#[cfg(feature = "tls")]
use tls::Tls;

pub use options::ServerOptions;
pub use origin::{InvalidOrigin, Origin};
pub use served::ServedModel;
#[cfg(feature = "tls")]
pub use tls::TlsFiles;

/// Time that a round of a model shall take: texts grow at least this often while prompts are read.
const ROUND_TIME: Duration = Duration::from_millis(100);

/// A server that listens. Until its models are loaded, it answers with status 503.
///
/// ```no_run
/// use tercet_engine::Session;
/// use tercet_server::{Server, ServerOptions};
///
/// let server = Server::bind("127.0.0.1:8080".parse()?, &ServerOptions::default())?;
/// let session = Session::open("bitnet-2b")?;
/// println!("http://{}", server.address());
/// server.run([session], std::future::pending())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    scheduler: SchedulerOptions,
    drain_time: Duration,
    /// Ends once the connections are told to shut down, and all of them have.
    connections: JoinHandle<()>,
    shutdown: oneshot::Sender<()>,
    // Dropped last: its thread answers.
    runtime: Runtime,
}

/// What every request may use.
#[derive(Debug)]
struct State {
    models: Models,
    metrics: Arc<Metrics>,
    keys: Keys,
    #[cfg(feature = "tls")]
    tls: Option<Arc<Tls>>,
    origins: Origins,
    parallel: usize,
    log_prompts: bool,
    drain: Drain,
    body_bytes: usize,
    limits: Limits,
}

impl Server {
    /// Listens at `address`; port 0 takes a free one. From now on a thread answers.
    ///
    /// # Errors
    /// Fails if the address cannot be used, a file of keys or certificates cannot be, or the system refuses a thread.
    pub fn bind(address: SocketAddr, options: &ServerOptions) -> std::io::Result<Self> {
        // One thread is enough for parsing and printing. The models' threads take the rest of the machine.
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("http").enable_all().build()?;
        let listener = runtime.block_on(listen(address))?;
        let address = listener.local_addr()?;
        let limits = Limits { connections: options.connections, idle_time: options.idle_time };
        let state = Arc::new(State {
            models: Models::default(),
            metrics: Arc::new(Metrics::new()),
            keys: Keys::new(&options.api_keys, options.api_key_file.as_deref())?,
            #[cfg(feature = "tls")]
            tls: options.tls.as_ref().map(Tls::new).transpose()?.map(Arc::new),
            origins: Origins::new(address.ip(), &options.cors),
            parallel: options.parallel,
            log_prompts: options.log_prompts,
            drain: Drain::after(options.max_requests),
            body_bytes: options.body_bytes,
            limits,
        });
        let scheduler = SchedulerOptions {
            parallel: options.parallel,
            queue: options.queue,
            round_time: Some(ROUND_TIME),
            kv_bytes: options.kv_bytes,
            keep_prefixes: true,
        };
        let (shutdown, told) = oneshot::channel();
        let service = Service {
            router: routes::router(Arc::clone(&state)),
            limits,
            #[cfg(feature = "tls")]
            tls: state.tls.clone(),
        };
        #[cfg(unix)]
        runtime.spawn(reload::on_hangup(Arc::clone(&state)));
        // A server that is dropped ends its connections together with the runtime.
        let connections = runtime.spawn(connections::serve(listener, service, async {
            if told.await.is_err() {
                std::future::pending().await
            }
        }));
        let drain_time = options.drain_time;
        Ok(Server { address, state, scheduler, drain_time, connections, shutdown, runtime })
    }

    /// Returns the address where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests for `models` until `shutdown` is ready, or [`ServerOptions::max_requests`] are answered. The first
    /// model is the default. Requests under way then get [`ServerOptions::drain_time`] to finish. New ones are refused with
    /// status 503.
    ///
    /// # Errors
    /// Fails if two models share a name, the system refuses a thread, a file of a model cannot be read, or
    /// [`ServerOptions::kv_bytes`] leave no room for a sequence.
    pub fn run(
        self,
        models: impl IntoIterator<Item = impl Into<ServedModel>>,
        shutdown: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        let Server { state, scheduler, drain_time, connections, shutdown: tell, runtime, .. } = self;
        state.models.start(models.into_iter().map(Into::into).collect(), scheduler, &state.metrics)?;
        runtime.block_on(async {
            tokio::select! {
                () = shutdown => {}
                () = state.drain.enough() => {}
            }
            // The listener goes on meanwhile, so that new requests hear why they are refused.
            state.drain.begin();
            let drained = async {
                state.models.idle().await;
                // Nobody hears it if the server has failed.
                let _ = tell.send(());
                let _ = connections.await;
            };
            // Requests that are overdue end with the process.
            let _ = tokio::time::timeout(drain_time, drained).await;
        });
        runtime.shutdown_background();
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let problem = format!("{address} cannot be listened at: {error}; choose another port or host");
        std::io::Error::new(error.kind(), problem)
    })
}

/// Waits for Ctrl-C or, on Unix, SIGTERM.
pub async fn interrupted() {
    let pressed = async {
        // Without a handler, the signal ends the process as always.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = pressed => {}
        () = terminated => {}
    }
}
