//! `tercet generate`.

use std::io::Read;
use std::process::{Command, Stdio};

use safetensors::SafeTensors;

use crate::harness::{
    FAIRY_TALES, GGUF, Scratch, TINY, assert_fields, command, finish, json, output, parse, tercet,
    usable_isas, with_input,
};
use crate::models::Broken;

const PROMPT: &str = "Once upon a time";

#[test]
fn the_built_in_model_writes_text_and_a_summary() {
    let ran = tercet(&["generate", PROMPT, "-n", "12"]);
    assert_eq!(ran.status, Some(0));
    assert!(ran.stdout.starts_with("Once upon a time,") && ran.stdout.ends_with('\n'), "{}", ran.stdout);
    assert_eq!(ran.stderr.lines().count(), 1);
    for word in ["fairy-tales", "thread", "prefill 5 tokens", "decode 12 tokens", "temperature 0.8", "seed 0"]
    {
        assert!(ran.stderr.contains(word), "no {word:?} in {}", ran.stderr);
    }
}

#[test]
fn the_built_in_model_has_a_name() {
    let text = |model: &[&str]| tercet(&[&["generate", PROMPT, "-n", "4"], model].concat()).stdout;
    assert_eq!(text(&["-m", "fairy-tales"]), text(&[]));
}

#[test]
fn json_has_the_documented_fields() {
    let ran = tercet(&["generate", PROMPT, "-n", "4", "--json"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    let object = crate::harness::parse(&ran.stdout);
    assert_fields(
        &object,
        &[
            "model",
            "isa",
            "threads",
            "prompt_ids",
            "ids",
            "text",
            "stop",
            "load_s",
            "prefill_s",
            "decode_s",
            "prefill_tps",
            "decode_tps",
            "drafted",
            "accepted",
            "peak_rss_bytes",
            "energy",
            "head_rows",
            "head_rows_pct",
            "gates_not_positive_pct",
            "zeros_into_down_pct",
        ],
    );
    let [rows, percent, gates, zeros] =
        ["head_rows", "head_rows_pct", "gates_not_positive_pct", "zeros_into_down_pct"]
            .map(|field| object[field].as_f64().unwrap());
    assert!(rows >= 1.0 && 0.0 < percent && percent < 100.0, "{object}");
    assert!(0.0 < gates && gates <= zeros && zeros < 100.0, "{object}");
    assert_eq!(object["model"], "fairy-tales");
    assert_eq!(object["isa"], usable_isas()[0]);
    assert_eq!(object["prompt_ids"][0], 4093);
    assert_eq!(object["ids"].as_array().unwrap().len(), 4);
    assert_eq!(object["stop"], "length");
    for seconds in ["load_s", "prefill_s", "decode_s", "prefill_tps", "decode_tps"] {
        assert!(object[seconds].as_f64().unwrap() > 0.0, "{seconds}");
    }
    assert!(object["peak_rss_bytes"].as_u64().is_none_or(|bytes| bytes > 1 << 20));
}

#[test]
fn the_model_comes_from_the_flag_or_the_environment_or_the_program() {
    let built_in = output(&["generate", PROMPT, "-n", "8"]);
    assert_eq!(output(&["generate", PROMPT, "-n", "8", "--model", FAIRY_TALES]), built_in);
    assert_eq!(
        finish(command(&["generate", PROMPT, "-n", "8"]).env("TERCET_MODEL", FAIRY_TALES)).stdout,
        built_in
    );
    let overridden =
        finish(command(&["generate", PROMPT, "-n", "8", "-m", FAIRY_TALES]).env("TERCET_MODEL", TINY));
    assert_eq!(overridden.stdout, built_in);
}

#[test]
fn a_gguf_file_contains_its_tokenizer() {
    let object = json(&["generate", "-m", GGUF, "-n", "4", "the king"]);
    // BOS, then "th", "e", a space and four letters in the file's vocabulary.
    assert_eq!(object["prompt_ids"], serde_json::json!([60, 63, 5, 0, 11, 9, 14, 7]));
    assert_eq!(object["model"], "bitnet-i2_s");
}

#[test]
fn the_prompt_may_be_piped() {
    let typed = output(&["generate", PROMPT, "-n", "8"]);
    for arguments in [vec!["generate", "-n", "8"], vec!["generate", "-", "-n", "8"]] {
        for line in [&b"Once upon a time"[..], b"Once upon a time\n", b"Once upon a time\r\n"] {
            assert_eq!(with_input(&arguments, line).stdout, typed);
        }
    }
}

#[test]
fn prompt_ids_are_used_unchanged() {
    let text = json(&["generate", PROMPT, "-n", "6"]);
    let ids: Vec<String> = text["prompt_ids"].as_array().unwrap().iter().map(ToString::to_string).collect();
    let from_ids = json(&["generate", "--prompt-ids", &ids.join(","), "-n", "6"]);
    assert_eq!(from_ids["prompt_ids"], text["prompt_ids"]);
    assert_eq!(from_ids["ids"], text["ids"]);
}

#[test]
fn a_seed_gives_the_same_text_on_any_isa_and_number_of_threads() {
    let text = |isa, threads, packing, seed| {
        let flags = ["--isa", isa, "--threads", threads, "--packing", packing, "--seed", seed, "-t", "1.2"];
        json(&[&["generate", PROMPT, "-n", "24"], &flags[..]].concat())["ids"].clone()
    };
    let expected = text("portable", "1", "2bit", "7");
    for isa in usable_isas() {
        for (threads, packing) in [("1", "1.6bit"), ("2", "2bit")] {
            assert_eq!(text(isa, threads, packing, "7"), expected, "{isa}, {threads} threads, {packing}");
        }
    }
    assert_ne!(text("portable", "1", "2bit", "8"), expected);
}

#[test]
fn flags_choose_the_sampler() {
    let ids = |flags: &[&str]| json(&[&["generate", PROMPT, "-n", "24"], flags].concat())["ids"].clone();
    let greedy = ids(&["--greedy"]);
    assert_eq!(ids(&["-t", "0"]), greedy);
    assert_eq!(ids(&["--top-k", "1", "--seed", "3"]), greedy);
    assert_ne!(ids(&["-t", "1.5", "--top-p", "1"]), greedy);
    assert_ne!(ids(&["--greedy", "--repetition-penalty", "1.5"]), greedy);
    let window = |tokens| ids(&["--greedy", "--repetition-penalty", "1.5", "--repetition-window", tokens]);
    assert_eq!(window("0"), ids(&["--greedy", "--repetition-penalty", "1.5"]));
    assert_ne!(window("2"), window("0"));
    assert!(tercet(&["generate", PROMPT, "-n", "1", "--greedy"]).stderr.contains("greedy"));
}

#[test]
fn stop_strings_end_the_text_before_them() {
    let whole = json(&["generate", PROMPT, "--greedy", "-n", "24"])["text"].as_str().unwrap().to_owned();
    let word = whole.split(' ').nth(5).unwrap();
    let cut = json(&["generate", PROMPT, "--greedy", "-n", "24", "--stop", "never said", "--stop", word]);
    assert_eq!(cut["stop"], "stop_string");
    assert_eq!(cut["text"].as_str().unwrap(), &whole[..whole.find(word).unwrap()]);
}

#[test]
fn end_tokens_end_the_text_unless_ignored() {
    // With this seed, the story ends within the context. After the end token the model begins a new
    // story.
    let arguments = ["generate", PROMPT, "-n", "480", "--seed", "1"];
    let ended = json(&arguments);
    assert_eq!(ended["stop"], "eos");
    let ids = ended["ids"].as_array().unwrap();
    assert!([4094, 4095].contains(&ids[ids.len() - 1].as_u64().unwrap()));
    let ignored = json(&[&arguments[..], &["--ignore-eos"]].concat());
    assert_eq!(ignored["stop"], "length");
    assert_eq!(&ignored["ids"].as_array().unwrap()[..ids.len()], ids.as_slice());
}

#[test]
fn special_tokens_and_ids_end_the_text() {
    let arguments = ["generate", PROMPT, "-n", "480", "--seed", "1"];
    let ended = json(&arguments);
    let end = ended["ids"].as_array().unwrap().last().unwrap().to_string();
    let without_ends = |stops: &[&str]| json(&[&arguments[..], &["--ignore-eos"], stops].concat());
    let by_id = without_ends(&["--stop-id", &format!("0,{end}")]);
    assert_eq!((&by_id["ids"], &by_id["text"]), (&ended["ids"], &ended["text"]));
    assert_eq!(by_id["stop"], "stop_id");
    let by_text = without_ends(&["--stop", "<|end_of_text|>", "--stop", "<|eot_id|>"]);
    assert_eq!((&by_text["ids"], &by_text["text"]), (&ended["ids"], &ended["text"]));
    assert_eq!(by_text["stop"], "stop_string");
}

#[test]
fn a_full_context_ends_the_text() {
    let object = json(&["generate", PROMPT, "--context", "16", "--ignore-eos"]);
    assert_eq!(object["stop"], "length");
    assert_eq!(object["ids"].as_array().unwrap().len(), 16 - 5 + 1);
}

#[test]
fn logits_of_every_prompt_position() {
    let scratch = Scratch::new();
    let file = scratch.file("logits.safetensors");
    let object = json(&["generate", PROMPT, "-n", "1", "--greedy", "--logits", &file]);
    let bytes = std::fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let logits = tensors.tensor("logits").unwrap();
    assert_eq!(logits.shape(), [5, 4096]);
    assert_eq!(logits.dtype(), safetensors::Dtype::F32);
    let last: Vec<f32> =
        logits.data()[4 * 4 * 4096..].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
    assert_eq!(object["ids"][0], best);
    assert_eq!(scratch.files(), 1);
}

#[test]
fn a_chat_template_wraps_the_prompt() {
    let object = json(&["generate", "--chat", "Hello", "-n", "1"]);
    let ids = object["prompt_ids"].as_array().unwrap();
    assert_eq!(ids[0], 4093);
    assert!(ids.contains(&4095.into()));
    assert_eq!(ids.iter().filter(|id| **id == 4093).count(), 1);
}

#[test]
fn a_chat_template_sees_variables_of_the_user_and_every_special_token() {
    let config = serde_json::json!({
        "sep_token": "<|eot_id|>",
        "chat_template": "{% generation %}{{ messages[0].content }}{{ sep_token }}{{ mood.rsplit(' ', 1)[-1] }}{% endgeneration %}",
    });
    let model = Broken::new().with("tokenizer_config.json", config.to_string().as_bytes());
    let ids = |arguments: &[&str]| {
        json(&[&["generate", "-m", model.dir(), "-n", "0"], arguments].concat())["prompt_ids"].clone()
    };
    let kwargs = r#"{"mood": "very glad"}"#;
    let bare = Broken::new().with("tokenizer_config.json", br#"{"chat_template": "a b<|eot_id|>glad"}"#);
    let plain = json(&["generate", "-m", bare.dir(), "-n", "0", "--chat", "a b"]);
    assert_eq!(ids(&["--chat", "--chat-template-kwargs", kwargs, "a b"]), plain["prompt_ids"]);
    let read = |flags: &[&str]| {
        let ran = with_input(&[&["chat", "-m", model.dir(), "-n", "1", "--json"], flags].concat(), b"a b\n");
        parse(&ran.stdout)["turns"][0]["prompt_tokens"].as_u64().unwrap() as usize
    };
    assert_eq!(read(&["--chat-template-kwargs", kwargs]), plain["prompt_ids"].as_array().unwrap().len());
    assert_ne!(
        read(&["--chat-template-kwargs", r#"{"mood": "very very-sad"}"#]),
        read(&["--chat-template-kwargs", kwargs])
    );
}

/// The tiny model has random weights, so its bytes are rarely valid UTF-8. A reader must never see
/// half a character.
#[test]
fn every_streamed_piece_is_utf8() {
    let arguments = ["generate", "-m", TINY, "-t", "1", "-n", "300", "--ignore-eos", "Grüße 🦀"];
    let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdout, mut whole) = (child.stdout.take().unwrap(), String::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = stdout.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        whole += std::str::from_utf8(&buffer[..read]).expect("whole characters");
    }
    assert!(child.wait().unwrap().success());
    let text = json(&arguments)["text"].as_str().unwrap().to_owned();
    assert_eq!(whole, format!("Grüße 🦀{text}\n"));
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_not_an_error() {
    let arguments = ["generate", "-n", "400", "--ignore-eos", PROMPT];
    let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    // A report is written in one piece.
    let mut child = command(&["info"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_text_and_prints_the_summary() {
    let arguments = ["generate", "-n", "500", "--ignore-eos", "--isa", "portable", "--threads", "1", PROMPT];
    let mut child = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 4]).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(rest.ends_with('\n'));
    assert!(String::from_utf8(output.stderr).unwrap().contains("decode"));
}

#[test]
fn a_special_token_that_the_prompt_spells_out_is_text_on_request() {
    const END: u64 = 258;
    let ends = |options: &[&str]| {
        let object = json(&[&["generate", "-m", TINY, "-n", "0", "a<|eot_id|>"], options].concat());
        let ids = object["prompt_ids"].as_array().unwrap();
        ids.iter().filter(|id| **id == END).count()
    };
    assert_eq!((ends(&[]), ends(&["--no-special"])), (1, 0));
    // The template ends the message.
    assert_eq!((ends(&["--chat"]), ends(&["--chat", "--no-special"])), (2, 1));
}

#[test]
fn a_grammar_holds_the_text() {
    let scratch = Scratch::new();
    let file = |name: &str, text: &str| {
        std::fs::write(scratch.path().join(name), text).unwrap();
        scratch.file(name)
    };
    let schema = r#"{"type": "object", "properties": {"age": {"type": "integer", "maximum": 9, "minimum": 0}},
        "required": ["age"], "additionalProperties": false}"#;
    let gbnf = file("answer.gbnf", "root ::= (\"yes\" | \"no\") \"!\"\n");
    let lark = file("answer.lark", "start: (\"yes\" | \"no\") \"!\"\n");
    let text = |flags: &[&str]| json(&[&["generate", PROMPT, "-t", "1.5"], flags].concat())["text"].clone();
    for schema in [schema, &file("schema.json", schema)] {
        let object = crate::harness::parse(text(&["--json-schema", schema]).as_str().unwrap());
        assert!(object["age"].as_u64().unwrap() <= 9);
    }
    for flags in [["--grammar", &gbnf], ["--grammar", &lark], ["--regex", "(yes|no)!"]] {
        assert!(["yes!", "no!"].contains(&text(&flags).as_str().unwrap()), "{flags:?}");
    }
    assert!(text(&["--json-object"]).as_str().unwrap().starts_with('{'));
}

#[test]
fn samples_are_the_texts_of_their_seeds() {
    let flags = ["generate", PROMPT, "-n", "12", "-t", "1.1", "--seed"];
    let object = json(&[&flags[..], &["5", "--n", "3"]].concat());
    let samples = object["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 3);
    for (sample, seed) in samples.iter().zip(["5", "6", "7"]) {
        assert_fields(sample, &["seed", "ids", "text", "stop"]);
        assert_eq!(sample["seed"].to_string(), seed);
        assert_eq!(sample["ids"], json(&[&flags[..], &[seed]].concat())["ids"], "seed {seed}");
    }
    assert_eq!(object["ids"], samples[0]["ids"]);
    let shown = output(&[&flags[..], &["5", "--n", "2"]].concat());
    assert_eq!(shown.matches(PROMPT).count(), 2, "{shown}");
}

#[test]
fn a_draft_model_changes_no_text_and_must_have_the_same_tokens() {
    let flags = ["generate", PROMPT, "-n", "40", "--seed", "3"];
    let with = |more: &[&str]| json(&[&flags[..], more].concat());
    let drafted = with(&["--draft-model", "fairy-tales"]);
    assert_eq!(drafted["ids"], with(&["--draft", "none"])["ids"]);
    assert!(drafted["accepted"].as_u64() <= drafted["drafted"].as_u64());

    let refused = tercet(&[&flags[..], &["--draft-model", TINY]].concat());
    let differs = "error: the draft model bitnet-tiny has other tokens than fairy-tales: token ";
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains(differs), "{}", refused.stderr);
    assert_eq!(tercet(&["generate", "--draft", "lookup", "--draft-model", TINY]).status, Some(2));
}

/// The probabilities of a vocabulary come from the logits file, by plain arithmetic.
#[test]
fn logprobs_are_those_of_the_logits() {
    let scratch = Scratch::new();
    let path = scratch.file("logits.safetensors");
    let flags = ["generate", PROMPT, "--greedy", "-n", "1", "--logprobs=3", "--logits", &path];
    let object = json(&flags);
    let token = &object["logprobs"][0];
    assert_fields(token, &["id", "logprob", "best"]);
    let best = token["best"].as_array().unwrap();
    assert_eq!((best.len(), &best[0]["id"], &token["id"]), (3, &object["ids"][0], &object["ids"][0]));

    let bytes = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let logits = tensors.tensor("logits").unwrap();
    let values: Vec<f64> =
        logits.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect();
    let last = &values[values.len() - logits.shape()[1]..];
    let total = last.iter().map(|logit| logit.exp()).sum::<f64>().ln();
    for found in best {
        let expected = last[found["id"].as_u64().unwrap() as usize] - total;
        assert!((found["logprob"].as_f64().unwrap() - expected).abs() < 1e-3, "{found} {expected}");
    }
    let shown = output(&["generate", PROMPT, "--greedy", "-n", "2", "--logprobs"]);
    assert_eq!(shown.matches(" %").count(), 2, "{shown}");
}

#[test]
fn the_prompt_may_be_in_a_file_and_need_not_be_shown() {
    let scratch = Scratch::new();
    let file = scratch.file("prompt.txt");
    std::fs::write(&file, format!("{PROMPT}\n")).unwrap();
    let usual = output(&["generate", PROMPT, "-n", "8"]);
    assert_eq!(output(&["generate", "-f", &file, "-n", "8"]), usual);
    let bare = tercet(&["generate", "-q", "--no-echo", "-f", &file, "-n", "8"]);
    assert_eq!((PROMPT.to_owned() + &bare.stdout, bare.stderr.as_str()), (usual, ""));
    assert_eq!(tercet(&["generate", "-f", &file, PROMPT]).status, Some(2));
    let verbose = tercet(&["generate", "-v", PROMPT, "-n", "8"]).stderr;
    assert!(verbose.contains("stopped by length") && verbose.contains("load "), "{verbose}");
}

#[test]
fn the_system_s_message_comes_before_the_question() {
    let ids = |flags: &[&str]| {
        let object = json(&[&["generate", "-n", "0", "--chat", "Hi"], flags].concat());
        object["prompt_ids"].as_array().unwrap().len()
    };
    assert!(ids(&["--system", "Be brief."]) > ids(&[]));
    assert_eq!(tercet(&["generate", "--system", "Be brief.", "Hi"]).status, Some(2));
}

#[test]
fn more_threads_than_cpus_are_a_warning() {
    let threads = (std::thread::available_parallelism().unwrap().get() + 1).to_string();
    let ran = tercet(&["generate", "--threads", &threads, "-n", "1", "Hi"]);
    assert!(ran.stderr.contains(&format!("{threads} threads share")), "{ran:?}");
}
