//! The document at `/openapi.json`. Real requests and answers of every route are valid by it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{Client, chat};

/// A server with the document of its routes.
struct Documented {
    client: Client,
    document: Value,
    /// The operations that were tried.
    tried: BTreeSet<(String, String)>,
}

impl Documented {
    fn start() -> Self {
        let client = Client::start(&ServerOptions::default());
        let (status, kind, text) = client.answer("/openapi.json", None);
        assert_eq!((status, kind.as_str()), (200, "application/json"));
        let mut document: Value = serde_json::from_str(&text).unwrap();
        // Stricter than clients: what is not described must not appear.
        for schema in document["components"]["schemas"].as_object_mut().unwrap().values_mut() {
            if schema["type"] == "object" {
                schema["unevaluatedProperties"] = json!(false);
            }
        }
        Documented { client, document, tried: BTreeSet::new() }
    }

    /// Panics unless `value` is valid by a schema of the document.
    #[track_caller]
    fn check(&self, what: &str, schema: &Value, value: &Value) {
        let mut root = schema.clone();
        assert!(root.is_object(), "{what} has no schema");
        root["components"] = self.document["components"].clone();
        let validator = jsonschema::validator_for(&root).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{what}: {errors:#?}\n{value}");
    }

    /// Sends a request to a route, and returns the status of its answer. `path` is the route in the document.
    #[track_caller]
    fn send(&mut self, path: &str, route: &str, body: Option<&Value>) -> u16 {
        let method = if body.is_some() { "post" } else { "get" };
        self.tried.insert((method.to_owned(), path.to_owned()));
        let (status, kind, text) = self.client.answer(route, body);
        let operation = &self.document["paths"][path][method];
        let response =
            if status == 200 { &operation["responses"]["200"] } else { &operation["responses"]["default"] };
        let essence = kind.split(';').next().unwrap();
        let contents =
            response["content"].as_object().unwrap_or_else(|| panic!("{method} {path}: {status} {text}"));
        let content = contents.iter().find(|(name, _)| name.split(';').next() == Some(essence));
        let schema = &content.unwrap_or_else(|| panic!("{path} answers with {kind}")).1["schema"];
        if let (Some(body), 200) = (body, status) {
            self.check(
                &format!("the request to {path}"),
                &operation["requestBody"]["content"]["application/json"]["schema"],
                body,
            );
        }
        let what = format!("the answer of {path}");
        match essence {
            "application/json" => self.check(&what, schema, &serde_json::from_str(&text).unwrap()),
            "application/x-ndjson" | "text/event-stream" => {
                let data = text.lines().filter_map(|line| match essence {
                    "text/event-stream" => line.strip_prefix("data: ").filter(|data| *data != "[DONE]"),
                    _ => Some(line),
                });
                let messages: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
                assert!(messages.len() > 1, "{path}: {text}");
                let data =
                    if essence == "text/event-stream" { &schema["properties"]["data"] } else { schema };
                messages.iter().for_each(|message| self.check(&what, &data["contentSchema"], message));
            }
            _ => self.check(&what, schema, &json!(text)),
        }
        status
    }

    #[track_caller]
    fn post(&mut self, path: &str, body: &Value) {
        assert_eq!(self.send(path, path, Some(body)), 200, "{path} {body}");
    }

    /// Posts a request with and without a stream.
    #[track_caller]
    fn post_both(&mut self, path: &str, body: &Value) {
        for stream in [false, true] {
            self.post(path, &with(body, json!({ "stream": stream })));
        }
    }

    /// Returns the fields of the request to `path` that may be absent.
    fn optional_fields(&self, path: &str) -> Vec<String> {
        let schema =
            &self.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
        let schema = &self.document["components"]["schemas"][name];
        let is_required =
            |field: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|it| it == field));
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .filter(|field| !is_required(field))
            .cloned()
            .collect()
    }
}

/// Returns `body` with these fields, too.
fn with(body: &Value, fields: Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// Returns a short request to each route that takes a body.
fn requests() -> Vec<(&'static str, Value)> {
    let chat = with(&chat(), json!({ "max_tokens": 3 }));
    let text = json!({ "prompt": "Once upon a time", "max_tokens": 3, "n_predict": 3 });
    let completion = json!({ "prompt": "Once upon a time", "n_predict": 3 });
    let response = json!({ "input": "Tell me a story", "max_output_tokens": 3 });
    let ollama = json!({ "model": "fairy-tales", "options": { "num_predict": 3 } });
    let messages = json!({ "messages": chat["messages"] });
    vec![
        ("/v1/chat/completions", chat.clone()),
        ("/v1/chat/completions/input_tokens", messages.clone()),
        ("/chat/completions", chat.clone()),
        ("/chat/completions/input_tokens", messages.clone()),
        ("/v1/completions", json!({ "prompt": text["prompt"], "max_tokens": 3 })),
        ("/v1/responses", response.clone()),
        ("/v1/responses/input_tokens", json!({ "input": "Tell me a story" })),
        ("/responses", response),
        ("/v1/messages", chat.clone()),
        ("/v1/messages/count_tokens", messages.clone()),
        ("/api/chat", with(&ollama, messages.clone())),
        ("/api/generate", with(&ollama, json!({ "prompt": "Tell me a story" }))),
        ("/api/show", json!({ "model": "fairy-tales" })),
        ("/completion", completion.clone()),
        ("/completions", completion),
        ("/tokenize", json!({ "content": "the sea" })),
        ("/detokenize", json!({ "tokens": [5, 6] })),
        ("/apply-template", messages),
    ]
}

#[test]
fn every_route_keeps_to_the_document() {
    let mut server = Documented::start();
    let (requests, streams) = (requests(), |path: &str| {
        !path.contains("token") && path != "/api/show" && path != "/apply-template"
    });
    for (path, body) in &requests {
        if streams(path) {
            server.post_both(path, body);
        } else {
            server.post(path, body);
        }
        assert_eq!(server.send(path, path, Some(&json!({ "model": 7 }))), 400, "{path}");
    }
    for path in ["/v1/embeddings", "/embeddings", "/api/embed", "/api/embeddings"] {
        assert_eq!(server.send(path, path, Some(&json!({ "input": "x" }))), 400);
    }
    for path in [
        "/",
        "/health",
        "/v1/health",
        "/ready",
        "/metrics",
        "/v1/models",
        "/models",
        "/props",
        "/slots",
        "/api/version",
        "/api/tags",
        "/api/ps",
    ] {
        assert_eq!(server.send(path, path, None), 200, "{path}");
    }
    assert_eq!(server.send("/slots", "/slots?fail_on_no_slot=256", None), 400);
    assert_eq!(server.send("/v1/models/{name}", "/v1/models/fairy-tales", None), 200);
    assert_eq!(server.send("/v1/models/{name}", "/v1/models/gpt-4", None), 404);

    let paths = server.document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))
    });
    assert_eq!(server.tried, operations.collect());
}

#[test]
fn answers_with_everything_keep_to_the_document() {
    let mut server = Documented::start();
    let chat = with(&chat(), json!({ "max_tokens": 3 }));
    let telemetry = json!({ "return_progress": true, "timings_per_token": true });
    let rich = with(
        &chat,
        json!({ "n": 2, "logprobs": true, "top_logprobs": 2, "stream_options": { "include_usage": true } }),
    );
    server.post_both("/v1/chat/completions", &with(&rich, telemetry.clone()));
    server.post("/v1/chat/completions", &with(&chat, json!({ "verbose": true })));
    let parameters =
        json!({ "type": "object", "properties": { "city": { "enum": ["Oslo"] } }, "required": ["city"] });
    let function = json!({ "name": "weather", "description": "Tell the weather", "parameters": parameters });
    let tool = json!({ "type": "function", "function": function });
    let called = json!({ "tools": [tool], "tool_choice": "required", "max_tokens": 100, "temperature": 0 });
    server.post_both("/v1/chat/completions", &with(&chat, called.clone()));
    let biased =
        json!({ "logit_bias": { "5": -1.5, "6": false }, "stop": [".", "!"], "regex": "[a-z ]{1,9}" });
    server.post_both("/v1/chat/completions", &with(&chat, biased));
    let format = json!({ "type": "json_schema", "json_schema": { "name": "city", "schema": parameters, "strict": true } });
    server.post("/v1/chat/completions", &with(&chat, json!({ "response_format": format, "max_tokens": 30 })));

    let text = json!({ "prompt": ["Once", [5, 6]], "max_tokens": 3, "logprobs": 2, "stream_options": { "include_usage": true } });
    server.post_both("/v1/completions", &with(&text, telemetry.clone()));
    server.post_both("/v1/completions", &with(&text, json!({ "echo": true })));
    let completion = json!({ "prompt": "Once", "n_predict": 3, "n_probs": 2, "return_tokens": true, "logit_bias": [[5, false]] });
    server.post_both("/completion", &with(&completion, telemetry.clone()));
    server.post("/completion", &with(&completion, json!({ "prompt": ["Once", "One day"] })));
    server.post_both(
        "/completion",
        &with(&completion, json!({ "response_fields": ["content", "generation_settings/seed"] })),
    );

    let response = json!({
        "input": "Where?", "max_output_tokens": 60, "temperature": 0, "include": ["message.output_text.logprobs"],
        "top_logprobs": 1, "metadata": { "a": "b" }, "instructions": "Be brief.",
    });
    server.post_both("/v1/responses", &with(&response, telemetry));
    let flat = with(&function, json!({ "type": "function" }));
    server
        .post_both("/v1/responses", &with(&response, json!({ "tools": [flat], "tool_choice": "required" })));

    let anthropic = json!({ "name": "weather", "input_schema": parameters });
    let choice = json!({ "tools": [anthropic], "tool_choice": { "type": "any" }, "max_tokens": 100, "temperature": 0 });
    server.post_both("/v1/messages", &with(&chat, choice));
    server.post("/v1/messages", &with(&chat, json!({ "system": "Be brief.", "stop_sequences": null })));

    let ollama = json!({
        "model": "fairy-tales", "messages": chat["messages"], "options": { "num_predict": 100, "temperature": 0 },
        "format": parameters, "logprobs": true, "top_logprobs": 1,
    });
    server.post_both("/api/chat", &ollama);
    server.post("/api/generate", &json!({ "model": "fairy-tales" }));
    server.post("/tokenize", &json!({ "content": "the sea", "with_pieces": true, "add_special": true }));
}

#[test]
fn null_stands_for_an_absent_field() {
    let mut server = Documented::start();
    for (path, body) in requests() {
        let fields = server.optional_fields(path);
        assert!(!fields.is_empty() || path == "/api/show", "{path}");
        for field in fields {
            // Limits keep the answers short.
            if body.get(&field).is_none() {
                server.post(path, &with(&body, json!({ field: null })));
            }
        }
    }
}

#[test]
fn what_the_document_forbids_is_refused() {
    let mut server = Documented::start();
    let wrong = [
        ("/v1/chat/completions", json!({ "messages": 5 })),
        ("/v1/chat/completions", json!({ "messages": [{}] })),
        ("/v1/chat/completions", with(&chat(), json!({ "temperature": -1 }))),
        ("/v1/chat/completions", with(&chat(), json!({ "top_p": 2 }))),
        ("/v1/chat/completions", with(&chat(), json!({ "n": 65 }))),
        ("/v1/chat/completions", with(&chat(), json!({ "logprobs": true, "top_logprobs": 21 }))),
        (
            "/v1/chat/completions",
            with(&chat(), json!({ "tools": [{ "type": "function", "function": { "name": "" } }] })),
        ),
        ("/v1/chat/completions", with(&chat(), json!({ "tool_choice": "sometimes" }))),
        ("/v1/completions", json!({ "prompt": [] })),
        ("/v1/completions", json!({ "prompt": [-1] })),
        ("/completion", json!({ "prompt": "x", "logit_bias": [[5]] })),
        ("/api/generate", json!({ "prompt": "x" })),
    ];
    for (path, body) in wrong {
        let schema =
            server.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
                .clone();
        let mut root = schema;
        root["components"] = server.document["components"].clone();
        assert!(!jsonschema::validator_for(&root).unwrap().is_valid(&body), "{path} {body}");
        assert_eq!(server.send(path, path, Some(&body)), 400, "{path} {body}");
    }
}
