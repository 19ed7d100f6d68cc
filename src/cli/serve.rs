//! `tercet serve`: answers requests over HTTP.

mod log;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tercet_engine::{Error, Size};
use tercet_server::TlsFiles;
use tercet_server::{Origin, ServedModel, Server, ServerOptions};

use super::args::{ContextArgs, ModelsArgs, SessionArgs};
use super::report;
use log::LogArgs;

const EXAMPLES: &str = "\
Examples:
  tercet serve -m bitnet-2b
  curl http://127.0.0.1:8080/v1/chat/completions -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Why?\"}]}'

Clients of OpenAI take the base URL http://127.0.0.1:8080/v1.
Those of Anthropic and Ollama take it without /v1.
GET /openapi.json describes all routes, fields and answers.";

/// Answer requests over HTTP, by the APIs of OpenAI, Anthropic and Ollama
///
/// Requests that come together share every read of the weights. Each text is the same as if its request were
/// alone.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    /// Address to listen at; the default is reached from this machine only
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port to listen at; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Key that every request must bring; may be repeated
    #[arg(long, value_name = "KEY")]
    api_key: Vec<String>,
    /// File with more keys, one a line; SIGHUP reads it and the files of TLS again
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Certificate in PEM, with those that vouch for it: the server speaks TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    // Not a comment for documentation, where an address would have to be a link.
    #[arg(
        long,
        value_name = "ORIGIN",
        help = "Origin whose pages may ask, such as https://chat.example.org, or * for all; repeatable"
    )]
    cors: Vec<Origin>,
    /// Requests that run at once; others wait
    #[arg(long, value_name = "N", default_value_t = ServerOptions::default().parallel)]
    parallel: usize,
    /// Requests that may wait; others are refused with status 429
    #[arg(long, value_name = "N", default_value_t = ServerOptions::default().queue)]
    queue: usize,
    /// Size that keys and values of all models may have; by default half of the free memory
    ///
    /// A request waits until the most that it can take fits. Keys and values of finished requests stay as long as
    /// there is room, because later prompts may begin like them. Every model gets room for as many tokens.
    #[arg(long, value_name = "SIZE")]
    kv_size: Option<Size>,
    /// Seconds that requests under way get to finish after Ctrl-C or SIGTERM
    #[arg(long, value_name = "SECONDS", default_value_t = ServerOptions::default().drain_time.as_secs())]
    drain_time: u64,
    /// Requests for texts after which the server ends by itself
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_requests: Option<u64>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    session: SessionArgs<ModelsArgs>,
    #[command(flatten)]
    context: ContextArgs,
    /// Smaller model that makes drafts for a text that grows alone, in the forms of --model
    ///
    /// It must have the same tokens as every model, and changes no text. `tercet generate --help` has more.
    #[arg(long, value_name = "MODEL", help_heading = "Model")]
    draft_model: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(&self) -> Result<ExitCode> {
        if self.parallel == 0 {
            return Err(Error::bad_argument("parallel", "0 is out of range", "use 1 or more").into());
        }
        let named = self.session.load.model.named()?;
        let options = ServerOptions {
            api_keys: self.api_key.clone(),
            api_key_file: self.api_key_file.clone(),
            tls: self.tls_cert.clone().zip(self.tls_key.clone()).map(|(cert, key)| TlsFiles { cert, key }),
            cors: self.cors.clone(),
            log_prompts: self.log.log_prompts,
            parallel: self.parallel,
            queue: self.queue,
            drain_time: Duration::from_secs(self.drain_time),
            max_requests: self.max_requests,
            kv_bytes: self.kv_size.map(|size| size.0),
            ..ServerOptions::default()
        };
        self.log.start();
        // It listens at once: requests hear that the model loads.
        let server = Server::bind(SocketAddr::new(self.host, self.port), &options)?;
        let models = self.open(&named)?;
        let names: Vec<&str> = models.iter().map(ServedModel::name).collect();
        let up = format!("serving {} at {}://{}", names.join(", "), self.scheme(), server.address());
        let until = async {
            // From here on requests are answered.
            report::note(up);
            tercet_server::interrupted().await;
        };
        server.run(models, until)?;
        Ok(ExitCode::SUCCESS)
    }

    fn scheme(&self) -> &'static str {
        if self.tls_cert.is_some() {
            return "https";
        }
        "http"
    }

    fn open(&self, named: &[(Option<&Path>, &[String])]) -> Result<Vec<ServedModel>> {
        let open = |(model, names): &(Option<&Path>, &[String])| {
            let session =
                self.session.open_model(*model, self.context.context, self.draft_model.as_deref())?;
            Ok(ServedModel::from(session).named(names.iter().cloned()))
        };
        named.iter().map(open).collect()
    }
}
