//! Web pages that ask, as browsers tell of them.

use tercet_server::ServerOptions;

use crate::client::Client;

const PAGE: &str = "https://chat.example";

fn client(cors: &[&str]) -> Client {
    let cors = cors.iter().map(|origin| origin.parse().unwrap()).collect();
    Client::start(&ServerOptions { cors, api_keys: vec!["sesame".to_owned()], ..ServerOptions::default() })
}

/// Returns the status of an answer, and the origin that may read it.
fn reading(answer: &str) -> (u16, Option<&str>) {
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.lines().find_map(|line| line.strip_prefix("access-control-allow-origin: ")))
}

#[test]
fn a_rebound_name_is_refused() {
    let client = client(&[]);
    let status = |host: &str| reading(&client.wire(&format!("GET /health HTTP/1.1\nHost: {host}"))).0;
    assert_eq!((status("localhost:8080"), status("127.0.0.1"), status("evil.example")), (200, 200, 403));
}

#[test]
fn foreign_pages_are_refused_with_a_remedy() {
    let client = client(&[]);
    let request = format!("GET /health HTTP/1.1\nHost: localhost\nOrigin: {PAGE}");
    let answer = client.wire(&request);
    assert_eq!(reading(&answer), (403, None));
    assert!(answer.contains(&format!("--cors {PAGE}")), "{answer}");
}

#[test]
fn allowed_pages_read_answers_and_refusals() {
    let client = client(&[PAGE]);
    let read = |route: &str, origin: &str| {
        let answer = client.wire(&format!("GET {route} HTTP/1.1\nHost: localhost\nOrigin: {origin}"));
        let (status, reader) = reading(&answer);
        (status, reader.map(str::to_owned))
    };
    assert_eq!(read("/health", PAGE), (200, Some(PAGE.to_owned())));
    assert_eq!(read("/v1/models", PAGE), (401, Some(PAGE.to_owned())));
    assert_eq!(read("/health", "https://evil.example"), (403, None));
}

#[test]
fn a_browser_may_ask_first_and_without_a_key() {
    let client = client(&[PAGE]);
    let ask = |origin: &str| {
        client.wire(&format!(
            "OPTIONS /v1/chat/completions HTTP/1.1\nHost: localhost\nOrigin: {origin}\n\
             Access-Control-Request-Method: POST\nAccess-Control-Request-Headers: authorization,content-type"
        ))
    };
    let answer = ask(PAGE);
    assert_eq!(reading(&answer), (200, Some(PAGE)));
    assert!(answer.contains("access-control-allow-methods: GET,POST"), "{answer}");
    assert!(answer.contains("access-control-allow-headers: authorization,content-type"), "{answer}");
    assert_eq!(reading(&ask("https://evil.example")).1, None);
}
