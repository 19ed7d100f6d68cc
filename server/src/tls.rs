//! TLS, by a certificate and a key in files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tercet_engine::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::served::refusal;

/// The files of a server's identity, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those that vouch for it.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl TlsFiles {
    fn load(&self) -> io::Result<Arc<ServerConfig>> {
        let TlsFiles { cert, key } = self;
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(cert).and_then(|certificates| certificates.collect());
        let certificates = certificates.map_err(|error| refused("tls_cert", cert, &error))?;
        if certificates.is_empty() {
            return Err(refused("tls_cert", cert, &pem::Error::NoItemsFound));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refused("tls_key", key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let mut config =
            config.with_no_client_auth().with_single_cert(certificates, private).map_err(|error| {
                let problem = format!("{} does not fit {}: {error}", key.display(), cert.display());
                refusal(Error::bad_argument("tls_key", problem, "give the certificate's own key"))
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Returns the error of a file of which there is nothing to read.
fn refused(argument: &str, path: &Path, error: &pem::Error) -> io::Error {
    let problem = match error {
        pem::Error::Io(error) => format!("{} cannot be read: {error}", path.display()),
        pem::Error::NoItemsFound => {
            let item = if argument == "tls_key" { "private key" } else { "certificate" };
            format!("{} holds no {item}", path.display())
        }
        error => format!("{} is damaged: {error}", path.display()),
    };
    refusal(Error::bad_argument(argument, problem, "give a file in PEM, which begins with -----BEGIN"))
}

/// The server's side of TLS. Connections keep the identity that they began with.
#[derive(Debug)]
pub(crate) struct Tls {
    #[cfg_attr(not(unix), expect(dead_code, reason = "only SIGHUP reads the files again"))]
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// # Errors
    /// Fails if a file cannot be used.
    pub(crate) fn new(files: &TlsFiles) -> io::Result<Self> {
        Ok(Tls { files: files.clone(), config: RwLock::new(files.load()?) })
    }

    /// Reads the files again. If they cannot be used, the old identity stays.
    ///
    /// # Errors
    /// Fails if a file cannot be used.
    #[cfg(unix)]
    pub(crate) fn reload(&self) -> io::Result<()> {
        let config = self.files.load()?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Shakes hands with a client.
    ///
    /// # Errors
    /// Fails if the client speaks no TLS that the server knows.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}
