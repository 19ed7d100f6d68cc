//! A server whose models are not loaded yet.

use std::thread;

use serde_json::Value;
use tercet_server::{Server, ServerOptions};
use tokio::sync::oneshot;

use crate::client::{CHAT, Client, chat, session};

#[test]
fn a_server_tells_that_its_models_load() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), &ServerOptions::default()).unwrap();
    let client = Client { base: format!("http://{}", server.address()), session: session().into() };
    let get = |route: &str| client.wire(&format!("GET {route} HTTP/1.1\nHost: localhost"));
    for route in ["/health", "/ready", "/v1/models", "/api/tags", "/props"] {
        let answer = get(route);
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    }
    let body = get("/health").split_once("\r\n\r\n").unwrap().1.to_owned();
    let error = serde_json::from_str::<Value>(&body).unwrap()["error"].take();
    assert_eq!((&error["message"], &error["type"]), (&"Loading model".into(), &"unavailable_error".into()));
    for route in [CHAT, "/v1/messages", "/api/chat"] {
        let (status, text) = client.post(route, &chat());
        assert!(status == 503 && text.contains("Loading model"), "{status} {text}");
    }
    for route in ["/", "/metrics", "/openapi.json"] {
        assert!(get(route).starts_with("HTTP/1.1 200"), "{route}");
    }

    let (end, ended) = oneshot::channel::<()>();
    let thread = thread::spawn(move || server.run([session()], async { drop(ended.await) }).unwrap());
    while get("/health").starts_with("HTTP/1.1 503") {
        thread::yield_now();
    }
    assert!(get("/health").starts_with("HTTP/1.1 200") && get("/ready").starts_with("HTTP/1.1 200"));
    assert_eq!(client.post(CHAT, &chat()).0, 200);
    end.send(()).unwrap();
    thread.join().unwrap();
}
