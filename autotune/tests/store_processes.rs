//! The store among other processes, and on file systems that are full or read-only.
//!
//! The ignored tests are parts of the others. They run in processes of their own.

mod common;

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Scratch, records};
use tercet_autotune::Store;

/// The variable that tells a process its store and its number among the writers.
const DIR: &str = "TERCET_TEST_STORE";
const WRITER: &str = "TERCET_TEST_WRITER";
/// Longer than any step takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns this program as a process that runs one of the ignored tests.
fn process(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test]).env(DIR, dir).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn given(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is set by the test that starts this one"))
}

/// Returns the records that a process adds.
fn sizes(writer: usize) -> [usize; 2] {
    [1 + 2 * writer, 2 + 2 * writer]
}

#[test]
fn two_hundred_processes_at_once_lose_nothing() {
    const WRITERS: usize = 200;
    let scratch = Scratch::new();
    let dir = scratch.path().join("store");
    let start = |writer: usize| process("one_writer", &dir).env(WRITER, writer.to_string()).spawn().unwrap();
    let writers: Vec<Child> = (0..WRITERS).map(start).collect();
    fs::create_dir(&dir).unwrap();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    assert!(matches!(Store::in_dir(&dir).read(), (read, None) if read == records(1..=2 * WRITERS)));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "more than the file and its lock is left");
}

#[test]
#[ignore = "started by two_hundred_processes_at_once_lose_nothing"]
fn one_writer() {
    let (dir, writer) = (given(DIR), given(WRITER).parse().unwrap());
    // The directory is the signal to start.
    let start = Instant::now();
    while !Path::new(&dir).is_dir() {
        assert!(start.elapsed() < PATIENCE);
        sleep(Duration::from_millis(1));
    }
    let store = Store::in_dir(dir.as_ref());
    store.add(records(sizes(writer))).unwrap();
    assert!(matches!(store.read(), (seen, None) if seen.len() >= 2));
}

#[test]
fn a_killed_writer_leaves_the_file_whole_and_the_lock_free() {
    let scratch = Scratch::new();
    let store = Store::in_dir(scratch.path());
    for _ in 0..10 {
        store.forget().unwrap();
        let mut writer = process("an_endless_writer", scratch.path()).spawn().unwrap();
        let start = Instant::now();
        while store.read().0.len() < 20 {
            assert!(start.elapsed() < PATIENCE && writer.try_wait().unwrap().is_none());
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        assert!(matches!(store.read(), (read, None) if read.len() >= 20));
        store.add(records([5000])).unwrap();
        assert_eq!(scratch.names(), ["tuning.json", "tuning.lock"]);
    }
}

#[test]
#[ignore = "started by a_killed_writer_leaves_the_file_whole_and_the_lock_free"]
fn an_endless_writer() {
    let store = Store::in_dir(given(DIR).as_ref());
    for writer in 0.. {
        store.add(records(sizes(writer % 500))).unwrap();
    }
}

#[cfg(target_os = "linux")]
mod mounted {
    use std::io::ErrorKind;

    use tercet_autotune::StoreError;

    use super::*;

    /// Runs an ignored test in a mount namespace where its directory is a file system of 64 kB.
    fn run(test: &str) {
        let scratch = Scratch::new();
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o size=64k tercet \"$0\" || exit 77; exec \"$@\"";
        command.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(scratch.path());
        let inner = process(test, scratch.path());
        command.arg(inner.get_program()).args(inner.get_args()).env(DIR, scratch.path());
        match command.output() {
            Ok(output) if output.status.success() => {
                let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
                assert!(ran, "{test} was not run");
            }
            Ok(output) if output.status.code() == Some(101) => {
                panic!("{}", String::from_utf8_lossy(&output.stdout))
            }
            refused => {
                assert!(env::var_os("CI").is_none_or(|ci| ci != "true") || !may_mount(), "{refused:?}");
                eprintln!("skipped {test}: this system lets us mount nothing");
            }
        }
    }

    /// Returns true if this process has CAP_SYS_ADMIN, bit 21 of its effective capabilities (proc_pid_status(5)).
    fn may_mount() -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        effective
            .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
            .is_some_and(|capabilities| capabilities & (1 << 21) != 0)
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_file_stays() {
        run("mounted::on_a_full_disk");
    }

    #[test]
    #[ignore = "started by a_full_disk_is_an_error_and_the_file_stays"]
    fn on_a_full_disk() {
        let dir = given(DIR);
        let store = Store::in_dir(dir.as_ref());
        store.add(records([16])).unwrap();
        let filler = Path::new(&dir).join("filler");
        let full = fs::write(&filler, vec![0; 1 << 20]).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        let refused = store.add(records(1..=100)).unwrap_err();
        assert!(
            matches!(&refused, StoreError::Io { source, .. } if source.kind() == ErrorKind::StorageFull),
            "{refused}"
        );
        assert!(matches!(store.read(), (read, None) if read == records([16])));
        assert!(!Path::new(&dir).join("tuning.tmp").exists());
        fs::remove_file(filler).unwrap();
        store.add(records([32])).unwrap();
        assert!(matches!(store.read(), (read, None) if read == records([16, 32])));
    }

    #[test]
    fn a_read_only_disk_is_an_error_and_can_be_read() {
        run("mounted::on_a_read_only_disk");
    }

    #[test]
    #[ignore = "started by a_read_only_disk_is_an_error_and_can_be_read"]
    fn on_a_read_only_disk() {
        let dir = given(DIR);
        let store = Store::in_dir(dir.as_ref());
        store.add(records([16])).unwrap();
        assert!(Command::new("mount").args(["-o", "remount,ro", &dir]).status().unwrap().success());
        let is_read_only = |error: StoreError, what| {
            matches!(&error, StoreError::Io { action, source, .. }
            if *action == what && source.kind() == ErrorKind::ReadOnlyFilesystem)
        };
        assert!(is_read_only(store.add(records([32])).unwrap_err(), "write"));
        assert!(is_read_only(store.forget().unwrap_err(), "delete"));
        let nothing_yet = Store::in_dir(&Path::new(&dir).join("below"));
        assert!(is_read_only(nothing_yet.add(records([32])).unwrap_err(), "write"));
        assert!(matches!(store.read(), (read, None) if read == records([16])));
    }
}
