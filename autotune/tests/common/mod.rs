//! Shared parts of the tests.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tercet_autotune::{Key, Origin, Planner, Problem, Record, Records, Sharing};
use tercet_codegen::{Isa, Packing};

pub const CPU: &str = "GenuineIntel-6-143-8_avx512-vnni+portable_L1d48K";

pub fn problem(n: usize) -> Problem {
    Problem { n, k: 2560, m: 1, threads: 2 }
}

pub fn planner() -> Planner {
    Planner::new(Isa::Avx512Vnni, Packing::Bits2).with_records(CPU, Default::default())
}

/// A record of another kernel than the default.
pub fn record(problem: &Problem, date: u64) -> (Key, Record) {
    let candidates = planner().candidates(problem);
    let time = Duration::from_nanos(1234);
    let runner_up = Some(candidates[0]);
    let (spec, sharing) = (candidates[7], Sharing { threads: 1, task_kib: 64 });
    (planner().key(problem), Record { spec, sharing, time, runner_up, date, origin: Origin::Stored })
}

pub fn records(sizes: impl IntoIterator<Item = usize>) -> Records {
    let mut records = Records::default();
    for n in sizes {
        let (key, record) = record(&problem(n), n as u64);
        records.insert(key, record);
    }
    records
}

/// A directory of its own that goes with its value.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tercet-store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Of all files in it, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
