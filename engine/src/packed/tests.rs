use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tercet_codegen::Packing;
use tercet_formats::ModelFiles;

use super::*;

const LAYOUT: Layout = Layout { packing: Packing::Bits2, interleave: 1 };

fn parts(bytes: &[u8]) -> Vec<Part<'_>> {
    vec![Part { name: "part".to_owned(), kind: PartKind::Bytes(bytes.to_vec()) }]
}

/// A large model's files, of which only names and bytes matter here, and a cache.
struct Setting {
    model: TempDir,
    dir: TempDir,
    cache: PackedCache,
    pool: Pool,
}

impl Setting {
    fn new() -> Self {
        let (model, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(model.path().join("config.json"), "{}").unwrap();
        fs::write(model.path().join("model.safetensors"), vec![1; 5 << 20]).unwrap();
        let cache = PackedCache::in_dir(dir.path());
        Setting { model, dir, cache, pool: Pool::new(2).unwrap() }
    }

    fn weights(&self) -> PathBuf {
        self.model.path().join("model.safetensors")
    }

    /// Loads the model as the bytes that `make` returns, if they are not kept. Returns the bytes and the warnings.
    fn load(&self, make: impl Fn() -> Vec<u8>) -> (Vec<u8>, Vec<String>) {
        let files = ModelFiles::open(self.model.path()).unwrap();
        let mut model = self.cache.model("some", Appearance::of(&files), &self.pool);
        let read = |packed: Option<&PackedFile>| match packed {
            Some(packed) => packed.bytes("part", 1000, &self.pool),
            None => Ok(make()),
        };
        let loaded = model.load(LAYOUT.into(), &self.pool, read, |bytes| parts(bytes)).unwrap();
        (loaded, model.warnings())
    }

    fn put(&self, name: &str, contents: &[u8]) -> PathBuf {
        fs::create_dir_all(self.cache.dir()).unwrap();
        let path = self.cache.dir().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// Returns the packed files and notes.
    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.cache.dir()) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    }
}

type Change = (&'static str, fn(&Path));

#[test]
fn a_model_that_changes_while_it_is_loaded_is_neither_kept_nor_noted() {
    let changes: [Change; 4] = [
        ("overwritten", |path| fs::write(path, vec![2; 5 << 20]).unwrap()),
        ("truncated", |path| fs::write(path, "").unwrap()),
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("replaced", |path| {
            let other = path.with_file_name("other");
            fs::write(&other, vec![2; 5 << 20]).unwrap();
            fs::rename(other, path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let setting = Setting::new();
        let (_, warnings) = setting.load(|| {
            change(&setting.weights());
            vec![7; 1000]
        });
        assert!(warnings.len() == 1 && warnings[0].contains("changed while"), "{what}: {warnings:?}");
        assert!(setting.files(PACKED).is_empty() && setting.files("source").is_empty(), "{what}");
    }
}

#[test]
fn a_packed_file_is_not_used_once_the_model_has_changed() {
    let setting = Setting::new();
    assert_eq!(setting.load(|| vec![7; 1000]), (vec![7; 1000], vec![]));
    assert_eq!(setting.load(|| vec![8; 1000]), (vec![7; 1000], vec![]), "kept");

    let files = ModelFiles::open(setting.model.path()).unwrap();
    let mut model = setting.cache.model("some", Appearance::of(&files), &setting.pool);
    let read = |packed: Option<&PackedFile>| {
        fs::write(setting.weights(), vec![packed.map_or(3, |_| 2); 5 << 20]).unwrap();
        Ok(packed.is_some())
    };
    assert!(!model.load(LAYOUT.into(), &setting.pool, read, |_| vec![]).unwrap());
    assert!(model.warnings()[0].contains("changed while"));
}

#[test]
fn a_note_is_heeded_only_if_it_is_whole_and_of_this_model() {
    let setting = Setting::new();
    setting.load(|| vec![7; 1000]);
    let note = setting.files("source").remove(0);
    let good = fs::read_to_string(&note).unwrap();
    assert!(source::is_note(&note));

    // Another model, with a note and a packed file of its own.
    let other = Setting::new();
    fs::write(other.weights(), vec![9; 5 << 20]).unwrap();
    other.load(|| vec![9; 1000]);
    let foreign = fs::read_to_string(other.files("source").remove(0)).unwrap();
    let packed = other.files(PACKED).remove(0);
    fs::copy(&packed, setting.cache.dir().join(packed.file_name().unwrap())).unwrap();
    let digest = foreign.split(' ').nth(1).unwrap();

    let mixed = good.replace(good.split(' ').nth(1).unwrap(), digest);
    for bad in [&foreign, digest, &mixed, "", "x", &good[..40]] {
        fs::write(&note, bad).unwrap();
        assert_eq!(setting.load(|| vec![8; 1000]), (vec![7; 1000], vec![]), "{bad}");
        assert_eq!(fs::read_to_string(&note).unwrap(), good, "{bad}: noted again");
    }
}

#[test]
fn clearing_deletes_packed_models_and_nothing_else() {
    let setting = Setting::new();
    setting.load(|| vec![7; 1000]);
    let digest = "0123456789abcdef0123456789abcdef";
    let own = [
        setting.put(&format!("{digest}-2bit-x4.tmp"), b"TERCETPK\0\0"),
        setting.put(&format!("{digest}-2bit-x4.packed"), b""),
        setting.put(&format!("{digest}-1.6bit-x1.packed"), &[0; 100]),
        setting.put(&format!("{digest}.source"), digest.as_bytes()),
    ];
    let foreign = [
        setting.put("thesis.docx", b"thesis"),
        setting.put("thesis.packed", b"TERCETPK"),
        setting.put("x.tmp", b""),
        setting.put("a.source", b"thesis"),
        setting.put(&format!("{digest}-2bit-x2.packed"), b"thesis"),
        setting.put(&format!("{digest}-3bit-x2.packed"), b""),
        setting.put(&digest.replace('0', "1").to_owned(), b""),
    ];
    let folder = setting.cache.dir().join(format!("{digest}-2bit-x8.packed"));
    fs::create_dir(&folder).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&own[0], setting.cache.dir().join(format!("{digest}-2bit-x1.tmp"))).unwrap();
    assert_eq!(setting.cache.list().unwrap().len(), 3);

    let cleared = setting.cache.clear().unwrap();
    assert!(cleared.failures.is_empty() && cleared.freed > 100, "{cleared:?}");
    assert!(setting.cache.list().unwrap().is_empty());
    assert!(own.iter().all(|path| !path.exists()) && foreign.iter().all(|path| path.exists()));
    assert!(folder.is_dir() && setting.dir.path().exists());
}

#[test]
fn the_oldest_files_are_deleted_if_the_limit_demands_it() {
    let setting = Setting::new();
    let digest = |i: u32| format!("{i:032x}");
    let put = |i: u32, age: u64| {
        let path = setting.put(&format!("{}-2bit-x1.packed", digest(i)), &[0; 1000]);
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        path
    };
    let [oldest, own, young] = [put(1, 300), put(2, 400), put(3, 100)];
    let foreign = setting.put("thesis.packed", &[0; 9000]);
    let cache = setting.cache.clone().with_limit(Size(4000));
    let new = cache.dir().join("new");
    cache.make_room(&digest(2), &new, 1000).unwrap();
    assert!(oldest.exists(), "there is room");
    cache.make_room(&digest(2), &new, 2000).unwrap();
    assert!(!oldest.exists() && own.exists() && young.exists() && foreign.exists());
    let message = cache.make_room(&digest(2), &new, 3001).unwrap_err().to_string();
    assert!(message.contains("4.0 kB") && message.contains("--cache-size"), "{message}");
    assert!(own.exists() && young.exists(), "nothing is deleted in vain");
    // A file that is written again takes the room of the old one.
    cache.make_room(&digest(2), &own, 3000).unwrap();
    assert!(own.exists() && young.exists());
}
