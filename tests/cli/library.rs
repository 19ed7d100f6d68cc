//! `tercet pull`, `list`, `show`, `rm` and `run`: the models on this machine.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::harness::{Ran, Scratch, TINY, assert_fields, command, finish, output, parse, tercet};
use crate::hub_server::{COMMIT, FakeHub};
use crate::models::{FILES, wide_model};

/// A hub with one model, an empty cache of downloads, and an empty cache of packed models.
struct Setting {
    hub: FakeHub,
    home: Scratch,
    packed: Scratch,
}

impl Setting {
    /// Returns a hub with the model in the folder `model`.
    fn of(model: &str) -> Self {
        let files = FILES.map(|name| (name.to_owned(), fs::read(PathBuf::from(model).join(name)).unwrap()));
        Setting { hub: FakeHub::new(files), home: Scratch::new(), packed: Scratch::new() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("HF_ENDPOINT", self.hub.endpoint()).env("HF_HOME", self.home.path());
        command.env("TERCET_CACHE_DIR", self.packed.path());
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let ran = self.outcome(arguments);
        assert_eq!(ran.status, Some(0), "{arguments:?}: {ran:?}");
        ran.stdout
    }

    fn outcome(&self, arguments: &[&str]) -> Ran {
        finish(&mut self.command(arguments))
    }

    fn packed(&self) -> usize {
        let files = fs::read_dir(self.packed.path().join("packed")).into_iter().flatten();
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "packed")).count()
    }
}

#[test]
fn models_are_pulled_listed_shown_and_removed() {
    let setting = Setting::of(TINY);
    let none = setting.outcome(&["list"]);
    assert!(none.stdout.is_empty() && none.stderr.contains("tercet pull bitnet-2b"), "{none:?}");
    assert!(setting.run(&["pull", "tiny/bitnet"]).contains("snapshots"));
    setting.run(&["pull", "bitnet-2b"]);

    let listed = parse(&setting.run(&["list", "--json"]));
    let models = listed["models"].as_array().unwrap();
    let names: Vec<_> = models.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bitnet-2b", "tiny/bitnet"], "the catalogue's name, and the repository's");
    assert_fields(&models[1], &["name", "repository", "path", "size", "family", "weights", "modified"]);
    let size: u64 =
        FILES.iter().map(|name| fs::metadata(PathBuf::from(TINY).join(name)).unwrap().len()).sum();
    assert_eq!((models[1]["size"].as_u64(), &models[1]["family"]), (Some(size), &"bitnet".into()));
    assert!(models[1]["path"].as_str().unwrap().ends_with(COMMIT));
    let table = setting.run(&["list"]);
    assert!(
        table.lines().any(|line| line.contains("tiny/bitnet") && line.contains("-") && line.contains("kB")),
        "{table}"
    );

    // Every name of the list opens the model, without the network.
    for name in names {
        let mut command = setting.command(&["generate", "-m", name, "-n", "1", "Hi"]);
        assert_eq!(finish(command.env("HF_HUB_OFFLINE", "1")).status, Some(0), "{name}");
    }
    let shown = parse(&setting.run(&["show", "tiny/bitnet", "--json"]));
    assert_eq!(
        (&shown["name"], &shown["vocabulary"], &shown["chat"]),
        (&"bitnet".into(), &320.into(), &true.into())
    );
    assert!(setting.run(&["show", "bitnet-2b"]).contains("MIT"));

    let refused = setting.outcome(&["rm", "tiny/bitnet"]);
    assert!(refused.status == Some(2) && refused.stderr.contains("--yes"), "{refused:?}");
    let removed = parse(&setting.run(&["rm", "--yes", "tiny/bitnet", "--json"]));
    assert_eq!((&removed["repository"], removed["freed"].as_u64()), (&"tiny/bitnet".into(), Some(size)));
    assert_eq!(parse(&setting.run(&["list", "--json"]))["models"].as_array().unwrap().len(), 1);
    let again = setting.outcome(&["rm", "--yes", "tiny/bitnet"]);
    assert!(again.status == Some(2) && again.stderr.contains("not on this machine"), "{again:?}");
}

#[test]
fn an_embedding_model_is_shown_as_one() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/embedding-tiny");
    let shown = parse(&output(&["show", model, "--json"]));
    assert_eq!(shown["embedding"], json!({ "size": 128, "prompts": ["document", "query"] }));
    let report = output(&["show", model]);
    assert!(report.contains("128 numbers; prompts: document, query") && !report.contains("chat"), "{report}");
    assert!(parse(&output(&["show", TINY, "--json"]))["embedding"].is_null());
}

#[test]
fn the_packed_form_of_a_model_goes_with_it_and_no_other() {
    let (large, other) = (Scratch::new(), Scratch::new());
    let setting = Setting::of(&wide_model(&large));
    let other = wide_model(&other);
    // Models of equal contents share a packed form.
    let config = PathBuf::from(&other).join("config.json");
    fs::write(&config, fs::read_to_string(&config).unwrap() + "\n").unwrap();
    for model in ["tiny/bitnet", &other] {
        setting.run(&["generate", "-m", model, "-n", "1", "Hi"]);
    }
    let before = setting.packed();
    assert!(before >= 2, "{before} packed files");
    setting.run(&["rm", "--yes", "tiny/bitnet"]);
    assert_eq!(setting.packed(), before / 2);
    let ran = setting.outcome(&["rm", "--yes", &other]);
    assert!(ran.status == Some(2) && ran.stderr.contains("not downloaded"), "{ran:?}");
    assert!(config.exists());
}

#[test]
fn misspelt_names_and_absent_models_are_told() {
    let setting = Setting::of(TINY);
    for (name, word) in [
        ("bitnet", "did you mean bitnet-2b?"),
        ("no-such-model", "tercet models"),
        (concat!(env!("CARGO_MANIFEST_DIR"), "/no-such-folder"), "no such file"),
        ("a/b/c", "owner/repo"),
    ] {
        let ran = setting.outcome(&["show", name]);
        assert!(ran.status == Some(2) && ran.stderr.contains(word), "{name}: {ran:?}");
    }
    let absent = setting.outcome(&["show", "bitnet-2b"]);
    assert!(absent.status == Some(2) && absent.stderr.contains("`tercet pull bitnet-2b`"), "{absent:?}");
    assert_eq!(setting.hub.seen().len(), 0, "nobody asked for a download");
}

#[test]
fn run_is_a_question_or_a_chat() {
    let question = ["Tell me about the sea", "--greedy", "-n", "6"];
    let asked = tercet(&[&["run", "fairy-tales"], &question[..]].concat());
    let generated = tercet(&[&["generate", "--chat", "-m", "fairy-tales"], &question[..]].concat());
    assert_eq!((asked.status, asked.stdout), (Some(0), generated.stdout));
    assert_eq!(tercet(&["run", "fairy-tales", "Hi", "--no-such-option"]).status, Some(2));
    let refused = tercet(&["run", "fairy-tales", "Hi", "--top-p", "7"]);
    assert!(
        refused.status == Some(2) && refused.stderr.contains("--top-p: 7 is out of range"),
        "{refused:?}"
    );
}

#[test]
fn there_are_completions_and_manual_pages() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = tercet(&["completions", shell]);
        assert!(script.status == Some(0) && script.stdout.contains("temperature"), "{shell}");
    }
    let scratch = Scratch::new();
    assert_eq!(tercet(&["man", &scratch.file("man1")]).status, Some(0));
    let page = fs::read_to_string(scratch.file("man1/tercet-chat.1")).unwrap();
    assert!(page.contains("context\\-shift"), "{page}");
    assert!(fs::exists(scratch.file("man1/tercet.1")).unwrap());
}
