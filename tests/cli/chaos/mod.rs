//! Chaos: damaged files, kills at random moments, full and read-only disks. The program answers with a
//! status and at most one error, in bounded time and memory, and the next run works.
//!
//! The changes are the same in every run. With `CHAOS_SECONDS=N`, each test goes on for N seconds. A
//! test that fails names its round and keeps its files.

mod disks;
mod kills;
mod mutants;

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Scratch, command};
use crate::mutations::Random;

/// Seconds of computing, of all threads, after which the system ends the program.
const MOST_SECONDS: u64 = 5;
/// The same for waiting. It is larger, because other tests compete for the CPU.
const MOST_WAIT: Duration = Duration::from_secs(30);
/// The program's address space, beyond four times its model, in kilobytes.
const MOST_KILOBYTES: u64 = 1 << 20;

/// Plays `times` rounds, or as many as fit in `CHAOS_SECONDS`. A round gets its own random numbers and
/// an empty directory.
fn play(times: u64, round: impl Fn(&mut Random, &Scratch) -> Result<(), String>) {
    let seconds = std::env::var("CHAOS_SECONDS").ok().map(|seconds| seconds.parse::<u64>().unwrap());
    let start = Instant::now();
    let mut number = 0;
    while seconds.map_or(number < times, |seconds| start.elapsed().as_secs() < seconds) {
        let scratch = Scratch::new();
        if let Err(fault) = round(&mut Random::new(number), &scratch) {
            let kept = std::env::temp_dir().join(format!("tercet-chaos-{}-{number}", std::process::id()));
            fs::rename(scratch.path(), &kept).unwrap();
            panic!("round {number}: {fault}\nfiles: {}", kept.display());
        }
        number += 1;
    }
    println!("{number} rounds in {:.0} s", start.elapsed().as_secs_f64());
}

/// Returns a command that runs the program with bounds: on computing, on address space beyond four
/// times `model_bytes`, and on the size of files that it writes.
fn bounded(arguments: &[&str], model_bytes: u64, file_bytes: Option<u64>) -> Command {
    let kilobytes = MOST_KILOBYTES + 4 * model_bytes / 1024;
    let files = file_bytes.map_or_else(|| "unlimited".to_owned(), |bytes| (bytes / 512).to_string());
    // A write beyond the limit is an error, as on a full disk, only if the signal is ignored.
    let script = format!(
        "trap '' XFSZ; ulimit -t {MOST_SECONDS}; ulimit -v {kilobytes}; ulimit -f {files}; exec \"$0\" \"$@\""
    );
    let program = command(arguments);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(program.get_program()).args(program.get_args());
    shell.current_dir(std::env::temp_dir()).stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// The end of one run.
#[derive(Debug)]
struct End {
    /// `None` if the run was killed.
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs `command` with `input`, and kills it after `kill_after`. The end is judged: a status of 0, 1
/// or 2, no signal, no panic and at most one error.
fn run(command: &mut Command, input: &[u8], kill_after: Option<Duration>) -> Result<End, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may end before it reads.
    let _ = child.stdin.take().unwrap().write_all(input);
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let limit = kill_after.unwrap_or(MOST_WAIT);
    let ended = wait(&mut child, limit);
    let _ = child.kill();
    let status = child.wait().unwrap();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| "its output is not UTF-8".to_owned());
    let end = End { status: status.code(), stdout: text(stdout)?, stderr: text(stderr)? };
    let errors = end.stderr.lines().filter(|line| line.starts_with("error:")).count();
    let fault = match end.status {
        _ if end.stderr.contains("panicked") => "it panicked",
        _ if errors > 1 => "it printed several errors",
        None if ended => "it ended by a signal",
        None if kill_after.is_none() => "it hung",
        Some(status) if status > 2 => "its status is unknown",
        Some(1 | 2) if errors == 0 => "it failed without an error",
        _ => return Ok(end),
    };
    Err(format!("{command:?}: {fault}: {status}\n{}", end.stderr))
}

/// Waits for the end of `child`, for at most `limit`. Returns true if it ended.
fn wait(child: &mut Child, limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // A reading that ends early shows in what is missing.
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// Requires that `command` works.
fn works(command: &mut Command) -> Result<End, String> {
    let end = run(command, b"", None)?;
    match end.status {
        Some(0) => Ok(end),
        _ => Err(format!("{command:?} does not work: {}", end.stderr)),
    }
}
