//! llama-server's own routes. Independent paths, OpenAI's routes, tell the texts.

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat};

const PROMPT: &str = "Once upon a time";

fn body() -> Value {
    json!({ "prompt": PROMPT, "n_predict": 12, "seed": 7, "n_probs": 2, "return_tokens": true })
}

fn tokens(client: &Client, text: &str, add_special: bool) -> Value {
    client.json("/tokenize", &json!({ "content": text, "add_special": add_special }))["tokens"].take()
}

#[test]
fn a_completion_has_the_text_of_openais() {
    let client = Client::start(&ServerOptions::default());
    let expected = client.json("/v1/completions", &json!({ "prompt": PROMPT, "max_tokens": 12, "seed": 7 }));
    let whole = client.json("/completion", &body());
    assert_eq!(whole["content"], expected["choices"][0]["text"]);
    assert_eq!((&whole["stop_type"], &whole["truncated"]), (&json!("limit"), &json!(false)));
    assert_eq!(whole["timings"]["predicted_n"], expected["usage"]["completion_tokens"]);
    let read = ["prompt_n", "cache_n"].map(|field| whole["timings"][field].as_u64().unwrap());
    assert_eq!(read.iter().sum::<u64>(), expected["usage"]["prompt_tokens"].as_u64().unwrap());
    assert_eq!(whole["completion_probabilities"][0]["top_logprobs"].as_array().unwrap().len(), 2);
    let text = client.json("/detokenize", &json!({ "tokens": whole["tokens"] }));
    assert_eq!(text["content"], whole["content"]);
}

#[test]
fn a_stream_is_the_whole_in_pieces() {
    let client = Client::start(&ServerOptions::default());
    let whole = client.json("/completion", &body());
    let mut streamed = body();
    streamed["stream"] = json!(true);
    let chunks = client.stream("/completion", &streamed);
    let text: String = chunks.iter().map(|chunk| chunk["content"].as_str().unwrap()).collect();
    let tokens: Vec<Value> =
        chunks.iter().flat_map(|chunk| chunk["tokens"].as_array().unwrap().clone()).collect();
    assert_eq!((json!(text), json!(tokens)), (whole["content"].clone(), whole["tokens"].clone()));
    let (last, others) = chunks.split_last().unwrap();
    assert!(last["stop"] == true && others.iter().all(|chunk| chunk["stop"] == false));
    assert_eq!(last["generation_settings"], whole["generation_settings"]);
}

#[test]
fn prompts_are_texts_tokens_or_both() {
    let client = Client::start(&ServerOptions::default());
    let text =
        |prompt: &Value| client.json("/completion", &json!({ "prompt": prompt, "n_predict": 8, "seed": 1 }));
    let expected = text(&json!(PROMPT))["content"].clone();
    let ids = tokens(&client, PROMPT, true);
    assert_eq!(text(&ids)["content"], expected);
    let (mut mixed, begun) = (tokens(&client, "Once upon", true), " a time");
    mixed.as_array_mut().unwrap().push(json!(begun));
    assert_eq!(text(&mixed)["content"], expected);
    let object = json!({ "prompt_string": PROMPT });
    let several = text(&json!([PROMPT, ids, object]));
    assert!(several.as_array().unwrap().iter().all(|answer| answer["content"] == expected));
    for wrong in [json!([1, -1]), json!([true]), json!({ "multimodal_data": "x" }), json!(null), json!([])] {
        let (status, _) = client.error("/completion", &json!({ "prompt": wrong, "n_predict": 1 }));
        assert_eq!(status, 400, "{wrong}");
    }
}

#[test]
fn end_tokens_are_never_chosen_if_they_are_to_be_ignored() {
    let client = Client::start(&ServerOptions::default());
    let settings = |ignore_eos: bool| {
        let fields = ["generation_settings/logit_bias"];
        let body =
            json!({ "prompt": PROMPT, "n_predict": 1, "ignore_eos": ignore_eos, "response_fields": fields });
        client.json("/completion", &body)["generation_settings/logit_bias"].clone()
    };
    assert_eq!(settings(false), json!([]));
    let ends = &client.session.defaults().eos_token_ids;
    let expected: Vec<Value> = ends.iter().map(|end| json!({ "token": end, "bias": null })).collect();
    assert_eq!(settings(true), json!(expected));
}

#[test]
fn a_bias_may_name_a_text() {
    let client = Client::start(&ServerOptions::default());
    let text = |bias: Value| {
        let body = json!({ "prompt": PROMPT, "n_predict": 20, "temperature": 0, "logit_bias": bias });
        client.json("/completion", &body)["content"].as_str().unwrap().to_owned()
    };
    let plain = text(json!([]));
    let word = format!(" {}", plain.split_whitespace().last().unwrap());
    let ids = tokens(&client, &word, false).as_array().unwrap().clone();
    let pairs: Vec<Value> = ids.iter().map(|id| json!([id, false])).collect();
    let without = text(json!(pairs));
    assert_ne!(without, plain);
    assert_eq!(text(json!([[word, false]])), without);
    assert_eq!(text(json!({ word: false })), without);
}

#[test]
fn probabilities_may_be_those_of_the_draw() {
    let client = Client::start(&ServerOptions::default());
    let probabilities = |fields: Value| {
        let mut body =
            json!({ "prompt": PROMPT, "n_predict": 6, "seed": 7, "n_probs": 3, "temperature": 0.7 });
        body["post_sampling_probs"] = json!(true);
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        client.json("/completion", &body)["completion_probabilities"].as_array().unwrap().clone()
    };
    let number = |entry: &Value| entry["prob"].as_f64().unwrap();
    let all = probabilities(json!({ "top_k": 3, "top_p": 1.0, "min_p": 0.0 }));
    assert_eq!(all.len(), 6);
    for token in &all {
        let best = token["top_probs"].as_array().unwrap();
        let chosen = best.iter().find(|entry| entry["id"] == token["id"]).unwrap();
        assert_eq!(number(chosen), number(token));
        // No other tokens can be drawn.
        assert!((best.iter().map(number).sum::<f64>() - 1.0).abs() < 1e-9, "{token}");
        assert!(best.is_sorted_by(|a, b| number(a) >= number(b)));
    }
    for token in probabilities(json!({ "top_k": 1 })) {
        assert_eq!((number(&token), token["top_probs"].as_array().unwrap().len()), (1.0, 1));
    }
}

#[test]
fn tokens_are_counted_and_spelled() {
    let client = Client::start(&ServerOptions::default());
    let usage = client.json(CHAT, &chat())["usage"].clone();
    for route in ["/v1/chat/completions/input_tokens", "/chat/completions/input_tokens"] {
        assert_eq!(client.json(route, &chat())["input_tokens"], usage["prompt_tokens"]);
    }
    let pieces = client.json("/tokenize", &json!({ "content": "the sea", "with_pieces": true }));
    let text: String =
        pieces["tokens"].as_array().unwrap().iter().map(|token| token["piece"].as_str().unwrap()).collect();
    assert_eq!(text, "the sea");
}

#[test]
fn settings_and_machine_are_described() {
    let client = Client::start(&ServerOptions { parallel: 3, ..ServerOptions::default() });
    let mut answer = ureq::get(format!("{}/props", client.base)).call().unwrap();
    let props: Value = answer.body_mut().read_json().unwrap();
    assert_eq!((&props["total_slots"], &props["model_alias"]), (&json!(3), &json!("fairy-tales")));
    let settings = &props["default_generation_settings"];
    assert_eq!(settings["n_ctx"], client.session.context());
    assert_eq!(settings["params"]["temperature"], client.session.request().sampler.temperature);
    let end = props["eos_token"].as_str().unwrap();
    assert_eq!(tokens(&client, end, false), json!([client.session.model().config().eos_token_ids[0]]));
}

#[test]
fn models_without_embeddings_say_so() {
    let client = Client::start(&ServerOptions::default());
    let (status, error) = client.error("/v1/embeddings", &json!({ "input": "x" }));
    assert_eq!((status, &error["param"]), (400, &json!("model")));
}

#[test]
fn slots_tell_what_runs() {
    let client = Client::start(&ServerOptions { parallel: 2, ..ServerOptions::default() });
    let slots = |query: &str| {
        let mut answer = ureq::get(format!("{}/slots{query}", client.base)).call().unwrap();
        answer.body_mut().read_json::<Value>().unwrap()
    };
    let idle = |slots: &Value| slots.as_array().unwrap().iter().all(|slot| slot["is_processing"] == false);
    let before = slots("?model=fairy-tales");
    assert_eq!((before.as_array().unwrap().len(), idle(&before)), (2, true));
    let body = json!({ "prompt": PROMPT, "n_predict": -1, "ignore_eos": true, "stream": true });
    let agent = ureq::agent();
    let stream = agent.post(format!("{}/completion", client.base)).send_json(&body).unwrap();
    let during = slots("?fail_on_no_slot=1");
    assert_eq!((&during[0]["is_processing"], &during[1]["is_processing"]), (&json!(true), &json!(false)));
    assert_eq!(during[0]["n_prompt_tokens"], during[0]["n_prompt_tokens_processed"]);
    assert!(during[0]["next_token"][0]["n_decoded"].as_u64().unwrap() > 0);
    drop(stream);
    while !idle(&slots("")) {}
}

#[test]
fn a_stream_tells_how_far_the_prompt_is_read() {
    let client = Client::start(&ServerOptions::default());
    let prompt = "The fox and the wolf went to the sea. ".repeat(20);
    let telemetry = json!({ "return_progress": true, "timings_per_token": true, "stream": true });
    let with = |mut body: Value| {
        body.as_object_mut().unwrap().extend(telemetry.as_object().unwrap().clone());
        body
    };
    let chat = with(json!({ "messages": [{ "role": "user", "content": prompt }], "max_tokens": 4 }));
    for (route, body) in [
        ("/completion", with(json!({ "prompt": prompt, "n_predict": 4 }))),
        ("/v1/completions", with(json!({ "prompt": format!("{prompt}And"), "max_tokens": 4 }))),
        (CHAT, chat.clone()),
        (CHAT, chat),
    ] {
        let chunks = client.stream(route, &body);
        let parts: Vec<&Value> =
            chunks.iter().filter(|chunk| chunk.get("prompt_progress").is_some()).collect();
        let number = |part: &Value, field: &str| part["prompt_progress"][field].as_u64().unwrap();
        assert_eq!(number(parts[0], "cache"), number(parts[0], "processed"));
        assert_eq!(
            (&parts[0]["timings"]["prompt_n"], &parts[0]["timings"]["prompt_ms"]),
            (&json!(0), &json!(0.0))
        );
        let read: Vec<u64> = parts.iter().map(|part| number(part, "processed")).collect();
        assert!(read.is_sorted_by(|before, after| before < after), "{read:?}");
        assert_eq!(read.last(), Some(&number(parts[0], "total")));
        // A step may bring several tokens.
        let told = |chunk: &Value| chunk["timings"]["predicted_n"].as_u64().filter(|n| *n > 0);
        let counts: Vec<u64> = chunks.iter().filter_map(told).collect();
        assert!(counts.len() >= 2 && counts.is_sorted(), "{counts:?}");
        assert_eq!(chunks.last().unwrap()["timings"]["predicted_n"], 4);
    }
}

#[test]
fn a_verbose_answer_has_its_prompt() {
    let client = Client::start(&ServerOptions::default());
    let mut body = chat();
    assert!(client.json(CHAT, &body).get("__verbose").is_none());
    body["verbose"] = json!(true);
    let answer = client.json(CHAT, &body);
    let prompt = client.json("/apply-template", &json!({ "messages": chat()["messages"] }));
    assert_eq!(answer["__verbose"]["prompt"], prompt["prompt"]);
    assert_eq!(answer["__verbose"]["content"], answer["choices"][0]["message"]["content"]);
}
