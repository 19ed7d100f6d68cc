//! Several models in one server.

use std::ops::ControlFlow;

use serde_json::{Value, json};
use tercet_engine::{Request, Runtime, RuntimeOptions, SamplerOptions, Session};
use tercet_server::{ServedModel, Server, ServerOptions};

use crate::client::{Client, session};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/bitnet-tiny");
const COMPLETIONS: &str = "/v1/completions";

fn tiny() -> Session {
    let options = RuntimeOptions { threads: Some(1), no_cache: true, ..RuntimeOptions::default() };
    let files = tercet_engine::open_model(Some(TINY.as_ref()), &mut |_| {}).unwrap();
    Session::new(files, Runtime::new(&options), None, &mut |_| {}).unwrap()
}

fn named(session: Session, names: &[&str]) -> ServedModel {
    ServedModel::from(session).named(names.iter().map(|&name| name.to_owned()))
}

#[test]
fn models_answer_by_their_names() {
    let models = vec![named(session(), &["tales", "stories"]), named(tiny(), &[])];
    let client = Client::with(&ServerOptions::default(), models);
    let ask = |model: Value| {
        let body = json!({ "model": model, "prompt": "Once upon", "max_tokens": 8, "temperature": 0 });
        let mut answer = client.json(COMPLETIONS, &body);
        let text = answer["choices"][0]["text"].take().as_str().unwrap().to_owned();
        (answer["model"].as_str().unwrap().to_owned(), text)
    };
    let alone = |session: &Session| {
        let request = session.request();
        let sampler = SamplerOptions { temperature: 0.0, ..request.sampler.clone() };
        let request = Request { max_tokens: 8, sampler, ..request };
        session.generate("Once upon", &request, |_| ControlFlow::Continue(())).unwrap().text
    };
    let tales = ("tales".to_owned(), alone(&client.session));
    for name in [Value::Null, "tales".into(), "stories".into(), "stories:latest".into()] {
        assert_eq!(ask(name.clone()), tales, "{name}");
    }
    assert_eq!(ask("bitnet-tiny".into()), ("bitnet-tiny".to_owned(), alone(&tiny())));
    let (status, error) = client.error(COMPLETIONS, &json!({ "model": "fairy-tales", "prompt": "a" }));
    assert_eq!((status, &error["code"]), (404, &"model_not_found".into()));

    let list = client.wire("GET /v1/models HTTP/1.1\nHost: localhost");
    let list: Value = serde_json::from_str(list.split_once("\r\n\r\n").unwrap().1).unwrap();
    let names = |at: usize| (list["data"][at]["id"].clone(), list["data"][at]["aliases"].clone());
    assert_eq!(names(0), ("tales".into(), json!(["stories"])));
    assert_eq!(names(1), ("bitnet-tiny".into(), json!([])));
}

#[test]
fn models_share_the_memory_of_keys_and_values() {
    let context = |models: Vec<ServedModel>| {
        let bytes = session().model().cache_bytes(256);
        let client =
            Client::with(&ServerOptions { kv_bytes: Some(bytes), ..ServerOptions::default() }, models);
        let (status, error) = client.error(COMPLETIONS, &json!({ "prompt": vec![1; 500] }));
        assert_eq!(status, 400, "{error}");
        error["n_ctx"].as_u64().unwrap()
    };
    assert_eq!(context(vec![named(session(), &[])]), 256);
    assert_eq!(context(vec![named(session(), &["a"]), named(session(), &["b"])]), 128);
}

#[test]
fn two_models_of_one_name_are_refused() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), &ServerOptions::default()).unwrap();
    let models = [named(session(), &["a", "b"]), named(session(), &["b"])];
    let error = server.run(models, std::future::pending()).unwrap_err().to_string();
    assert!(error.contains("alias") && error.contains("\"b\""), "{error}");
}
