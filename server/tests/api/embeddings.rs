//! Embeddings by the routes of OpenAI and Ollama.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tercet_engine::{Cancel, Runtime, RuntimeOptions, Session, open_model};
use tercet_server::ServerOptions;

use crate::client::Client;

const ROUTE: &str = "/v1/embeddings";
const NAME: &str = "embedding-tiny";

fn session() -> Session {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(NAME);
    let options = RuntimeOptions { threads: Some(1), no_cache: true, ..RuntimeOptions::default() };
    let files = open_model(Some(&folder), &mut |_| {}).unwrap();
    Session::new(files, Runtime::new(&options), None, &mut |_| {}).unwrap()
}

fn client() -> Client {
    Client::with(&ServerOptions::default(), vec![session().into()])
}

/// Returns the vectors that the engine makes.
fn expected(prompt: &str, texts: &[&str]) -> Vec<Vec<f32>> {
    let session = session();
    let embedder = session.embedder().unwrap();
    let tokens: Vec<_> = texts.iter().map(|text| embedder.encode(prompt, text).unwrap()).collect();
    embedder.embed(&tokens, None, &Cancel::new(), |_| {}).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

#[test]
fn the_shape_is_openais() {
    let client = client();
    let texts = ["The sea is blue.", "A cat"];
    let answer = client.json(ROUTE, &json!({ "model": NAME, "input": texts }));
    assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!(NAME)));
    let tokens: usize = texts.iter().map(|text| session().encode(text).unwrap().len()).sum();
    assert_eq!(answer["usage"], json!({ "prompt_tokens": tokens, "total_tokens": tokens }));
    for (i, vector) in expected("", &texts).iter().enumerate() {
        let data = &answer["data"][i];
        assert_eq!((&data["object"], &data["index"]), (&json!("embedding"), &json!(i)));
        assert_eq!(numbers(&data["embedding"]), *vector);
    }
}

#[test]
fn texts_may_be_one_text_tokens_or_queries() {
    let client = client();
    let first = |fields: Value| {
        let mut body = fields;
        body["model"] = NAME.into();
        client.json(ROUTE, &body)["data"][0]["embedding"].clone()
    };
    let [vector] = expected("", &["The sea"]).try_into().unwrap();
    assert_eq!(numbers(&first(json!({ "input": "The sea" }))), vector);
    let tokens = session().encode("The sea").unwrap();
    assert_eq!(numbers(&first(json!({ "input": tokens }))), vector);
    assert_eq!(numbers(&first(json!({ "input": [tokens] }))), vector);
    assert_eq!(numbers(&first(json!({ "input": "The sea", "dimensions": 128, "user": "me" }))), vector);

    let coded = first(json!({ "input": "The sea", "encoding_format": "base64" }));
    let bytes = BASE64_STANDARD.decode(coded.as_str().unwrap()).unwrap();
    let decoded: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    assert_eq!(decoded, vector);

    let query = first(json!({ "input": "The sea", "prompt_name": "query" }));
    assert_eq!(numbers(&query), expected("query: ", &["The sea"])[0]);
}

#[test]
fn faults_name_their_fields() {
    let client = client();
    for (field, value, part) in [
        ("dimensions", json!(64), "128 only"),
        ("input", json!([]), "no tokens"),
        ("input", json!({}), "give a text"),
        ("input", json!(vec!["a"; 2049]), "1 to 2048"),
        ("input", json!([99_999]), "outside the vocabulary"),
        ("input", json!("a ".repeat(600)), "context holds 512"),
        ("prompt_name", json!("poem"), "none called \"poem\""),
        ("encoding_format", json!("int8"), "int8"),
    ] {
        let mut body = json!({ "model": NAME, "input": "a" });
        body[field] = value;
        let (status, error) = client.error(ROUTE, &body);
        assert!(status == 400 && error["message"].as_str().unwrap().contains(part), "{field}: {error}");
    }
    assert_eq!(client.error(ROUTE, &json!({ "model": "x", "input": "a" })).0, 404);
}

#[test]
fn the_shape_is_ollamas() {
    let client = client();
    let texts = ["The sea is blue.", "A cat"];
    let answer = client.json("/api/embed", &json!({ "model": NAME, "input": texts }));
    let expected = expected("", &texts);
    assert_eq!(answer["embeddings"].as_array().unwrap().iter().map(numbers).collect::<Vec<_>>(), expected);
    assert!(
        answer["prompt_eval_count"].as_u64().unwrap() > 4 && answer["total_duration"].as_u64().unwrap() > 0
    );
    let one = client.json("/api/embeddings", &json!({ "model": NAME, "prompt": texts[0] }));
    assert_eq!(numbers(&one["embedding"]), expected[0]);

    let long = json!({ "model": NAME, "input": "a ".repeat(600) });
    assert_eq!(client.json("/api/embed", &long)["prompt_eval_count"], 512);
    let mut refused = long;
    refused["truncate"] = false.into();
    assert_eq!(client.post("/api/embed", &refused).0, 400);
    let shown = client.json("/api/show", &json!({ "model": NAME }));
    assert_eq!(shown["capabilities"], json!(["embedding"]));
}
