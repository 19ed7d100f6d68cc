use super::*;

/// A temporary directory. Dropping the value deletes it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tercet-atomic-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        names(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns the id of a process that has ended.
#[cfg(unix)]
fn dead_process() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let scratch = Scratch::new("failure");
    let path = scratch.path("file");
    write_output(&path, |w| w.write_all(b"old")).unwrap();
    let error = write_output(&path, |w| {
        w.write_all(b"half")?;
        Err(io::Error::other("disk on fire"))
    });
    assert!(error.unwrap_err().to_string().contains("disk on fire"));
    assert_eq!((fs::read(&path).unwrap().as_slice(), scratch.names().len()), (&b"old"[..], 1));
}

#[test]
fn an_unwritable_place_is_an_error_that_names_it() {
    let path = std::env::temp_dir().join("tercet-no-such-directory").join("file");
    let message = write_output(&path, |_| Ok(())).unwrap_err().to_string();
    assert!(message.starts_with("cannot write") && message.contains("tercet-no-such-directory"));
    assert!(write_output(Path::new(".."), |_| Ok(())).is_err());
}

#[cfg(unix)]
#[test]
fn an_output_goes_where_its_name_leads() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    write_output(Path::new("/dev/null"), |w| w.write_all(b"gone")).unwrap();
    assert!(!Path::new("/dev/null").is_file());

    let scratch = Scratch::new("links");
    fs::create_dir(scratch.path("folder")).unwrap();
    let (file, link) = (scratch.path("folder/file"), scratch.path("link"));
    symlink("folder/file", scratch.path("middle")).unwrap();
    symlink("middle", &link).unwrap();
    write_output(&link, |w| w.write_all(b"first")).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"first");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    write_output(&link, |w| w.write_all(b"second")).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"second");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(link.is_symlink());

    symlink("loop", scratch.path("loop")).unwrap();
    assert!(write_output(&scratch.path("loop"), |_| Ok(())).is_err());
}

#[cfg(unix)]
#[test]
fn remains_of_dead_processes_are_deleted_and_those_of_living_ones_stay() {
    let scratch = Scratch::new("remains");
    let (dead, living) = (dead_process(), std::os::unix::process::parent_id());
    // Containers often give a new process the id of the one that died.
    let own = std::process::id();
    fs::write(scratch.path(&format!(".m.{dead}-1.tmp")), "").unwrap();
    fs::write(scratch.path(&format!(".m.{own}-99.tmp")), "").unwrap();
    fs::create_dir_all(scratch.path(&format!(".m.{dead}-2.tmp/nested"))).unwrap();
    let others = [format!(".m.{living}-1.tmp"), format!(".n.{dead}-1.tmp"), ".m.tmp".to_owned()];
    others.iter().for_each(|name| fs::write(scratch.path(name), "").unwrap());
    let busy = Staged::file(&scratch.path("m")).unwrap();

    write_output(&scratch.path("m"), |w| w.write_all(b"new")).unwrap();
    let busy_name = busy.path().file_name().unwrap().to_str().unwrap().to_owned();
    let mut expected = [&others[..], &["m".to_owned(), busy_name]].concat();
    expected.sort();
    assert_eq!(scratch.names(), expected);
}

#[test]
fn a_directory_is_replaced_as_a_whole() {
    let scratch = Scratch::new("directory");
    let target = scratch.path("m");
    fs::create_dir_all(target.join("notes/deep")).unwrap();
    for (name, text) in [("model", "old"), ("index", "old"), ("notes/deep/file", "mine"), ("mine", "mine")] {
        fs::write(target.join(name), text).unwrap();
    }
    let staged = StagedDirectory::beside(&target).unwrap();
    fs::write(staged.path().join("model"), "half").unwrap();
    drop(staged);
    assert_eq!((fs::read(target.join("model")).unwrap().as_slice(), scratch.names().len()), (&b"old"[..], 1));

    let staged = StagedDirectory::beside(&target).unwrap();
    fs::write(staged.path().join("model"), "new").unwrap();
    staged.publish(&["model", "index"]).unwrap();
    assert_eq!(scratch.names(), ["m"]);
    assert_eq!(names(&target), ["mine", "model", "notes"]);
    assert_eq!(fs::read(target.join("model")).unwrap(), b"new");
    assert_eq!(fs::read(target.join("notes/deep/file")).unwrap(), b"mine");

    let error = StagedDirectory::beside(&target.join("mine")).unwrap().publish(&[]);
    assert!(error.unwrap_err().to_string().contains("mine"));
    assert_eq!(fs::read(target.join("mine")).unwrap(), b"mine");
}

/// File systems without an exchange need two renames. A process may die between them.
#[cfg(unix)]
#[test]
fn a_directory_moved_aside_comes_back() {
    let scratch = Scratch::new("aside");
    let [new, target] = ["new", "m"].map(|name| scratch.path(name));
    for dir in [&new, &target] {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join(dir.file_name().unwrap()), "").unwrap();
    }
    directory::exchange_by_renames(&new, &target).unwrap();
    assert_eq!((names(&new), names(&target)), (vec!["m".to_owned()], vec!["new".to_owned()]));

    fs::rename(&target, scratch.path(&format!(".m.{}-1.old", dead_process()))).unwrap();
    recover(&target);
    assert_eq!((names(&target), scratch.names().len()), (vec!["new".to_owned()], 2));
    // Here the new directory took its place.
    fs::rename(&new, scratch.path(&format!(".m.{}-1.old", dead_process()))).unwrap();
    recover(&target);
    assert_eq!((names(&target), scratch.names()), (vec!["new".to_owned()], vec!["m".to_owned()]));
}
