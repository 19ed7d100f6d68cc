//! Downloads from a hub: wrong bytes are never used, and complete files are not requested again.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

use crate::harness::{Ran, Scratch, TINY, command, finish, output, parse};
use crate::hub_server::{COMMIT, FakeHub, Faults};
use crate::models::FILES;

const MODEL: &str = "hf:tiny/bitnet";
const FOLDER: &str = "hub/models--tiny--bitnet";

/// A hub with the tiny model, and a directory for downloads.
struct Setting {
    hub: FakeHub,
    home: Scratch,
}

impl Setting {
    fn new() -> Self {
        Self::with([])
    }

    fn with<const N: usize>(more: [(&str, &[u8]); N]) -> Self {
        let files = FILES.map(|name| (name.to_owned(), fs::read(PathBuf::from(TINY).join(name)).unwrap()));
        let more = more.map(|(name, contents)| (name.to_owned(), contents.to_vec()));
        Setting { hub: FakeHub::new(files.into_iter().chain(more)), home: Scratch::new() }
    }

    fn command(&self, model: &str) -> Command {
        let mut command = command(&["generate", "--greedy", "-n", "4", "-m", model, "Hi"]);
        command.env("HF_ENDPOINT", self.hub.endpoint()).env("HF_HOME", self.home.path());
        command
    }

    fn run(&self, model: &str) -> Ran {
        finish(&mut self.command(model))
    }

    /// Runs the model, and requires its text.
    #[track_caller]
    fn works(&self, model: &str) {
        let ran = self.run(model);
        assert_eq!((ran.status, ran.stdout), (Some(0), expected()), "{}", ran.stderr);
    }

    /// Runs the model, and requires `status` and an error line with all of `words`.
    #[track_caller]
    fn fails(&self, model: &str, status: i32, words: &[&str]) {
        let ran = self.run(model);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(status), ""), "{}", ran.stderr);
        let line = ran.stderr.lines().last().unwrap();
        assert!(line.starts_with("error: "), "{}", ran.stderr);
        words.iter().for_each(|word| assert!(line.contains(word), "no {word:?} in {line}"));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(FOLDER).join(name)
    }

    /// Returns the files below `blobs`: partial files (`.incomplete`), or complete files.
    fn blobs(&self, incomplete: bool) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.file("blobs")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "incomplete") == incomplete).collect()
    }
}

fn expected() -> String {
    output(&["generate", "--greedy", "-n", "4", "-m", TINY, "Hi"])
}

#[test]
fn a_repository_is_downloaded_once_into_the_standard_cache() {
    let setting = Setting::with([("README.md", b"not wanted"), ("pytorch_model.bin", b"not wanted")]);
    fs::write(setting.home.path().join("token"), "secret\n").unwrap();
    setting.works(MODEL);
    let seen = setting.hub.seen();
    assert_eq!(
        seen.len(),
        1 + FILES.len() + 1,
        "one request for the list, one for each file, one after a redirect: {seen:?}"
    );
    for request in &seen {
        let shown = request.authorization.as_deref();
        assert_eq!(shown, (!request.by_cdn).then_some("Bearer secret"), "{request:?}");
    }
    assert_eq!(fs::read_to_string(setting.file("refs/main")).unwrap(), COMMIT);
    for name in FILES {
        let path = setting.file("snapshots").join(COMMIT).join(name);
        assert_eq!(fs::read(&path).unwrap(), fs::read(PathBuf::from(TINY).join(name)).unwrap());
        #[cfg(unix)]
        assert!(fs::read_link(path).unwrap().starts_with("../../blobs"));
    }
    assert!(setting.blobs(true).is_empty());

    setting.works(MODEL);
    setting.works(&format!("{MODEL}@{COMMIT}"));
    assert_eq!(setting.hub.seen().len(), 0, "no request: all files are here");
    let ran =
        finish(setting.command(MODEL).env("HF_HUB_OFFLINE", "1").env("HF_ENDPOINT", "http://127.0.0.1:1"));
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("[bitnet |"), "the repository's name, not the commit's: {}", ran.stderr);
}

/// Returns the tensors of the tiny model in two files, and their index.
fn shards() -> Vec<(String, Vec<u8>)> {
    let bytes = fs::read(PathBuf::from(TINY).join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let name = |shard: usize| format!("model-0000{}-of-00002.safetensors", shard + 1);
    let place = |i: usize| name(i % 2);
    let index: Map<String, Value> =
        tensors.iter().enumerate().map(|(i, (tensor, _))| (tensor.to_owned(), place(i).into())).collect();
    let shard = |shard: usize| {
        let part = tensors.iter().skip(shard).step_by(2);
        (name(shard), safetensors::serialize(part, None).unwrap())
    };
    let index = json!({ "metadata": {}, "weight_map": index }).to_string().into_bytes();
    vec![shard(0), shard(1), ("model.safetensors.index.json".to_owned(), index)]
}

#[test]
fn shards_are_downloaded_with_their_index_and_used_only_together() {
    let files = FILES.into_iter().filter(|name| *name != "model.safetensors");
    let files = files.map(|name| (name.to_owned(), fs::read(PathBuf::from(TINY).join(name)).unwrap()));
    let setting = Setting { hub: FakeHub::new(files.chain(shards())), home: Scratch::new() };
    setting.hub.misbehave(Faults { reset_after: Some(50_000), ignores_range: true, ..Faults::default() });
    setting.fails(MODEL, 1, &["broke off"]);
    let offline = finish(setting.command(MODEL).env("HF_HUB_OFFLINE", "1"));
    assert_eq!(offline.status, Some(2), "{offline:?}");
    assert!(offline.stderr.contains("not on this machine as a whole"), "{}", offline.stderr);

    setting.hub.misbehave(Faults::default());
    setting.works(MODEL);
    setting.hub.seen();
    setting.works(MODEL);
    assert_eq!(setting.hub.seen().len(), 0, "no request: all files are here");

    // One of two shards is not a model.
    let snapshot = setting.file("snapshots").join(COMMIT);
    fs::remove_file(snapshot.join("model-00002-of-00002.safetensors")).unwrap();
    let offline = finish(setting.command(MODEL).env("HF_HUB_OFFLINE", "1"));
    assert_eq!(offline.status, Some(2), "{offline:?}");
    setting.works(MODEL);
}

#[test]
fn a_partial_download_by_another_program_is_completed() {
    let setting = Setting::new();
    let snapshot = setting.file("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(setting.file("refs")).unwrap();
    fs::write(setting.file("refs/main"), COMMIT).unwrap();
    for name in FILES.iter().filter(|name| **name != "generation_config.json") {
        fs::copy(PathBuf::from(TINY).join(name), snapshot.join(name)).unwrap();
    }
    let offline = finish(setting.command(MODEL).env("HF_HUB_OFFLINE", "1"));
    assert_eq!(offline.status, Some(0), "all required files are there: {offline:?}");
    setting.works(MODEL);
    let asked: Vec<String> = setting.hub.seen().into_iter().map(|request| request.path).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].ends_with("generation_config.json"));
}

#[test]
fn broken_downloads_resume_where_they_ended() {
    let setting = Setting::new();
    let size = fs::metadata(PathBuf::from(TINY).join("model.safetensors")).unwrap().len() as usize;
    setting.hub.misbehave(Faults { reset_after: Some(size / 4), ..Faults::default() });
    setting.works(MODEL);
    let ranges: Vec<_> = setting.hub.seen().into_iter().filter(|r| r.by_cdn).map(|r| r.range).collect();
    assert!(
        ranges.len() >= 4 && ranges[0].is_none() && ranges[1..].iter().all(Option::is_some),
        "{ranges:?}"
    );
}

#[test]
fn a_download_starts_over_if_the_server_ignores_ranges() {
    let setting = Setting::new();
    setting.hub.misbehave(Faults { reset_after: Some(50_000), ignores_range: true, ..Faults::default() });
    setting.fails(MODEL, 1, &[MODEL, "model.safetensors", "broke off", "run the command again"]);
    assert_eq!(setting.blobs(true).len(), 1, "the partial file stays");
    setting.hub.misbehave(Faults { ignores_range: true, ..Faults::default() });
    setting.works(MODEL);
}

#[test]
fn wrong_bytes_are_never_used() {
    let setting = Setting::new();
    setting.hub.misbehave(Faults { corrupts: true, ..Faults::default() });
    setting.fails(MODEL, 1, &[MODEL, "model.safetensors", "checksum"]);
    setting.fails(MODEL, 1, &["checksum"]);
    assert!(!setting.file("snapshots").join(COMMIT).join("model.safetensors").exists());
    setting.hub.misbehave(Faults::default());
    setting.works(MODEL);

    // The partial file of an earlier run is wrong: it is deleted, and the file is downloaded again.
    let setting = Setting::new();
    setting.hub.misbehave(Faults { reset_after: Some(50_000), ignores_range: true, ..Faults::default() });
    setting.fails(MODEL, 1, &["broke off"]);
    let partial = setting.blobs(true).remove(0);
    fs::write(&partial, vec![7; fs::metadata(&partial).unwrap().len() as usize]).unwrap();
    setting.hub.misbehave(Faults::default());
    setting.works(MODEL);
}

#[test]
fn a_refusal_of_the_hub_is_one_clear_error() {
    let setting = Setting::with([("some-Q2_0.gguf", b"GGUF")]);
    let answer =
        |status, code| setting.hub.misbehave(Faults { status: Some((status, code)), ..Faults::default() });
    answer(401, "GatedRepo");
    setting.fails(MODEL, 2, &[MODEL, "on request", "HF_TOKEN", "accept its terms"]);
    answer(401, "RepoNotFound");
    setting.fails(MODEL, 2, &["no such repository that is public", "check the spelling"]);
    answer(404, "RevisionNotFound");
    setting.fails("hf:tiny/bitnet@v9", 2, &["hf:tiny/bitnet@v9", "no revision v9"]);
    answer(404, "");
    setting.fails(MODEL, 2, &["no such repository"]);
    answer(503, "");
    setting.fails(MODEL, 1, &["503", "later"]);
    setting.hub.misbehave(Faults::default());
    setting.fails("hf:tiny/bitnet/other.gguf", 2, &["no file other.gguf", "hf:tiny/bitnet/some-Q2_0.gguf"]);
    setting.fails("hf:tiny", 2, &["hf:tiny", "hf:owner/repo"]);
    setting.fails("bitnet-9b", 2, &["bitnet-9b", "no such file", "tercet models"]);

    let ran = finish(setting.command(MODEL).env("HF_ENDPOINT", "http://127.0.0.1:1"));
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("cannot be reached") && ran.stderr.contains("network"), "{}", ran.stderr);
    let ran = finish(setting.command(MODEL).env("HF_HUB_OFFLINE", "true"));
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("HF_HUB_OFFLINE"), "{}", ran.stderr);
    let ran = finish(setting.command(MODEL).env("HF_ENDPOINT", "ftp://x"));
    assert!(ran.stderr.contains("HF_ENDPOINT"), "{}", ran.stderr);
}

#[test]
fn a_killed_download_resumes_in_the_next_run() {
    let setting = Setting::new();
    setting.hub.misbehave(Faults { pause: Some(Duration::from_millis(4)), ..Faults::default() });
    for round in 0..12 {
        let mut child = setting.command(MODEL).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(15 + 13 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    setting.hub.misbehave(Faults::default());
    setting.hub.seen();
    setting.works(MODEL);
    let again = setting.hub.seen();
    assert!(again.iter().all(|request| !request.by_cdn || request.range.is_some()), "{again:?}");
}

#[test]
fn two_processes_download_together() {
    let setting = Setting::new();
    setting.hub.misbehave(Faults { pause: Some(Duration::from_millis(2)), ..Faults::default() });
    let children: Vec<_> = (0..2)
        .map(|_| setting.command(MODEL).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected());
    }
    let large = setting.hub.seen().into_iter().filter(|request| request.by_cdn).count();
    assert_eq!(large, 1, "the second waits for the first");
}

#[test]
fn short_names_stand_for_repositories() {
    let setting = Setting::new();
    setting.works("bitnet-2b");
    let request =
        "/api/models/microsoft/bitnet-b1.58-2B-4T/revision/04c3b9ad9361b824064a1f25ea60a8be9599b127";
    assert!(setting.hub.seen()[0].path.starts_with(request), "the name stands for one commit");
    let models = |arguments: &[&str]| {
        let ran = finish(command(arguments).env("HF_HOME", setting.home.path()));
        assert_eq!(ran.status, Some(0), "{ran:?}");
        ran.stdout
    };
    let table = models(&["models"]);
    let line = |name: &str| table.lines().find(|line| line.contains(name)).unwrap();
    assert!(line("bitnet-2b").contains("MIT") && line("bitnet-2b").ends_with("on this machine"));
    assert!(line("falcon-e-1b").contains("tiiuae/") && !line("falcon-e-1b").contains("on this machine"));
    let listed = parse(&models(&["models", "--json"]));
    let bitnet = &listed["models"][0];
    assert_eq!(bitnet["name"], "bitnet-2b");
    assert!(bitnet["path"].as_str().unwrap().ends_with(COMMIT), "{bitnet}");
    assert!(bitnet["memory"].as_u64() > Some(1_000_000_000));
    assert!(bitnet["revision"].as_str().unwrap().starts_with("04c3b9ad"));
    assert!(line("bitnet-2b").contains("2B-4T@04c3b9ad"));
    assert_eq!(
        (&listed["models"][1]["path"], &listed["models"][1]["revision"]),
        (&json!(null), &json!(null))
    );
}

#[test]
fn further_chat_templates_are_downloaded() {
    let names = ["additional_chat_templates/tool_use.jinja", "additional_chat_templates/README.md"];
    let setting = Setting::with(names.map(|name| (name, name.as_bytes())));
    setting.works(MODEL);
    let has = |name: &str| setting.file("snapshots").join(COMMIT).join(name).exists();
    assert_eq!(names.map(has), [true, false]);
}

#[test]
fn all_parts_of_a_gguf_model_are_downloaded() {
    let parts = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "other-00002-of-00002.gguf"];
    // Files of equal contents would be downloaded once.
    let contents = [&b"GGUF1"[..], b"GGUF2", b"GGUF3"];
    let setting = Setting::with(std::array::from_fn::<_, 3, _>(|i| (parts[i], contents[i])));
    setting.fails("hf:tiny/bitnet/m-00001-of-00002.gguf", 2, &["m-00001-of-00002.gguf", "version"]);
    let seen = setting.hub.seen();
    let asked = |name: &str| seen.iter().any(|request| request.path.ends_with(name));
    assert_eq!(parts.map(asked), [true, true, false]);
}

#[cfg(unix)]
#[test]
fn a_download_that_the_disk_cannot_hold_does_not_start() {
    let setting = Setting::new();
    for size in [1 << 60, u64::MAX] {
        setting.hub.misbehave(Faults { promises: Some(size), ..Faults::default() });
        setting.fails(MODEL, 1, &[MODEL, "no space is left", "make room"]);
        assert!(setting.hub.seen().iter().all(|request| !request.by_cdn));
    }
    // The server sends less than the list tells.
    setting.hub.misbehave(Faults { promises: Some(1 << 20), ..Faults::default() });
    setting.fails(MODEL, 1, &["model.safetensors", "the list of files tells 1048576"]);
}

#[test]
fn a_hub_that_makes_no_progress_is_given_up() {
    for place in ["headers", "list", "file"] {
        let setting = Setting::new();
        setting.hub.misbehave(Faults { trickles: Some(place), ..Faults::default() });
        let start = Instant::now();
        let ran = finish(setting.command(MODEL).env("HF_HUB_DOWNLOAD_TIMEOUT", "1"));
        assert!(start.elapsed() < Duration::from_secs(15), "{place}: {:?}", start.elapsed());
        assert_eq!(ran.status, Some(1), "{place}: {ran:?}");
        assert!(ran.stderr.lines().last().unwrap().starts_with("error: "), "{place}: {ran:?}");
        setting.hub.misbehave(Faults::default());
        setting.works(MODEL);
    }
    let ran = finish(Setting::new().command(MODEL).env("HF_HUB_DOWNLOAD_TIMEOUT", "soon"));
    assert!(ran.status == Some(2) && ran.stderr.contains("HF_HUB_DOWNLOAD_TIMEOUT"), "{ran:?}");
}

#[test]
fn passwords_and_tokens_appear_in_no_message() {
    let setting = Setting::new();
    let address = setting.hub.endpoint().replace("http://", "http://user:SECRET@");
    let endpoints = [&address[..], "http://user:SECRET@127.0.0.1:1", "ftp://user:SECRET@x", "user:SECRET@x"];
    for endpoint in endpoints {
        for status in [None, Some((401, "GatedRepo")), Some((503, ""))] {
            setting.hub.misbehave(Faults { status, ..Faults::default() });
            let mut command = setting.command("hf:tiny/other");
            let ran = finish(command.env("HF_ENDPOINT", endpoint).env("HF_TOKEN", "SECRET-token"));
            assert!(ran.status.is_some(), "{endpoint}: {ran:?}");
            assert!(!ran.stderr.contains("SECRET"), "{endpoint}: {ran:?}");
        }
        for format in [&["info"][..], &["info", "--json"]] {
            let shown = finish(command(format).env("HF_ENDPOINT", endpoint)).stdout;
            assert!(shown.contains("***@") && !shown.contains("SECRET"), "{endpoint}: {shown}");
        }
    }
}

#[cfg(unix)]
mod special_files {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn pipe(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    #[test]
    fn the_token_is_read_only_to_ask_the_hub() {
        let setting = Setting::new();
        let token = setting.home.path().join("token");
        pipe(&token);
        setting.works(TINY);
        setting.fails(MODEL, 1, &["token", "not a regular file"]);
        let ran = finish(setting.command(MODEL).env("HF_TOKEN_PATH", "/dev/zero"));
        assert!(ran.status == Some(1) && ran.stderr.contains("/dev/zero"), "{ran:?}");
        fs::remove_file(&token).unwrap();
        fs::write(&token, "secret\n").unwrap();
        setting.works(MODEL);
        assert!(setting.hub.seen().iter().any(|seen| seen.authorization.as_deref() == Some("Bearer secret")));
    }

    #[test]
    fn pipes_and_links_in_the_cache_are_neither_waited_for_nor_written_through() {
        let model = fs::read(PathBuf::from(TINY).join("model.safetensors")).unwrap();
        let setting = Setting::new();
        setting.works(MODEL);
        let blob =
            fs::canonicalize(setting.file("snapshots").join(COMMIT).join("model.safetensors")).unwrap();
        assert_eq!(fs::read(&blob).unwrap(), model);
        let digest = blob.file_name().unwrap().to_str().unwrap();
        let lock = format!("hub/.locks/models--tiny--bitnet/{digest}.lock");
        let places = [
            blob.with_file_name(format!("{digest}.incomplete")),
            setting.home.path().join(lock),
            setting.file("refs/main"),
        ];
        for place in places {
            let precious = setting.home.path().join("precious");
            fs::write(&precious, "precious").unwrap();
            for link in [false, true] {
                let _ = fs::remove_file(&blob);
                let _ = fs::remove_file(&place);
                if link {
                    symlink(&precious, &place).unwrap()
                } else {
                    pipe(&place)
                }
                let ran = setting.run(MODEL);
                assert!(ran.status.is_some_and(|status| status <= 2), "{}: {ran:?}", place.display());
                assert_eq!(fs::read(&precious).unwrap(), b"precious", "{}", place.display());
            }
            fs::remove_file(&place).unwrap();
            setting.works(MODEL);
        }
    }

    #[test]
    fn a_lock_without_progress_is_given_up() {
        let setting = Setting::new();
        setting.works(MODEL);
        let blob =
            fs::canonicalize(setting.file("snapshots").join(COMMIT).join("model.safetensors")).unwrap();
        let digest = blob.file_name().unwrap().to_str().unwrap();
        let lock = setting.home.path().join(format!("hub/.locks/models--tiny--bitnet/{digest}.lock"));
        let held = fs::File::options().write(true).create(true).truncate(false).open(lock).unwrap();
        held.lock().unwrap();
        fs::remove_file(&blob).unwrap();
        let ran = finish(setting.command(MODEL).env("HF_HUB_DOWNLOAD_TIMEOUT", "1"));
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("waiting for another") && ran.stderr.contains("no progress"), "{ran:?}");
        drop(held);
        setting.works(MODEL);
    }
}
