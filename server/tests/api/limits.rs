//! Clients that take their time, over raw sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat};

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
    let client = Client::start(&ServerOptions { idle_time: SOON, ..ServerOptions::default() });
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
        Client::start(&ServerOptions { connections: 1, idle_time: LONG, ..ServerOptions::default() });
    let first = begin(&client, "");
    let mut second = begin(&client, "GET /health HTTP/1.1\nHost: localhost\nConnection: close\n\n");
    second.set_read_timeout(Some(SOON)).unwrap();
    second.read(&mut [0]).expect_err("the first connection has the only place");
    drop(first);
    assert!(end(second).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_client_that_does_not_read_on_is_cut_off() {
    let client =
        Client::start(&ServerOptions { connections: 1, idle_time: SOON, ..ServerOptions::default() });
    // An answer of several megabytes, more than sockets hold.
    let more = json!({
        "max_tokens": 400, "ignore_eos": true, "n": 24,
        "logprobs": true, "top_logprobs": 20, "stream": true,
    });
    let mut body = chat();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = body.to_string();
    let mut slow = begin(
        &client,
        &format!("POST {CHAT} HTTP/1.1\nHost: localhost\nContent-Length: {}\n\n{body}", body.len()),
    );
    // It has the only place until then.
    assert!(client.wire("GET /health HTTP/1.1\nHost: localhost").starts_with("HTTP/1.1 200"));
    // Its texts end after the round that is under way.
    while !client.wire("GET /metrics HTTP/1.1\nHost: localhost").contains("outcome=\"cancelled\"") {}
    let mut answer = Vec::new();
    slow.set_read_timeout(Some(LONG)).unwrap();
    // The connection may be reset.
    let _ = slow.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("[DONE]"));
}
