//! Connections by TLS, with certificates made on the spot.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tercet_server::{Server, ServerOptions, TlsFiles};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::client::{CHAT, Client, chat};

/// A folder with the files of an identity. Dropping it deletes it.
struct Identity {
    folder: PathBuf,
    files: TlsFiles,
}

impl Identity {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tercet-tls-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        Identity { folder, files }
    }

    /// Writes a new certificate and key. Returns a client that trusts them alone.
    fn renew(&self) -> Agent {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let pem = made.cert.pem();
        fs::write(&self.files.cert, &pem).unwrap();
        fs::write(&self.files.key, made.signing_key.serialize_pem()).unwrap();
        let root = Certificate::from_pem(pem.as_bytes()).unwrap();
        let roots = RootCerts::Specific(Arc::new(vec![root]));
        let tls = TlsConfig::builder().root_certs(roots).build();
        Agent::config_builder().tls_config(tls).build().new_agent()
    }

    fn serve(&self, options: ServerOptions) -> Client {
        let mut client = Client::start(&ServerOptions { tls: Some(self.files.clone()), ..options });
        client.base = client.base.replace("http://", "https://");
        client
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn health(agent: &Agent, client: &Client) -> Result<u16, ureq::Error> {
    let mut answer = agent.get(format!("{}/health", client.base)).call()?;
    // The connection can be used again once the answer is read.
    answer.body_mut().read_to_string()?;
    Ok(answer.status().as_u16())
}

#[test]
fn answers_come_by_tls_alone() {
    let identity = Identity::new("answers");
    let agent = identity.renew();
    let client = identity.serve(ServerOptions::default());
    let mut answer = agent.post(format!("{}{CHAT}", client.base)).send_json(chat()).unwrap();
    let text = |body: String| {
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        body["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let plain = Client::start(&ServerOptions::default());
    assert_eq!(text(answer.body_mut().read_to_string().unwrap()), text(plain.post(CHAT, &chat()).1));

    let stranger = Identity::new("stranger").renew();
    assert!(health(&stranger, &client).is_err());
    let unencrypted = client.base.replace("https://", "http://");
    assert!(ureq::get(format!("{unencrypted}/health")).call().is_err());
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    let identity = Identity::new("handshake");
    let agent = identity.renew();
    // The silent client has the only place.
    let limits =
        ServerOptions { idle_time: Duration::from_secs(1), connections: 1, ..ServerOptions::default() };
    let client = identity.serve(limits);
    let mut silent = TcpStream::connect(client.base.strip_prefix("https://").unwrap()).unwrap();
    assert_eq!(health(&agent, &client).unwrap(), 200);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let identity = Identity::new("files");
    identity.renew();
    let other = Identity::new("other");
    other.renew();
    let refused = |cert: &Path, key: &Path, words: [&str; 2]| {
        let tls = Some(TlsFiles { cert: cert.to_owned(), key: key.to_owned() });
        let options = ServerOptions { tls, ..ServerOptions::default() };
        let error = Server::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)) && error.lines().count() == 1, "{error}");
    };
    let TlsFiles { cert, key } = &identity.files;
    refused(Path::new("/no/such/cert"), key, ["tls_cert", "/no/such/cert"]);
    refused(cert, Path::new("/no/such/key"), ["tls_key", "/no/such/key"]);
    refused(key, key, ["tls_cert", "no certificate"]);
    refused(cert, cert, ["tls_key", "no private key"]);
    refused(cert, &other.files.key, ["tls_key", "does not fit"]);
    let damaged = identity.folder.join("damaged.pem");
    fs::write(&damaged, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    refused(&damaged, key, ["tls_cert", "damaged"]);
    // The frame is right, but what is in it is no certificate.
    fs::write(&damaged, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    refused(&damaged, key, ["tls_", "damaged.pem"]);
}

#[cfg(unix)]
#[test]
fn a_new_certificate_is_read_without_an_end_of_connections() {
    let identity = Identity::new("renewed");
    let early = identity.renew();
    let client = identity.serve(ServerOptions::default());
    assert_eq!(health(&early, &client).unwrap(), 200);
    let late = identity.renew();
    assert!(health(&late, &client).is_err());
    assert!(Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status().unwrap().success());
    while health(&late, &client).is_err() {}
    // The connection from before goes on. A new one would not.
    assert_eq!(health(&early, &client).unwrap(), 200);
}
