//! A hub in this process. Like the real one, it lists repositories, sends small files, and
//! redirects to a second server for large files. It fails on demand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Faults of the servers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Every response has this status and this `X-Error-Code`.
    pub(crate) status: Option<(u16, &'static str)>,
    /// A response with a large file ends after this number of bytes.
    pub(crate) reset_after: Option<usize>,
    /// Large files are sent from the beginning, whatever range was requested.
    pub(crate) ignores_range: bool,
    /// A byte of large files is wrong.
    pub(crate) corrupts: bool,
    /// Large files are sent in pieces, with this pause between them.
    pub(crate) pause: Option<Duration>,
    /// Sent byte by byte, 50 ms apart: the `list`, the `headers` of every answer, or a large `file`.
    pub(crate) trickles: Option<&'static str>,
    /// The list tells this size of large files.
    pub(crate) promises: Option<u64>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) by_cdn: bool,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    faults: Faults,
    seen: Vec<Seen>,
}

/// Two servers with the files of one repository. They run until the process ends.
pub(crate) struct FakeHub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

const LARGE: usize = 100_000;

impl FakeHub {
    pub(crate) fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let state = State { files: files.into_iter().collect(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let cdn = serve(Arc::clone(&state), None);
        let address = serve(Arc::clone(&state), Some(cdn));
        FakeHub { address, state }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn misbehave(&self, faults: Faults) {
        self.state.lock().unwrap().faults = faults;
    }

    /// Returns the requests since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }
}

/// Starts a server. With a `cdn` it is the hub; without one it is the server of large files.
fn serve(state: Arc<Mutex<State>>, cdn: Option<SocketAddr>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let state = Arc::clone(&state);
            // An error here means that the client has gone, which some tests cause.
            thread::spawn(move || answer(stream?, &state, cdn));
        }
    });
    address
}

fn answer(mut stream: TcpStream, state: &Mutex<State>, cdn: Option<SocketAddr>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut seen = Seen { by_cdn: cdn.is_none(), path: path.clone(), authorization: None, range: None };
    for line in lines {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                seen.authorization = Some(value.to_owned());
            }
            Some((name, value)) if name.eq_ignore_ascii_case("range") => seen.range = Some(value.to_owned()),
            Some(_) => {}
            None => break,
        }
    }
    let (files, faults) = {
        let mut state = state.lock().unwrap();
        state.seen.push(seen.clone());
        (state.files.clone(), state.faults.clone())
    };
    if faults.trickles == Some("headers") {
        return trickle(&mut stream, b"HTTP/1.1 200 S\r\nContent-Length: 100000\r\n");
    }
    if let Some((status, code)) = faults.status {
        return respond(&mut stream, status, &format!("X-Error-Code: {code}\r\n"), b"no");
    }
    let name = path.split_once(&format!("/resolve/{COMMIT}/")).map_or("", |(_, name)| name);
    match (cdn, files.get(name)) {
        (Some(_), None) if path.starts_with("/api/models/") => {
            let list = listing(&files, &faults);
            match faults.trickles {
                Some("list") => {
                    write!(stream, "HTTP/1.1 200 S\r\nContent-Length: {}\r\n\r\n", list.len())?;
                    trickle(&mut stream, list.as_bytes())
                }
                _ => respond(&mut stream, 200, "", list.as_bytes()),
            }
        }
        (Some(cdn), Some(file)) if file.len() >= LARGE => {
            respond(&mut stream, 302, &format!("Location: http://{cdn}{path}\r\n"), b"")
        }
        (Some(_), Some(file)) => respond(&mut stream, 200, "", file),
        (None, Some(file)) => send(&mut stream, file, seen.range.as_deref(), &faults),
        (_, None) => respond(&mut stream, 404, "X-Error-Code: EntryNotFound\r\n", b"no"),
    }
}

fn trickle(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes.chunks(1) {
        stream.write_all(byte)?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn respond(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} S\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n")?;
    stream.write_all(body)
}

fn send(stream: &mut TcpStream, file: &[u8], range: Option<&str>, faults: &Faults) -> std::io::Result<()> {
    let start = range.filter(|_| !faults.ignores_range).map_or(0, |range| {
        range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse::<usize>().unwrap()
    });
    let mut body = file[start..].to_vec();
    if faults.corrupts {
        *body.last_mut().unwrap() ^= 1;
    }
    let (length, size) = (body.len(), file.len());
    let mut head =
        format!("HTTP/1.1 {} S\r\nContent-Length: {length}\r\n", if start > 0 { 206 } else { 200 });
    if start > 0 {
        write!(head, "Content-Range: bytes {start}-{}/{size}\r\n", size - 1).unwrap();
    }
    stream.write_all((head + "Connection: close\r\n\r\n").as_bytes())?;
    body.truncate(faults.reset_after.unwrap_or(length));
    if faults.trickles == Some("file") {
        return trickle(stream, &body);
    }
    for piece in body.chunks(16 << 10) {
        stream.write_all(piece)?;
        if let Some(pause) = faults.pause {
            thread::sleep(pause);
        }
    }
    Ok(())
}

/// Returns the list of files in the form of the real hub.
fn listing(files: &BTreeMap<String, Vec<u8>>, faults: &Faults) -> String {
    let siblings = files.iter().map(|(name, file)| {
        let pointer = json!({ "rfilename": name, "size": file.len(), "blobId": git(file) });
        if file.len() < LARGE {
            return pointer;
        }
        let size = faults.promises.unwrap_or(file.len() as u64);
        let lfs = json!({ "sha256": hex(&Sha256::digest(file)), "size": size, "pointerSize": 134 });
        json!({ "rfilename": name, "size": file.len(), "blobId": git(b"a pointer"), "lfs": lfs })
    });
    json!({ "id": "tiny/bitnet", "sha": COMMIT, "siblings": siblings.collect::<Vec<_>>() }).to_string()
}

fn git(file: &[u8]) -> String {
    hex(&Sha1::digest([format!("blob {}\0", file.len()).as_bytes(), file].concat()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
