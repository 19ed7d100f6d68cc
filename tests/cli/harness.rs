//! Runs the program, and checks its output.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

pub(crate) const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/bitnet-tiny");
pub(crate) const FAIRY_TALES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/fairy-tales");
pub(crate) const GGUF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gguf/bitnet-i2_s.gguf");

/// The results of one run of the program.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Returns a command that runs the program without the settings of the caller, in the temporary
/// directory.
pub(crate) fn command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tercet"));
    command.args(arguments).current_dir(std::env::temp_dir()).stdin(Stdio::null());
    for knob in tercet::knobs::all() {
        command.env_remove(knob.name);
    }
    // A cache that does not exist: the tests neither read nor change the tuning records of the user.
    command.env("TERCET_CACHE_DIR", std::env::temp_dir().join("tercet-tests-without-cache"));
    command.env("TERCET_NO_TUNE", "1");
    // A place without a configuration file.
    command.env("XDG_CONFIG_HOME", std::env::temp_dir().join("tercet-tests-without-configuration"));
    command
}

pub(crate) fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    let ran = Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    ran
}

pub(crate) fn tercet<S: AsRef<OsStr>>(arguments: &[S]) -> Ran {
    finish(&mut command(arguments))
}

/// Runs the program, requires success, and returns the standard output.
pub(crate) fn output<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let ran = tercet(arguments);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran.stdout
}

/// Runs the program with `input` on its standard input.
pub(crate) fn with_input(arguments: &[&str], input: &[u8]) -> Ran {
    let streams = |command: &mut Command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut child = streams(&mut command(arguments));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs the program with `--json`, requires success, and returns the JSON object on standard output.
pub(crate) fn json(arguments: &[&str]) -> Value {
    parse(&output(&[arguments, &["--json"]].concat()))
}

pub(crate) fn parse(stdout: &str) -> Value {
    let value: Value = serde_json::from_str(stdout).unwrap_or_else(|e| panic!("{e}: {stdout}"));
    assert!(value.is_object());
    value
}

/// Requires that `object` has exactly the fields `expected`.
pub(crate) fn assert_fields(object: &Value, expected: &[&str]) {
    let mut found: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// Returns the instruction sets of this CPU, the best first.
pub(crate) fn usable_isas() -> Vec<&'static str> {
    tercet::codegen::Isa::available(tercet::cpu::Cpu::host()).iter().map(|isa| isa.name()).collect()
}

/// A temporary directory. Dropping the value deletes it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tercet-cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn files(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
