//! Clients that take their time, over raw sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tercet_server::ServerOptions;

use crate::client::Client;

const SOON: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(600);

/// Sends the beginning of a request.
fn begin(client: &Client, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(client.base.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).unwrap();
    stream
}

/// Returns what the server says until it closes the connection.
fn end(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn requests_that_do_not_arrive_are_closed() {
    let client = Client::start(&ServerOptions { read_time: SOON, ..ServerOptions::default() });
    let silent = begin(&client, "");
    let headers = begin(&client, "GET /health HTTP/1.1\nHost: local");
    let body = begin(&client, "POST /tokenize HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n{");
    let idle = begin(&client, "GET /health HTTP/1.1\nHost: localhost\n\n");
    assert!(!end(silent).contains("200 OK"));
    assert!(!end(headers).contains("200 OK"));
    assert!(end(body).starts_with("HTTP/1.1 408"));
    assert!(end(idle).starts_with("HTTP/1.1 200"));
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let client =
        Client::start(&ServerOptions { connections: 1, read_time: LONG, ..ServerOptions::default() });
    let first = begin(&client, "");
    let mut second = begin(&client, "GET /health HTTP/1.1\nHost: localhost\nConnection: close\n\n");
    second.set_read_timeout(Some(SOON)).unwrap();
    second.read(&mut [0]).expect_err("the first connection has the only place");
    drop(first);
    assert!(end(second).starts_with("HTTP/1.1 200"));
}
