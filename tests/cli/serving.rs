//! `tercet serve` as a process: its log and its signals.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Scratch, command};

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(120);

const CHAT: &str = "/v1/chat/completions";

/// A server that ends with the test.
struct Serving {
    child: Child,
    address: String,
    /// The lines of standard error.
    lines: Receiver<String>,
}

impl Serving {
    fn start(arguments: &[&str]) -> Self {
        let mut command = command(&[&["serve", "--port", "0", "--threads", "1"], arguments].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut serving = Serving { child, address: String::new(), lines };
        let line = serving.line(|line| line.starts_with("serving "));
        serving.address = line.split_once("://").unwrap().1.to_owned();
        serving
    }

    /// Waits for a line.
    #[track_caller]
    fn line(&self, is_it: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(LONG).expect("the line comes");
            if is_it(&line) {
                return line;
            }
        }
    }

    /// Returns the next line of a log in JSON.
    #[track_caller]
    fn record(&self) -> Value {
        serde_json::from_str(&self.line(|_| true)).unwrap()
    }

    /// Sends a request with these headers, and returns the socket.
    fn send(&self, method: &str, route: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    }

    /// Returns the answer to a request as it goes over the wire.
    fn ask(&self, method: &str, route: &str, headers: &str, body: &str) -> String {
        let mut answer = String::new();
        self.send(method, route, headers, body).read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a request for a chat about a word that is not in any other text.
fn chat(more: Value) -> String {
    let mut body =
        json!({ "messages": [{ "role": "user", "content": "Zanzibar" }], "max_tokens": 5, "seed": 1 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

#[test]
fn the_log_has_a_line_for_each_request_but_not_its_texts() {
    let serving = Serving::start(&["--log", "json", "--alias", "tales", "--api-key", "sesame"]);
    let key = "Authorization: Bearer sesame\r\n";
    assert!(serving.ask("GET", "/health", "", "").starts_with("HTTP/1.1 200"));

    let answer = serving.ask("POST", CHAT, &format!("{key}X-Request-Id: mine-1\r\n"), &chat(json!({})));
    assert!(answer.contains("\r\nx-request-id: mine-1\r\n"), "{answer}");
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let mut line = serving.record();
    for (field, value) in [
        ("id", "mine-1".into()),
        ("method", "POST".into()),
        ("route", CHAT.into()),
        ("status", 200.into()),
        ("outcome", "length".into()),
        ("model", "tales".into()),
        ("prompt_tokens", body["usage"]["prompt_tokens"].clone()),
        ("cached_tokens", 0.into()),
        ("generated_tokens", 5.into()),
    ] {
        assert_eq!(line[field], value, "{field}: {line}");
    }
    let seconds = |field: &str| line[field].as_f64().unwrap();
    assert!(0.0 < seconds("first_token_seconds") && seconds("first_token_seconds") < seconds("seconds"));
    assert!(seconds("tokens_per_second") > 0.0);
    assert!(!line.to_string().contains("Zanzibar") && !line.to_string().contains("sesame"), "{line}");

    serving.ask("POST", CHAT, &format!("{key}X-Request-Id: a b\r\n"), &chat(json!({ "model": "Zanzibar" })));
    line = serving.record();
    assert_eq!((&line["status"], &line["error"]), (&404.into(), &"not_found_error".into()));
    assert_eq!(line["id"].as_str().unwrap().len(), 16);
    assert!(!line.to_string().contains("Zanzibar"), "{line}");

    serving.ask("POST", CHAT, "", &chat(json!({})));
    assert_eq!(serving.record()["status"], 401);
}

#[test]
fn a_client_that_hangs_up_is_logged_as_such() {
    let serving = Serving::start(&["--log", "json"]);
    let long = chat(json!({ "stream": true, "n": 16, "max_tokens": 400, "ignore_eos": true }));
    let mut stream = serving.send("POST", CHAT, "", &long);
    stream.read_exact(&mut [0; 500]).unwrap();
    drop(stream);
    let line = serving.record();
    assert_eq!((&line["status"], &line["outcome"]), (&200.into(), &"cancelled".into()), "{line}");
}

#[test]
fn texts_are_logged_on_demand_and_people_read_lines() {
    let serving = Serving::start(&["--log-prompts", "--verbose"]);
    serving.ask("GET", "/ready", "", "");
    assert!(serving.line(|_| true).contains("  GET /ready  200"));
    serving.ask("POST", CHAT, "", &chat(json!({})));
    let line = serving.line(|_| true);
    for part in [
        " POST /v1/chat/completions  200 length  fairy-tales  prompt ",
        "  text 5  first ",
        " tokens/s  total ",
    ] {
        assert!(line.contains(part), "{line}");
    }
    assert!(line.contains("Zanzibar") && line.matches("\"").count() == 4, "{line}");
}

#[test]
fn a_log_that_nobody_reads_harms_no_request() {
    let mut serving = Serving::start(&[]);
    // The thread that reads standard error ends with the receiver, at the next line.
    serving.lines = channel().1;
    for _ in 0..3 {
        assert!(serving.ask("POST", CHAT, "", &chat(json!({}))).starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn keys_are_read_again_on_demand() {
    let scratch = Scratch::new();
    let keys = scratch.file("keys");
    fs::write(&keys, "first\n").unwrap();
    let mut serving = Serving::start(&["--api-key-file", &keys, "--api-key", "always"]);
    let opens = |key: &str| {
        let answer = serving.ask("GET", "/v1/models", &format!("Authorization: Bearer {key}\r\n"), "");
        answer.starts_with("HTTP/1.1 200")
    };
    assert_eq!(["first", "second", "always"].map(opens), [true, false, true]);
    fs::write(&keys, "second\n").unwrap();
    serving.signal("-HUP");
    serving.line(|line| line.ends_with("info  keys and certificates are read again"));
    assert_eq!(["first", "second", "always"].map(opens), [false, true, true]);
    fs::write(&keys, "\n").unwrap();
    serving.signal("-HUP");
    serving.line(|line| line.contains("  error  ") && line.contains("holds no key"));
    assert_eq!(["first", "second", "always"].map(opens), [false, true, true]);
    serving.signal("-TERM");
    assert!(serving.wait().success());
}

#[test]
fn a_server_without_files_ends_when_its_terminal_does() {
    let mut serving = Serving::start(&[]);
    serving.signal("-HUP");
    assert!(!serving.wait().success());
}
