//! A server with a client of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tercet_engine::{Runtime, RuntimeOptions, Session};
use tercet_server::{ServedModel, Server, ServerOptions};

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// Returns a request for a chat.
pub(crate) fn chat() -> Value {
    json!({ "messages": [{ "role": "user", "content": "Tell me a story" }], "max_tokens": 12, "seed": 7 })
}

/// A server that answers for as long as the test runs.
pub(crate) struct Client {
    pub(crate) base: String,
    pub(crate) session: Arc<Session>,
}

pub(crate) fn session() -> Session {
    let options = RuntimeOptions { threads: Some(1), no_cache: true, ..RuntimeOptions::default() };
    let files = tercet_engine::fairy_tales();
    Session::new(files, Runtime::new(&options), None, &mut |_| {}).unwrap()
}

impl Client {
    pub(crate) fn start(options: &ServerOptions) -> Self {
        Self::until(options, std::future::pending()).0
    }

    /// Starts a server with these models.
    pub(crate) fn with(options: &ServerOptions, models: Vec<ServedModel>) -> Self {
        Self::run(options, models, std::future::pending()).0
    }

    /// Starts a server that ends once `shutdown` is ready. Also returns its thread.
    pub(crate) fn until(
        options: &ServerOptions,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        Self::run(options, vec![session().into()], shutdown)
    }

    fn run(
        options: &ServerOptions,
        models: Vec<ServedModel>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), options).unwrap();
        let base = format!("http://{}", server.address());
        let (loaded, is_loaded) = channel();
        let thread = thread::spawn(move || {
            let up = async move { loaded.send(()).unwrap() };
            server
                .run(models, async {
                    tokio::join!(up, shutdown);
                })
                .unwrap();
        });
        is_loaded.recv().unwrap();
        let client = Client { base, session: Arc::new(session()) };
        (client, thread)
    }

    /// Returns status and text of the answer.
    pub(crate) fn post(&self, route: &str, body: &Value) -> (u16, String) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let mut answer = agent.post(format!("{}{route}", self.base)).send_json(body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    /// Returns status, content type and text of the answer. Without a body, it is a GET.
    pub(crate) fn answer(&self, route: &str, body: Option<&Value>) -> (u16, String, String) {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let url = format!("{}{route}", self.base);
        let mut answer = match body {
            Some(body) => agent.post(url).send_json(body),
            None => agent.get(url).call(),
        }
        .unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.body_mut().read_to_string().unwrap())
    }

    /// Returns the answer to a request as it goes over the wire, without the blank line that ends its headers.
    pub(crate) fn wire(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.base.strip_prefix("http://").unwrap()).unwrap();
        let request = format!("{}\r\nConnection: close\r\n\r\n", request.replace('\n', "\r\n"));
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn json(&self, route: &str, body: &Value) -> Value {
        let (status, text) = self.post(route, body);
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Returns the chunks of a stream, which must end with `[DONE]`.
    pub(crate) fn stream(&self, route: &str, body: &Value) -> Vec<Value> {
        let (status, text) = self.post(route, body);
        assert_eq!(status, 200, "{text}");
        let mut data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.pop(), Some("[DONE]"));
        data.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect()
    }

    pub(crate) fn error(&self, route: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.post(route, body);
        (status, serde_json::from_str::<Value>(&text).unwrap()["error"].clone())
    }

    /// Returns the events of a stream whose events have names, which must be their types.
    pub(crate) fn events(&self, route: &str, body: &Value) -> Vec<Value> {
        let (status, text) = self.post(route, body);
        assert_eq!(status, 200, "{text}");
        let event = |event: &str| {
            let (name, data) = event.split_once('\n').unwrap();
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data["type"], name.strip_prefix("event: ").unwrap());
            data
        };
        text.trim_end().split("\n\n").map(event).collect()
    }
}

/// Returns the types of events, without repetitions.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    let mut types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    types.dedup();
    types
}
