//! Requests to the server, over a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use tercet::{Runtime, RuntimeOptions, Session};
use tercet_server::{Server, ServerOptions};

/// Tokens of the context, so that every answer is short.
const CONTEXT: usize = 320;

/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(60);

/// A method and a route on a line, and a body after it: the server answers, and no fault is its own.
pub fn request(data: &[u8]) {
    static SERVER: LazyLock<SocketAddr> = LazyLock::new(start);
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    // Other lines are no HTTP, which the library checks.
    let is_plain = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_graphic);
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(route), None) = (parts.next(), parts.next(), parts.next()) else { return };
    if !is_plain(method) || !is_plain(route) || route[0] != b'/' {
        return;
    }
    let mut stream = TcpStream::connect(*SERVER).expect("the server lives");
    stream.set_read_timeout(Some(LONG)).expect("a timeout can be set");
    let head = [method, b" ", route, b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"].concat();
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    let request = [&head, length.as_bytes(), body].concat();
    let mut answer = Vec::new();
    // The server may answer and close before it has read all of the request.
    let _ = stream.write_all(&request);
    let outcome = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|answer| answer.get(..3));
    assert!(status.is_some_and(|status| status != "500"), "{outcome:?}: {answer}");
    assert!(!answer.contains("\"type\":\"server_error\""), "{answer}");
}

/// Starts a server that lives as long as the process.
fn start() -> SocketAddr {
    let options = RuntimeOptions { threads: Some(1), no_cache: true, ..RuntimeOptions::default() };
    let session = Session::new(tercet::fairy_tales(), Runtime::new(&options), Some(CONTEXT), &mut |_| {});
    let address = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(address, &ServerOptions::default()).expect("a port is free");
    let address = server.address();
    let session = session.expect("the embedded model is valid");
    thread::spawn(move || server.run([session], std::future::pending()));
    while TcpStream::connect(address).is_ok_and(|mut stream| {
        let asked = stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && !answer.contains("200 OK")
    }) {
        thread::yield_now();
    }
    address
}
