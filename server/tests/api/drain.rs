//! The end of a server.

use serde_json::{Value, json};
use tercet_server::ServerOptions;
use tokio::sync::oneshot;

use crate::client::{CHAT, Client, chat};

const COMPLETIONS: &str = "/v1/completions";

/// Returns a request for many long texts, which take much longer than a few other requests.
fn long() -> Value {
    json!({
        "prompt": "Once upon a time", "max_tokens": 400, "ignore_eos": true,
        "n": 24, "seed": 3, "stream": true,
    })
}

/// Returns the texts of a stream.
fn texts(stream: &str) -> Vec<String> {
    let mut texts = vec![String::new(); 24];
    for chunk in
        stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]")
    {
        let choice = serde_json::from_str::<Value>(chunk).unwrap()["choices"][0].take();
        texts[choice["index"].as_u64().unwrap() as usize] += choice["text"].as_str().unwrap();
    }
    texts
}

#[test]
fn a_server_that_ends_finishes_what_is_under_way() {
    let (end, ended) = oneshot::channel::<()>();
    let (client, server) = Client::until(&ServerOptions::default(), async { drop(ended.await) });
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    // The answer's head arrives once the first text has begun.
    let mut under_way = agent.post(format!("{}{COMPLETIONS}", client.base)).send_json(long()).unwrap();
    end.send(()).unwrap();
    let ready = || agent.get(format!("{}/ready", client.base)).call().unwrap();
    while ready().status().as_u16() == 200 {}
    assert_eq!(ready().headers()["retry-after"], "1");
    assert_eq!(client.answer("/metrics", None).0, 200);
    let refused = client.post(CHAT, &chat());
    assert_eq!(refused.0, 503, "{}", refused.1);

    let whole = under_way.body_mut().read_to_string().unwrap();
    let other = Client::start(&ServerOptions::default());
    assert_eq!(texts(&whole), texts(&other.post(COMPLETIONS, &long()).1));
    server.join().unwrap();
}

#[test]
fn a_server_ends_after_its_number_of_requests() {
    let options = ServerOptions { max_requests: Some(2), ..ServerOptions::default() };
    let (client, server) = Client::until(&options, std::future::pending());
    assert!(client.wire("GET /v1/models HTTP/1.1\nHost: localhost").starts_with("HTTP/1.1 200"));
    for _ in 0..2 {
        assert_eq!(client.post(CHAT, &chat()).0, 200);
    }
    server.join().unwrap();
}
