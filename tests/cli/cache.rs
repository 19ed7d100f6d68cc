//! Packed models on disk change only the loading time, even if they are damaged.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use safetensors::SafeTensors;
use tercet::formats::ModelFiles;
use tercet::{Logits, Model, Runtime, RuntimeOptions};

use crate::harness::{Ran, Scratch, TINY, command, finish, parse};
use crate::models::wide_model;

/// A model that is large enough to be kept, and a cache directory.
struct Setting {
    model: Scratch,
    cache: Scratch,
}

impl Setting {
    fn new() -> Self {
        let setting = Setting { model: Scratch::new(), cache: Scratch::new() };
        wide_model(&setting.model);
        setting
    }

    fn model(&self) -> String {
        self.model.path().display().to_string()
    }

    /// Loads the model. Returns the bits of the logits of some tokens, and the warnings.
    fn load(&self) -> (Vec<u32>, Vec<String>) {
        let cache_dir = Some(self.cache.path().to_owned());
        let runtime = Runtime::new(&RuntimeOptions { threads: Some(2), cache_dir, ..Default::default() });
        let model = Model::load(&ModelFiles::open(self.model.path()).unwrap(), &runtime).unwrap();
        let mut state = model.new_state(8).unwrap();
        let logits = model.forward(&mut state, &[1, 17, 150], Logits::All).unwrap();
        (logits.iter().map(|logit| logit.to_bits()).collect(), model.warnings().to_vec())
    }

    /// Loads the model for the first time. Returns the logits and the files for later comparisons.
    fn first(&self) -> (Vec<u32>, Vec<PathBuf>) {
        let (logits, warnings) = self.load();
        assert_eq!(warnings, [""; 0]);
        let packed = self.packed();
        assert_eq!(packed.len(), 2, "body and head: {packed:?}");
        (logits, packed)
    }

    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.cache.path().join("packed")) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn packed(&self) -> Vec<PathBuf> {
        self.files().into_iter().filter(|path| path.extension().is_some_and(|e| e == "packed")).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("TERCET_CACHE_DIR", self.cache.path());
        command
    }

    fn generate(&self) -> Command {
        self.command(&["generate", "--greedy", "-n", "2", "-m", &self.model(), "Hi"])
    }
}

fn succeeds(command: &mut Command) -> Ran {
    let ran = finish(command);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn modified(paths: &[PathBuf]) -> Vec<SystemTime> {
    paths.iter().map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect()
}

#[test]
fn the_first_load_writes_packed_files_and_the_second_reads_them() {
    let setting = Setting::new();
    let text = succeeds(setting.generate().arg("--no-cache")).stdout;
    assert!(setting.files().is_empty());
    assert_eq!(succeeds(setting.generate().env("TERCET_NO_CACHE", "1")).stdout, text);
    assert!(setting.files().is_empty());

    assert_eq!(succeeds(&mut setting.generate()).stdout, text);
    let packed = setting.packed();
    let times = modified(&packed);
    assert_eq!(packed.len(), 2, "{packed:?}");
    let ran = succeeds(&mut setting.generate());
    assert_eq!((ran.stdout, modified(&packed)), (text, times));
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);

    let listed = parse(&succeeds(&mut setting.command(&["cache", "--json"])).stdout);
    let sizes: u64 = packed.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(listed["size"], sizes);
    assert_eq!(listed["packed"].as_array().unwrap().len(), 2);
    let name = setting.model.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(listed["packed"][0]["model"], name);
    assert!(succeeds(&mut setting.command(&["cache"])).stdout.contains(name));
    let cleared = succeeds(&mut setting.command(&["cache", "clear"])).stdout;
    assert!(cleared.contains("freed"), "{cleared}");
    assert!(setting.files().is_empty());
    let nothing = parse(&succeeds(&mut setting.command(&["cache", "--json"])).stdout);
    assert_eq!(nothing["size"], 0);
}

/// The model has scales for groups of columns, and a ternary embedding.
#[test]
fn models_with_group_scales_are_kept_too() {
    const FIXTURE: &str = "tests/fixtures/bonsai-tiny";
    let setting = Setting { model: Scratch::new(), cache: Scratch::new() };
    fs::copy(Path::new(FIXTURE).join("config.json"), setting.model.path().join("config.json")).unwrap();
    let weights = fs::read(Path::new(FIXTURE).join("model.safetensors")).unwrap();
    let weights = SafeTensors::deserialize(&weights).unwrap();
    // Small models are not kept.
    let padding = HashMap::from([("padding".to_owned(), " ".repeat(4 << 20))]);
    let file = safetensors::serialize(weights.tensors(), Some(padding)).unwrap();
    fs::write(setting.model.path().join("model.safetensors"), file).unwrap();

    let (logits, warnings) = setting.load();
    let packed = setting.packed();
    assert!(packed.len() == 1 && warnings.is_empty(), "{packed:?} {warnings:?}");
    let times = modified(&packed);
    assert_eq!((setting.load(), modified(&packed)), ((logits, warnings), times));
}

#[test]
fn small_models_are_not_kept() {
    let setting = Setting::new();
    succeeds(&mut setting.command(&["generate", "-m", TINY, "-n", "1", "Hi"]));
    assert!(setting.files().is_empty());
}

#[test]
fn damaged_files_are_found_and_written_again() {
    let setting = Setting::new();
    let (logits, packed) = setting.first();
    let check = |what: &str, path: &Path, damaged: &[u8], good: &[u8]| {
        fs::write(path, damaged).unwrap();
        let (found, warnings) = setting.load();
        assert!(found == logits, "{what}");
        if warnings.is_empty() {
            // Padding between parts is not read.
            assert_eq!(damaged.len(), good.len(), "{what}");
            fs::write(path, good).unwrap();
        } else {
            assert!(warnings.len() == 1 && warnings[0].contains("made again"), "{what}: {warnings:?}");
        }
        assert!(fs::read(path).unwrap() == good, "{what}");
        !warnings.is_empty()
    };
    for path in &packed {
        let good = fs::read(path).unwrap();
        let mut found = 0;
        let places = [0, 7, 8, 16, 31, 4096, good.len() - 1, good.len() - 100];
        let spread = (0..12).map(|i| 4096 + (good.len() - 4096) / 13 * i);
        for at in places.into_iter().chain(spread) {
            let mut damaged = good.clone();
            damaged[at] ^= 0x10;
            found += usize::from(check(&format!("byte {at}"), path, &damaged, &good));
        }
        assert!(found >= 18, "only {found} of 20 damaged bytes were found");
        for len in [0, 1, 31, 32, 4096, 100_000, good.len() / 2, good.len() - 1] {
            assert!(check(&format!("length {len}"), path, &good[..len], &good));
        }
    }
}

#[test]
fn files_of_another_version_are_not_used() {
    let setting = Setting::new();
    let (logits, packed) = setting.first();
    let end_of_key = b"\",\"model\"";
    for path in &packed {
        // A header of another version, with a valid checksum.
        let good = fs::read(path).unwrap();
        let word = |i: usize| u64::from_le_bytes(good[8 * i..][..8].try_into().unwrap());
        let position = word(1) as usize;
        let mut other = good.clone();
        let at = position
            + other[position..].windows(end_of_key.len()).position(|window| window == end_of_key).unwrap();
        other[at - 1] = b'0';
        let checksum = xxhash_rust::xxh3::xxh3_64(&other[position..]);
        other[24..32].copy_from_slice(&checksum.to_le_bytes());
        fs::write(path, &other).unwrap();
        assert_eq!(setting.load(), (logits.clone(), Vec::new()));
        assert!(fs::read(path).unwrap() == good, "made again for this version");
    }
}

#[test]
fn changed_models_are_packed_again_and_touched_models_are_not() {
    let setting = Setting::new();
    let (logits, packed) = setting.first();
    let times = modified(&packed);
    let file = setting.model.path().join("model.safetensors");
    let touch = |time| fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let time = modified(std::slice::from_ref(&file))[0];
    touch(time + Duration::from_secs(5));
    assert_eq!((setting.load().0, modified(&packed)), (logits.clone(), times));
    touch(time);

    // Change the file in place, with the same size and the same modification time.
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() - 1_000_000;
    bytes[middle..middle + 1000].fill(0b01_01_01_01);
    fs::write(&file, &bytes).unwrap();
    touch(time);
    let (changed, warnings) = setting.load();
    assert!(changed != logits && warnings.is_empty(), "{warnings:?}");
}

#[test]
fn an_unwritable_cache_is_only_a_warning() {
    let mut setting = Setting::new();
    let (logits, _) = setting.first();
    let place = setting.cache.file("no-directory");
    fs::write(&place, b"").unwrap();
    let ran = succeeds(setting.generate().env("TERCET_CACHE_DIR", &place));
    assert!(
        ran.stderr.matches("warning: ").count() >= 1 && ran.stderr.contains("not kept"),
        "{}",
        ran.stderr
    );

    setting.cache = Scratch::new();
    let dir = setting.cache.path().join("packed");
    fs::create_dir_all(&dir).unwrap();
    // A directory has the name of the file that is to be written.
    let (again, packed) = setting.first();
    assert_eq!(again, logits);
    for path in &packed {
        fs::remove_file(path).unwrap();
        fs::create_dir_all(path.with_extension("tmp")).unwrap();
    }
    let (found, warnings) = setting.load();
    assert!(found == logits && warnings.len() == 2, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.contains("not kept")));
}

#[test]
fn a_killed_first_load_leaves_no_partial_file_that_is_read() {
    let setting = Setting::new();
    let text = succeeds(setting.generate().arg("--no-cache")).stdout;
    for round in 0..40u64 {
        if round % 8 == 0 {
            setting.files().into_iter().for_each(|path| fs::remove_file(path).unwrap());
        }
        let mut child = spawn(&mut setting.generate());
        thread::sleep(Duration::from_millis(4 + round * 37 % 150));
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 4 == 3 {
            let ran = succeeds(&mut setting.generate());
            assert_eq!(ran.stdout, text);
            assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
        }
    }
    assert!(setting.files().iter().all(|path| path.extension().is_some_and(|e| e != "tmp")));
}

#[test]
fn several_processes_make_the_first_load_at_the_same_time() {
    let setting = Setting::new();
    let text = succeeds(setting.generate().arg("--no-cache")).stdout;
    for _ in 0..3 {
        let children: Vec<Child> = (0..3).map(|_| spawn(&mut setting.generate())).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success() && !stderr.contains("warning"), "{stderr}");
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
        assert_eq!(setting.packed().len(), 2);
        setting.files().into_iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}
