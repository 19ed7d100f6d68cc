//! Chats, completions, models and tokens, as OpenAI's clients and llama-server's ask for them.

use std::thread;

use serde_json::{Value, json};
use tercet_server::ServerOptions;

use crate::client::{CHAT, Client, chat};

const COMPLETIONS: &str = "/v1/completions";

#[test]
fn a_text_is_that_of_the_session_alone() {
    let client = Client::start(&ServerOptions::default());
    let body = json!({ "prompt": "Once upon a time", "max_tokens": 12, "temperature": 0 });
    let answer = client.json(COMPLETIONS, &body);
    let mut request = client.session.request();
    request.max_tokens = 12;
    request.sampler.temperature = 0.0;
    let alone =
        client.session.generate("Once upon a time", &request, |_| std::ops::ControlFlow::Continue(()));
    let alone = alone.unwrap();
    assert_eq!(answer["choices"][0]["text"], alone.text);
    assert_eq!(answer["usage"]["completion_tokens"], alone.ids.len());
    assert_eq!(answer["usage"]["prompt_tokens"], alone.prompt_tokens);
}

#[test]
fn a_stream_is_the_whole_in_pieces() {
    let client = Client::start(&ServerOptions::default());
    let whole = client.json(CHAT, &chat());
    let mut body = chat();
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let chunks = client.stream(CHAT, &body);
    assert_eq!(chunks.last().unwrap()["timings"]["predicted_n"], whole["timings"]["predicted_n"]);
    let delta =
        |chunk: &Value| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned();
    let text: String = chunks.iter().map(delta).collect();
    assert_eq!(whole["choices"][0]["message"]["content"], text);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let [.., last, usage] = chunks.as_slice() else { panic!("{chunks:?}") };
    assert_eq!(last["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"]);
    assert_eq!(usage["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
}

#[test]
fn choices_have_seeds_of_their_own() {
    let client = Client::start(&ServerOptions::default());
    let mut body = chat();
    (body["n"], body["temperature"]) = (json!(3), json!(1.5));
    let several = client.json(CHAT, &body);
    for index in 0..3 {
        let mut alone = body.clone();
        (alone["n"], alone["seed"]) = (json!(1), json!(7 + index));
        let alone = client.json(CHAT, &alone);
        assert_eq!(several["choices"][index]["message"], alone["choices"][0]["message"]);
    }
}

#[test]
fn requests_at_once_change_no_text() {
    let client = Client::start(&ServerOptions { parallel: 3, ..ServerOptions::default() });
    let body = |i: u64| json!({ "prompt": format!("The {i}. dragon"), "max_tokens": 8 + i, "seed": i });
    let alone: Vec<Value> = (0..6).map(|i| client.json(COMPLETIONS, &body(i))["choices"].take()).collect();
    thread::scope(|scope| {
        let (client, body) = (&client, &body);
        let ask = |i| scope.spawn(move || client.json(COMPLETIONS, &body(i))["choices"].take());
        let together: Vec<_> = (0..6).map(ask).collect();
        for (alone, together) in alone.iter().zip(together) {
            assert_eq!(*alone, together.join().unwrap());
        }
    });
}

#[test]
fn a_fault_is_an_error_object_with_its_status() {
    let client = Client::start(&ServerOptions { body_bytes: 10_000, ..ServerOptions::default() });
    let with = |field: &str, value: Value| {
        let mut body = chat();
        body[field] = value;
        client.error(CHAT, &body)
    };
    let (status, error) = with("temperature", json!(-1));
    assert_eq!((status, &error["param"]), (400, &json!("temperature")));
    assert_eq!(with("model", json!("gpt-4")).0, 404);
    assert_eq!(with("n", json!(0)).1["param"], "n");
    for bias in [json!({ "5": "one" }), json!({ "4096": 1 }), json!([5])] {
        assert_eq!(with("logit_bias", bias).1["param"], "logit_bias");
    }
    assert_eq!(with("response_format", json!({ "type": "xml" })).1["param"], "response_format.type");
    assert_eq!(with("grammar", json!("root ::= (")).1["param"], "grammar");
    assert_eq!(with("regex", json!("(")).1["param"], "regex");
    assert_eq!(with("json_schema", json!({ "type": "animal" })).1["param"], "json_schema");
    assert_eq!(with("tool_choice", json!("required")).1["param"], "tool_choice");
    assert_eq!(with("tools", json!([{ "type": "function" }])).1["param"], "tools[0].function");
    assert_eq!(with("messages", json!("hello")).0, 400);
    assert_eq!(with("user", json!("x".repeat(10_000))).0, 413);
    let image = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] }]);
    assert!(with("messages", image).1["message"].as_str().unwrap().contains("image_url"));
    assert_eq!(with("messages", json!([{ "role": 5, "content": "" }])).1["param"], "messages");
    let long = json!({ "prompt": "word ".repeat(1000) });
    let (status, error) = client.error(COMPLETIONS, &long);
    assert_eq!((status, &error["code"]), (400, &json!("context_length_exceeded")));
    assert!(error["n_prompt_tokens"].as_u64() > error["n_ctx"].as_u64());
    assert_eq!(client.error("/v1/nothing", &json!({})).0, 404);
}

#[test]
fn a_prompt_of_a_megabyte_is_refused_by_its_length() {
    let client = Client::start(&ServerOptions::default());
    let text = "word ".repeat(200_000);
    let messages = json!([{ "role": "user", "content": text }]);
    let context = client.session.context();
    for (route, body) in [
        (COMPLETIONS, json!({ "prompt": text })),
        (COMPLETIONS, json!({ "prompt": ["Once", text] })),
        ("/completion", json!({ "prompt": [5, text] })),
        (CHAT, json!({ "messages": messages })),
        ("/v1/responses", json!({ "input": text })),
    ] {
        let (status, error) = client.error(route, &body);
        assert_eq!((status, &error["code"]), (400, &json!("context_length_exceeded")), "{route} {error}");
        assert!(error["message"].as_str().unwrap().contains("bytes"), "{error}");
        let fewest = error["n_prompt_tokens"].as_u64().unwrap() as usize;
        assert!(context < fewest && fewest <= client.session.encode(&text).unwrap().len(), "{error}");
    }
    // Counting is what the client asks for.
    let counted = client.json("/v1/chat/completions/input_tokens", &json!({ "messages": messages }));
    assert!(counted["input_tokens"].as_u64().unwrap() as usize > context);
}

#[test]
fn a_key_opens_everything_but_health_needs_none() {
    let keys = vec!["sesame".to_owned()];
    let client = Client::start(&ServerOptions { api_keys: keys, ..ServerOptions::default() });
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let status = |route: &str, key: &str| {
        let request = agent.get(format!("{}{route}", client.base));
        request.header("Authorization", format!("Bearer {key}")).call().unwrap().status().as_u16()
    };
    assert_eq!(status("/v1/models", "sesame"), 200);
    assert_eq!(status("/v1/models/fairy-tales", "sesame"), 200);
    assert_eq!(status("/v1/models", "mustard"), 401);
    assert_eq!(status("/health", "mustard"), 200);
}

#[test]
fn tokens_and_prompts_go_there_and_back() {
    let client = Client::start(&ServerOptions::default());
    let tokens = client.json("/tokenize", &json!({ "content": "the sea" }))["tokens"].clone();
    let text = client.json("/detokenize", &json!({ "tokens": tokens }));
    assert_eq!(text["content"], "the sea");
    let prompt = client.json("/apply-template", &json!({ "messages": chat()["messages"] }));
    assert!(prompt["prompt"].as_str().unwrap().contains("Tell me a story"));
    let part = |text: &str| json!({ "type": "text", "text": text });
    let parts = json!([{ "role": "developer", "content": [part("One"), part("Two")] }]);
    let joined = json!([{ "role": "system", "content": "One\n\nTwo" }]);
    let [parts, joined] =
        [parts, joined].map(|messages| client.json("/apply-template", &json!({ "messages": messages })));
    assert_eq!(parts, joined);
}

#[test]
fn probabilities_come_with_the_tokens_and_change_none() {
    let client = Client::start(&ServerOptions::default());
    let plain = client.json(CHAT, &chat());
    let mut body = chat();
    (body["logprobs"], body["top_logprobs"]) = (json!(true), json!(3));
    let whole = client.json(CHAT, &body);
    assert_eq!(plain["choices"][0]["message"], whole["choices"][0]["message"]);
    let content = whole["choices"][0]["logprobs"]["content"].as_array().unwrap().clone();
    assert_eq!(content.len(), whole["usage"]["completion_tokens"].as_u64().unwrap() as usize);
    for token in &content {
        let best = token["top_logprobs"].as_array().unwrap();
        assert_eq!(best.len(), 3);
        assert!(best[0]["logprob"].as_f64() >= token["logprob"].as_f64());
        assert!(best.iter().map(|best| best["logprob"].as_f64().unwrap().exp()).sum::<f64>() < 1.0001);
    }
    body["stream"] = json!(true);
    let chunks = client.stream(CHAT, &body);
    let streamed = chunks.iter().filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array());
    assert_eq!(streamed.flatten().cloned().collect::<Vec<_>>(), content);
}

#[test]
fn a_begun_answer_is_continued_unless_told_otherwise() {
    let client = Client::start(&ServerOptions::default());
    let user = json!({ "role": "user", "content": "Tell me a story" });
    let begun = json!({ "role": "assistant", "content": "Once upon" });
    let prompt_tokens = |fields: Value| {
        let mut body = json!({ "messages": [user, begun], "max_tokens": 1 });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        client.json(CHAT, &body)["usage"]["prompt_tokens"].as_u64().unwrap()
    };
    let continued = prompt_tokens(json!({}));
    assert_eq!(continued, prompt_tokens(json!({ "continue_final_message": true })));
    let answered = prompt_tokens(json!({ "add_generation_prompt": true }));
    assert_eq!(answered, prompt_tokens(json!({ "continue_final_message": false })));
    assert!(continued < answered);
    let twice = json!({ "messages": [user, begun, begun] });
    assert_eq!(client.error(CHAT, &twice).1["param"], "messages");
    let both =
        json!({ "messages": [user, begun], "continue_final_message": true, "add_generation_prompt": true });
    assert_eq!(client.error(CHAT, &both).0, 400);
}

#[test]
fn a_bias_and_a_penalty_change_the_text() {
    let client = Client::start(&ServerOptions::default());
    let text = |body: &Value| client.json(COMPLETIONS, body)["choices"][0]["text"].clone();
    let mut body = json!({ "prompt": "Once upon a time", "max_tokens": 40, "temperature": 0, "logprobs": 0 });
    let plain = text(&body);
    body["frequency_penalty"] = json!(2);
    assert_ne!(text(&body), plain);
    body["frequency_penalty"] = json!(0);
    let id = client.json("/tokenize", &json!({ "content": " dragon" }))["tokens"][0].clone();
    body["logit_bias"] = json!({ id.to_string(): 100 });
    assert!(text(&body).as_str().unwrap().starts_with(" dragon dragon"));
}

#[test]
fn the_page_needs_no_key_and_is_sent_once() {
    let client =
        Client::start(&ServerOptions { api_keys: vec!["key".to_owned()], ..ServerOptions::default() });
    let page = ureq::get(&client.base).call().unwrap();
    let header = |name: &str| page.headers()[name].to_str().unwrap();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert!(header("content-security-policy").starts_with("default-src 'none'; "));
    let again = ureq::get(&client.base).header("if-none-match", header("etag")).call().unwrap();
    assert_eq!(again.status().as_u16(), 304);
}

#[test]
fn little_room_for_keys_and_values_shortens_the_context() {
    // Two pages: keys and values of 6 layers with 2 heads of 64 elements, 2 bytes each.
    let pages = 2 * 128 * (2 * 6 * 2 * 64 * 2);
    let client = Client::start(&ServerOptions { kv_bytes: Some(pages), ..ServerOptions::default() });
    let tokens = client.json(COMPLETIONS, &json!({ "prompt": "Once", "max_tokens": -1, "ignore_eos": true }));
    let total = tokens["usage"]["total_tokens"].as_u64().unwrap();
    assert_eq!(total, 256);
    let (status, error) = client.error(COMPLETIONS, &json!({ "prompt": vec![5; total as usize + 1] }));
    assert_eq!((status, &error["code"]), (400, &json!("context_length_exceeded")));
}

#[test]
fn an_echoed_prompt_is_scored_as_it_would_be_generated() {
    let client = Client::start(&ServerOptions::default());
    let asked = json!({ "max_tokens": 8, "temperature": 0, "logprobs": 1 });
    let with = |fields: Value| {
        let mut body = asked.clone();
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    let text = "Once upon a time";
    let made = client.json(COMPLETIONS, &with(json!({ "prompt": text })))["choices"][0].take();
    let whole = format!("{text}{}", made["text"].as_str().unwrap());
    let prompts = json!([whole, client.session.encode("A fox").unwrap()]);
    let body = with(json!({ "prompt": prompts, "echo": true, "max_tokens": 0 }));
    let answer = client.json(COMPLETIONS, &body);
    assert_eq!(answer["usage"]["completion_tokens"], 0);
    let [echo, fox] = answer["choices"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!((&echo["text"], &echo["finish_reason"]), (&json!(whole), &json!("length")));
    assert_eq!(fox["text"], "A fox");
    for name in ["tokens", "token_logprobs", "top_logprobs"] {
        let values = echo["logprobs"][name].as_array().unwrap();
        assert_eq!(values[values.len() - 8..], *made["logprobs"][name].as_array().unwrap(), "{name}");
        assert_eq!(values[0].is_null(), name != "tokens");
    }

    let mut body = with(json!({ "prompt": prompts, "echo": true, "max_tokens": 1, "n": 2 }));
    let answer = client.json(COMPLETIONS, &body);
    body["stream"] = json!(true);
    let chunks = client.stream(COMPLETIONS, &body);
    for (index, choice) in answer["choices"].as_array().unwrap().iter().enumerate() {
        let of_choice = || chunks.iter().map(|chunk| &chunk["choices"][0]).filter(|c| c["index"] == index);
        let text: String = of_choice().map(|choice| choice["text"].as_str().unwrap()).collect();
        assert_eq!(choice["text"], text);
        let tokens =
            of_choice().flat_map(|choice| choice["logprobs"]["tokens"].as_array().into_iter().flatten());
        assert_eq!(*choice["logprobs"]["tokens"].as_array().unwrap(), tokens.cloned().collect::<Vec<_>>());
    }

    let (status, _) =
        client.error(COMPLETIONS, &with(json!({ "prompt": "x", "echo": true, "logprobs": 21 })));
    assert_eq!(status, 400);
}
