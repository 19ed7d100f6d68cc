//! The engines: how to set up each, run it, and read its results.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Place, Rates};
use crate::cargo;

/// Builds for this CPU, and only the library.
const CMAKE_ARGS: &str = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF \
                          -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TESTS=OFF";

/// A program that runs a model of BitNet b1.58 2B-4T's shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Engine {
    Tercet,
    /// llama.cpp inside llama-cpp-python, with ternary weights of this GGUF type.
    LlamaCpp(&'static str),
    /// Hugging Face's reference, in bf16.
    Transformers,
    /// The user's own binary, with the user's own file.
    LlamaBench {
        program: PathBuf,
        gguf: PathBuf,
    },
}

/// The tests of one run.
#[derive(Clone, Debug)]
pub(super) struct Tests {
    pub(super) prompt: Vec<usize>,
    pub(super) generate: Vec<usize>,
}

impl Tests {
    /// Names of the tests, such as `pp128` and `tg128`.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let prompts = self.prompt.iter().map(|tokens| format!("pp{tokens}"));
        prompts.chain(self.generate.iter().map(|tokens| format!("tg{tokens}")))
    }
}

/// A preparation, done once before an engine can run.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) command: Command,
    /// The output. If it exists, an earlier run has done this step.
    pub(super) makes: Option<PathBuf>,
}

impl Engine {
    /// Peers that need no file of the user's.
    pub(super) const PEERS: [Engine; 3] =
        [Engine::LlamaCpp("TQ2_0"), Engine::LlamaCpp("TQ1_0"), Engine::Transformers];

    /// Its name in `--only`.
    pub(super) fn key(&self) -> String {
        match self {
            Engine::Tercet => "tercet".to_owned(),
            Engine::LlamaCpp(ternary) => format!("llama-cpp-{}", ternary.to_lowercase()),
            Engine::Transformers => "transformers".to_owned(),
            Engine::LlamaBench { .. } => "llama-bench".to_owned(),
        }
    }

    pub(super) fn title(&self) -> String {
        match self {
            Engine::Tercet => "Tercet".to_owned(),
            Engine::LlamaCpp(ternary) => format!("llama.cpp, {ternary}"),
            Engine::Transformers => "transformers, bf16".to_owned(),
            Engine::LlamaBench { program, gguf } => {
                format!("{}, {}", name(program), name(gguf))
            }
        }
    }

    /// The format of the output head.
    pub(super) fn head(&self) -> &'static str {
        match self {
            Engine::Tercet => "exact",
            Engine::LlamaCpp(_) => "Q6_K",
            Engine::Transformers => "bf16",
            Engine::LlamaBench { .. } => "the file's",
        }
    }

    /// A remark that readers of the table need.
    pub(super) fn note(&self) -> Option<&'static str> {
        match self {
            Engine::LlamaCpp(_) => Some(
                "llama.cpp's `bitnet` has the sub-norms of 2B-4T, but SiLU where the model has relu²; its \
                 embedding and head are random Q6_K blocks, a type that the gguf package reads but does not \
                 write. Neither makes a difference in speed.",
            ),
            _ => None,
        }
    }

    /// Steps to set it up.
    pub(super) fn steps(&self, place: &Place) -> Vec<Step> {
        match self {
            Engine::Tercet => {
                vec![Step::new("build Tercet", cargo("build --quiet --release --features cli"))]
            }
            Engine::LlamaCpp(ternary) => {
                let mut install = place.pip("llama-cpp.txt", &["--no-binary", "llama-cpp-python"]);
                install.env("CMAKE_ARGS", CMAKE_ARGS);
                let gguf = place.gguf(ternary);
                let write = place.python("write_gguf.py", &[ternary.as_ref(), gguf.as_ref()]);
                vec![
                    place.make_venv(),
                    Step::new("build llama-cpp-python, for some ten minutes the first time", install),
                    Step { makes: Some(gguf), ..Step::new(format!("write a {ternary} model"), write) },
                ]
            }
            Engine::Transformers => {
                let folder = place.checkpoint();
                let write = place.python("write_checkpoint.py", &[folder.as_ref()]);
                let makes = Some(folder.join("config.json"));
                vec![
                    place.make_venv(),
                    Step::new("install transformers and torch", place.pip("transformers.txt", &[])),
                    Step { makes, ..Step::new("write a packed checkpoint", write) },
                ]
            }
            Engine::LlamaBench { .. } => Vec::new(),
        }
    }

    /// Returns a command that runs every test once.
    pub(super) fn bench(&self, place: &Place, tests: &Tests, threads: usize) -> Command {
        let script = |script, model: PathBuf| {
            let mut command = place.python(script, &[model.as_ref()]);
            command.args(["--threads", &threads.to_string()]);
            for (flag, sizes) in [("--prompt", &tests.prompt), ("--generate", &tests.generate)] {
                command.arg(flag).args(sizes.iter().map(usize::to_string));
            }
            command
        };
        match self {
            Engine::LlamaCpp(ternary) => script("bench_llama_cpp.py", place.gguf(ternary)),
            Engine::Transformers => script("bench_transformers.py", place.checkpoint()),
            Engine::Tercet => {
                let mut command = cargo("run --quiet --release --features cli -- bench --json --greedy -r 1");
                command.args(["--synthetic", "bitnet-2b-4t", "--threads", &threads.to_string()]);
                command.args(["-p", &list(&tests.prompt), "-n", &list(&tests.generate)]);
                command
            }
            Engine::LlamaBench { program, gguf } => {
                let mut command = Command::new(program);
                command.arg("-m").arg(gguf).args(["-o", "json", "-r", "1", "-t", &threads.to_string()]);
                command.args(["-p", &list(&tests.prompt), "-n", &list(&tests.generate)]);
                command
            }
        }
    }

    /// Reads tokens per second from the output of [`bench`](Self::bench).
    pub(super) fn rates(&self, output: &str) -> Result<Rates> {
        // Programs may print warnings before their JSON, but nothing after it.
        let start = output.find(['{', '[']).context("no JSON was printed")?;
        let json: Value = serde_json::from_str(&output[start..]).context("not the expected JSON")?;
        let results = if self == &Engine::Tercet { &json["results"] } else { &json };
        let results = results.as_array().context("no list of results was printed")?;
        results.iter().map(|result| self.rate(result)).collect()
    }

    fn rate(&self, result: &Value) -> Result<(String, f64)> {
        let (test, rate) = match self {
            Engine::LlamaBench { .. } => {
                let test = match (result["n_prompt"].as_u64(), result["n_gen"].as_u64()) {
                    (Some(prompt), Some(0)) => format!("pp{prompt}"),
                    (Some(0), Some(generated)) => format!("tg{generated}"),
                    _ => bail!("a result has no n_prompt and n_gen of one test"),
                };
                (test, &result["avg_ts"])
            }
            _ => (result["test"].as_str().context("a result has no test")?.to_owned(), &result["median_tps"]),
        };
        let rate = rate.as_f64().filter(|rate| *rate > 0.0);
        Ok((test, rate.context("a result has no rate")?))
    }
}

impl Step {
    pub(super) fn new(name: impl Into<String>, command: Command) -> Self {
        Step { name: name.into(), command, makes: None }
    }
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| OsStr::to_string_lossy(name).into_owned())
}

/// Joins sizes with commas. `0` means no test.
fn list(sizes: &[usize]) -> String {
    match sizes {
        [] => "0".to_owned(),
        sizes => sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;

    #[test]
    fn rates_are_read_from_the_output_of_every_engine() {
        let tercet = r#"{"cpu": "x", "results": [{"test": "pp128", "median_tps": 90.5}]}"#;
        assert_eq!(Engine::Tercet.rates(tercet).unwrap(), [("pp128".to_owned(), 90.5)]);
        let script = "a warning\n[{\"test\": \"tg8\", \"threads\": 1, \"median_tps\": 2.0}]\n";
        assert_eq!(Engine::Transformers.rates(script).unwrap(), [("tg8".to_owned(), 2.0)]);
        let llama_bench = Engine::LlamaBench { program: "p".into(), gguf: "g".into() };
        let output =
            r#"[{"n_prompt": 512, "n_gen": 0, "avg_ts": 41.0}, {"n_prompt": 0, "n_gen": 128, "avg_ts": 7}]"#;
        let expected = [("pp512".to_owned(), 41.0), ("tg128".to_owned(), 7.0)];
        assert_eq!(llama_bench.rates(output).unwrap(), expected);
    }

    #[test]
    fn output_without_results_is_refused() {
        for output in
            ["", "Killed", "[1, 2", "{}", r#"[{"test": "pp1"}]"#, r#"[{"test": "pp1", "median_tps": 0}]"#]
        {
            assert!(Engine::LlamaCpp("TQ2_0").rates(output).is_err(), "{output:?}");
        }
        assert!(Engine::Tercet.rates("[]").is_err());
    }
}
