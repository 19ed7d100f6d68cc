//! `tercet bench`: the form of its reports. Speeds depend on the machine, so no test checks them.

use serde_json::Value;

use crate::harness::{Scratch, TINY, assert_fields, json, output, tercet, usable_isas};

const RESULT: [&str; 14] = [
    "test",
    "threads",
    "isa",
    "packing",
    "head",
    "median_tps",
    "min_tps",
    "max_tps",
    "bytes_per_token",
    "roofline_pct",
    "head_rows",
    "head_rows_pct",
    "gates_not_positive_pct",
    "zeros_into_down_pct",
];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn assert_positive(object: &Value, fields: &[&str]) {
    fields.iter().for_each(|&field| assert!(number(&object[field]) > 0.0, "{field} of {object}"));
}

#[test]
fn a_model_is_measured_on_every_number_of_threads() {
    let arguments = [
        "bench",
        "-m",
        TINY,
        "-p",
        "3,8",
        "-n",
        "2",
        "--parallel",
        "1,3",
        "--threads",
        "1,2",
        "-r",
        "2",
        "--depth",
        "4",
    ];
    let bench = json(&arguments);
    assert_fields(
        &bench,
        &["cpu", "busy", "sampling", "roofline", "results", "load_s", "first_token_s", "peak_rss_bytes"],
    );
    assert_positive(&bench, &["load_s", "first_token_s", "peak_rss_bytes"]);

    let roofs = bench["roofline"].as_array().unwrap();
    for (roof, threads) in roofs.iter().zip([1, 2]) {
        assert_fields(roof, &["threads", "read_gb_s", "vnni_gmac_s"]);
        assert_eq!(roof["threads"], threads);
        assert_positive(roof, &["read_gb_s"]);
        assert_eq!(roof["vnni_gmac_s"].is_null(), usable_isas()[0] == "portable");
    }
    assert_eq!(roofs.len(), 2);

    let results = bench["results"].as_array().unwrap();
    let tests: Vec<_> =
        results.iter().map(|r| (r["test"].as_str().unwrap(), r["threads"].as_u64().unwrap())).collect();
    assert_eq!(
        tests,
        ["pp3", "pp8", "tg2", "tg2x3"]
            .map(|test| (test, 1))
            .into_iter()
            .chain(["pp3", "pp8", "tg2", "tg2x3"].map(|test| (test, 2)))
            .collect::<Vec<_>>()
    );
    for result in results {
        assert_fields(result, &RESULT);
        assert_positive(result, &["median_tps", "min_tps", "max_tps", "bytes_per_token", "roofline_pct"]);
        let [min, median, max] = ["min_tps", "median_tps", "max_tps"].map(|field| number(&result[field]));
        assert!(min <= median && median <= max, "{result}");
        assert_eq!(result["isa"], usable_isas()[0]);
    }
}

#[test]
fn bytes_per_token_follow_from_the_memory() {
    let memory = json(&["info", "-m", TINY])["memory"].clone();
    let [ternary, embedding, cache] =
        ["ternary", "embedding", "cache_per_token"].map(|field| number(&memory[field]));
    let weights = ternary + embedding;
    let arguments = ["bench", "-m", TINY, "-p", "8", "-n", "3", "-r", "1", "--depth", "4", "--head"];
    let bench = json(&[&arguments[..], &["bf16"]].concat());
    let bytes = |test: usize| number(&bench["results"][test]["bytes_per_token"]);
    assert_eq!(bytes(0), weights / 8.0);
    // The three tokens see 5, 6 and 7 positions.
    assert_eq!(bytes(1), weights + 6.0 * cache);
    let exact = json(&[&arguments[..], &["exact"]].concat());
    assert_eq!(
        (&bench["results"][0]["head"], &exact["results"][0]["head"]),
        (&"bf16".into(), &"exact".into())
    );
    assert!(number(&exact["results"][0]["bytes_per_token"]) < bytes(0));
    assert!(bench["results"][0]["head_rows_pct"].is_null());
    assert_eq!(number(&bench["results"][1]["head_rows_pct"]), 100.0);
    assert!((0.0..100.0).contains(&number(&exact["results"][1]["head_rows_pct"])), "{exact}");
    let zeros =
        |result: &Value| ["gates_not_positive_pct", "zeros_into_down_pct"].map(|f| number(&result[f]));
    for result in exact["results"].as_array().unwrap() {
        let [gates, inputs] = zeros(result);
        assert!(0.0 < gates && gates <= inputs && inputs < 100.0, "{result}");
    }
    assert_eq!(zeros(&exact["results"][1]), zeros(&bench["results"][1]), "the tokens are the same");
}

#[test]
fn the_table_is_markdown_or_csv() {
    let arguments =
        ["bench", "-m", TINY, "-p", "0", "-n", "1", "-r", "1", "--threads", "1", "--isa", "portable"];
    let text = output(&arguments);
    for words in ["| tg1", "|---", "portable", "first token", "GB/s", "| 1 thread"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let csv = output(&[&arguments[..], &["--csv"]].concat());
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert_eq!(lines[0], RESULT);
    assert_eq!(lines[1][..4], ["tg1", lines[1][1], "portable", "2bit"]);
}

#[test]
fn results_are_drawn_as_svg() {
    let scratch = Scratch::new();
    let file = scratch.file("model.svg");
    let test = ["bench", "-m", TINY, "-p", "3", "-n", "2", "-r", "1", "--threads", "1,2", "--plot"];
    json(&[&test[..], &[&file]].concat());
    let picture = std::fs::read_to_string(&file).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    for words in
        ["bitnet-tiny", "<title>pp3, 1 thread: ", "<title>tg2, 2 threads: ", "Thread scaling", "GB/s"]
    {
        assert!(picture.contains(words), "no {words:?}");
    }

    let file = scratch.file("kernels.svg");
    let kernels =
        ["bench", "kernels", "--shape", "96x80", "--tokens", "1", "-r", "1", "--budget-mb", "1", "--plot"];
    output(&[&kernels[..], &[&file]].concat());
    let picture = std::fs::read_to_string(&file).unwrap();
    for isa in usable_isas() {
        assert!(picture.contains(&format!("<title>{isa}/")), "no {isa}");
    }
    assert!(picture.contains("96 × 80") && picture.contains("pick"));
    assert_eq!(scratch.files(), 2, "no other file remains");
}

#[cfg(target_os = "linux")]
#[test]
fn an_unwritable_picture_is_one_error_after_the_results() {
    let test =
        ["bench", "-m", TINY, "-p", "0", "-n", "1", "-r", "1", "--threads", "1", "--plot", "/dev/full"];
    let ran = tercet(&test);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error")).collect();
    assert!(matches!(errors[..], [error] if error.contains("cannot write /dev/full")), "{ran:?}");
    assert!(ran.stdout.contains("| tg1"));
}

#[test]
fn every_kernel_of_a_shape_is_measured() {
    let arguments =
        ["bench", "kernels", "--shape", "96x80", "--tokens", "1,3", "-r", "1", "--budget-mb", "1"];
    let text = output(&[&arguments[..], &["--json"]].concat());
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    for row in &rows {
        assert_fields(
            row,
            &["spec", "n", "k", "m", "threads", "median_ns", "gb_s", "gmac_s", "roofline_pct", "picked"],
        );
        assert_positive(row, &["median_ns", "gb_s", "gmac_s", "roofline_pct"]);
        assert_eq!((&row["n"], &row["k"], &row["threads"]), (&96.into(), &80.into(), &1.into()));
    }
    for m in [1, 3] {
        let of_m: Vec<&Value> = rows.iter().filter(|row| row["m"] == m).collect();
        let named = |name: &str| of_m.iter().any(|row| row["spec"].as_str().unwrap().contains(name));
        for isa in usable_isas() {
            assert!(named(&format!("{isa}/")), "no {isa} for {m}");
            // There are hand-written kernels for only one level of AVX-512: `avx512-vnni`.
            let by_hand = !["portable", "avx512-vbmi", "amx-int8"].contains(&isa);
            assert!(!by_hand || named(&format!("reference/{isa}")), "no reference for {isa}");
        }
        let picked: Vec<&str> = of_m
            .iter()
            .filter(|row| row["picked"] == true)
            .map(|row| row["spec"].as_str().unwrap())
            .collect();
        assert_eq!(picked.len(), 2, "one for each packing: {picked:?}");
        assert!(picked.iter().all(|spec| spec.starts_with(usable_isas()[0])));
    }
    let table = output(&arguments);
    assert!(table.contains("96 x 80, m 3") && table.contains(" * "), "{table}");
}

#[test]
fn assert_fails_if_the_picked_kernel_is_too_slow() {
    let arguments =
        ["bench", "kernels", "--shape", "96x80", "--tokens", "1", "-r", "1", "--budget-mb", "1", "--assert"];
    let status = |ratio: &str| tercet(&[&arguments[..], &[ratio]].concat()).status;
    assert_eq!(status("1e9"), Some(0));
    // No kernel takes zero time.
    assert_eq!(status("0"), Some(1));
}

#[test]
fn another_build_is_measured_in_turns() {
    let this = env!("CARGO_BIN_EXE_tercet");
    let arguments = [
        "bench",
        "-m",
        TINY,
        "-p",
        "8",
        "-n",
        "2",
        "-r",
        "1",
        "--threads",
        "1,2",
        "--turns",
        "2",
        "--against",
    ];
    let comparisons: Value =
        serde_json::from_str(&output(&[&arguments[..], &[this, "--json"]].concat())).unwrap();
    let comparisons = comparisons.as_array().unwrap();
    let tests: Vec<_> = comparisons.iter().map(|c| format!("{} {}", c["test"], c["threads"])).collect();
    assert_eq!(tests, ["\"pp8\" 1", "\"tg2\" 1", "\"pp8\" 2", "\"tg2\" 2"]);
    for comparison in comparisons {
        assert_positive(comparison, &["this_tps", "other_tps", "ratio", "least_ratio", "most_ratio"]);
    }
    for (program, problem) in
        [("no-such-program", "No such file"), ("/bin/false", "exit status: 1"), ("/bin/true", "no report")]
    {
        let ran = tercet(&[&arguments[..], &[program]].concat());
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains(program) && ran.stderr.contains(problem),
            "{ran:?}"
        );
    }
}

#[test]
fn impossible_measurements_are_refused() {
    let context = ["bench", "-m", TINY, "--depth", "1000000"];
    for arguments in [
        &context[..],
        &["bench", "-p", "0", "-n", "0"],
        &["bench", "-r", "0"],
        &["bench", "--turns", "2"],
        &["bench", "--against", "tercet", "--csv"],
        &["bench", "--threads", "0"],
        &["bench", "--synthetic", "nonsense"],
        &["bench", "--synthetic", "bitnet-2b-4t", "-m", TINY],
        &["bench", "--gate-density", "0.3", "-m", TINY],
        &["bench", "--synthetic", "falcon-e-1b", "--gate-density", "0.3"],
        &["bench", "--synthetic", "bitnet-2b-4t", "--gate-density", "0"],
        &["bench", "--synthetic", "bitnet-2b-4t", "--head-peak", "40"],
        &["bench", "kernels", "--shape", "12"],
        &["bench", "kernels", "--tokens", "0"],
        &["bench", "kernels", "-m", "1"],
        &["bench", "--plot", "no-such-directory/plot.svg"],
        &["bench", "kernels", "--plot", "."],
    ] {
        let ran = tercet(arguments);
        assert_eq!(ran.status, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty());
    }
}

#[test]
fn energy_is_measured_or_said_to_be_unavailable() {
    let arguments = ["bench", "--energy", "-p", "8", "-n", "0", "-r", "1", "--threads", "1"];
    let found = json(&arguments);
    let energy = &found["energy"];
    assert_fields(energy, &["packages", "idle_watts", "not_available"]);
    assert_ne!(energy["packages"].is_null(), energy["not_available"].is_null(), "{energy}");
    let of_test = &found["results"][0]["energy"];
    assert!(energy["packages"].is_string() || of_test.is_null(), "{of_test}");
    let shown = output(&arguments);
    assert!(shown.contains("J/token") || shown.contains("energy: not available: "), "{shown}");
    assert!(!output(&[&arguments[..1], &arguments[2..]].concat()).contains("energy"));
}
