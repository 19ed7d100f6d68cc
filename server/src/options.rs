//! Options of a server.

use std::path::PathBuf;
use std::time::Duration;

use crate::origin::Origin;
#[cfg(feature = "tls")]
use crate::tls::TlsFiles;

/// Options of a [`Server`](crate::Server).
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Keys of which every request must bring one; none lets everybody in.
    pub api_keys: Vec<String>,
    /// A file with more keys, one a line. On Unix, SIGHUP reads it again.
    pub api_key_file: Option<PathBuf>,
    /// The server's identity for TLS; without it, it speaks plain HTTP. On Unix, SIGHUP reads its files again.
    #[cfg(feature = "tls")]
    pub tls: Option<TlsFiles>,
    /// Origins whose pages may ask, beside the server's own.
    pub cors: Vec<Origin>,
    /// Sequences of a model that run at once.
    pub parallel: usize,
    /// Requests for a model that may wait. The next one is refused with status 429.
    pub queue: usize,
    /// Bytes that the keys and values of all models may take; none is half of the free memory. A request waits until its own
    /// fit. Every model gets room for as many tokens.
    pub kv_bytes: Option<u64>,
    /// The log has prompts and texts, too.
    pub log_prompts: bool,
    /// Time that requests under way get to finish when the server is about to end.
    pub drain_time: Duration,
    /// The server ends by itself after this number of requests for texts.
    pub max_requests: Option<u64>,
    /// Largest body of a request, in bytes.
    pub body_bytes: usize,
    /// Connections that are open at once.
    pub connections: usize,
    /// Longest time that a handshake, a request's headers or its body take to arrive, that a connection is idle, or that a
    /// client does not read its answer.
    pub idle_time: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            api_keys: Vec::new(),
            api_key_file: None,
            #[cfg(feature = "tls")]
            tls: None,
            cors: Vec::new(),
            parallel: 8,
            queue: 64,
            kv_bytes: None,
            log_prompts: false,
            drain_time: Duration::from_secs(60),
            max_requests: None,
            body_bytes: 8 << 20,
            connections: 512,
            idle_time: Duration::from_secs(60),
        }
    }
}
