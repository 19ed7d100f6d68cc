//! Tuning records: the winning kernel of each problem. They hold parameters, never code.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tercet_codegen::packing::MAX_K;
use tercet_codegen::{Epilogue, Isa, KernelSpec, Layout};

use crate::planner::{Origin, Problem};
use crate::sharing::Sharing;

/// The revision of the code generator. Raise it if emitted code or the sharing of work changes so much that old
/// measurements mislead.
pub const CODEGEN_REVISION: u32 = 5;

/// The version of the file.
const FORMAT: u32 = 2;
/// The most records in a file.
pub(crate) const MOST_RECORDS: usize = 4096;
/// The largest file in bytes.
pub(crate) const MOST_BYTES: usize = 8 << 20;

/// Returns the name of the code generator in records.
pub fn codegen_fingerprint() -> String {
    format!("{}+{CODEGEN_REVISION}", env!("CARGO_PKG_VERSION"))
}

/// The circumstances of a measurement. Each has one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    codegen: String,
    cpu: String,
    isa: Isa,
    layout: Layout,
    n: usize,
    k: usize,
    m: usize,
    threads: usize,
}

impl Key {
    /// Returns this version's key for `problem` on the CPU with this fingerprint, for kernels of `isa` that read `layout`.
    pub fn new(cpu: &str, problem: &Problem, isa: Isa, layout: Layout) -> Self {
        let &Problem { n, k, threads, .. } = problem;
        let m = problem.m_bucket();
        Key { codegen: codegen_fingerprint(), cpu: cpu.to_owned(), isa, layout, n, k, m, threads }
    }
}

/// A measured result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// The fastest kernel.
    pub spec: KernelSpec,
    /// The best way to share it among threads.
    pub sharing: Sharing,
    /// Its best time for one product.
    pub time: Duration,
    /// The fastest of the others.
    pub runner_up: Option<KernelSpec>,
    /// Seconds since 1970.
    pub date: u64,
    /// [`Origin::Measured`], or [`Origin::Stored`] once it was written and read.
    pub origin: Origin,
}

/// An error of reading records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The JSON is malformed or holds no records.
    #[error("not a file of tuning records: {0}")]
    Malformed(String),
    /// A file of another version.
    #[error("format {0} of tuning records is not known, expected {FORMAT}")]
    Format(u32),
    /// The file is larger than the most records.
    #[error("larger than {MOST_BYTES} bytes")]
    TooLarge,
    /// Some records cannot be used. The others can.
    #[error("{unusable} of {total} tuning records cannot be used, the first: {problem}")]
    Unusable {
        /// Number of records that cannot be used.
        unusable: usize,
        /// Number of all records.
        total: usize,
        /// The error of the first.
        problem: String,
    },
}

/// Records of one or more machines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records(BTreeMap<Key, Record>);

impl Records {
    /// Returns the record of `key`.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.0.get(key)
    }

    /// Adds `record`. It replaces an earlier one of the same key.
    pub fn insert(&mut self, key: Key, record: Record) {
        self.0.insert(key, record);
    }

    /// Adds the records of `newer`. They replace those of the same key. Too many records drive out the oldest.
    pub fn merge(&mut self, newer: Records) {
        self.0.extend(newer.0);
        if let Some(surplus) = self.0.len().checked_sub(MOST_RECORDS).filter(|&surplus| surplus > 0) {
            let mut dates: Vec<(u64, Key)> =
                self.0.iter().map(|(key, record)| (record.date, key.clone())).collect();
            dates.sort_unstable();
            dates[..surplus].iter().for_each(|(_, key)| {
                self.0.remove(key);
            });
        }
    }

    /// Returns the number of `others` that these records hold.
    pub fn shared_with(&self, others: &Records) -> usize {
        let same = |(key, other): &(&Key, &Record)| {
            self.get(key).is_some_and(|record| Record { origin: other.origin, ..*record } == **other)
        };
        others.0.iter().filter(same).count()
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if there are no records.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads records, all or none.
    ///
    /// # Errors
    /// Fails if any of them cannot be used.
    pub fn parse(json: &[u8]) -> Result<Self, RecordsError> {
        match Records::salvage(json) {
            (records, None) => Ok(records),
            (_, Some(error)) => Err(error),
        }
    }

    /// Reads the usable records, and returns an error for the others.
    pub fn salvage(json: &[u8]) -> (Self, Option<RecordsError>) {
        if json.len() > MOST_BYTES {
            return (Records::default(), Some(RecordsError::TooLarge));
        }
        let file = match serde_json::from_slice::<File<Value>>(json) {
            Ok(File { format: FORMAT, records }) => records,
            Ok(File { format, .. }) => return (Records::default(), Some(RecordsError::Format(format))),
            Err(e) => return (Records::default(), Some(RecordsError::Malformed(e.to_string()))),
        };
        let total = file.len();
        let (mut records, mut problems) = (Records::default(), Vec::new());
        for entry in file {
            match serde_json::from_value(entry).map_err(|e| e.to_string()).and_then(Entry::check) {
                Ok((key, record)) => records.insert(key, record),
                Err(problem) => problems.push(problem),
            }
        }
        let unusable = problems.len();
        let first = problems.into_iter().next();
        (records, first.map(|problem| RecordsError::Unusable { unusable, total, problem }))
    }

    /// Returns the JSON that [`Records::parse`] reads.
    pub fn to_json(&self) -> String {
        let records = self.0.iter().map(Entry::new).collect();
        let json = serde_json::to_string_pretty(&File { format: FORMAT, records });
        json.expect("strings and numbers can be written") + "\n"
    }
}

#[derive(Serialize, Deserialize)]
struct File<T> {
    format: u32,
    records: Vec<T>,
}

/// A record on disk. ISA and layout of the key are those of the spec.
#[derive(Serialize, Deserialize)]
struct Entry {
    codegen: String,
    cpu: String,
    n: usize,
    k: usize,
    m: usize,
    threads: usize,
    spec: String,
    used_threads: usize,
    task_kib: usize,
    time_ns: u64,
    runner_up: Option<String>,
    date: u64,
}

impl Entry {
    fn new((key, record): (&Key, &Record)) -> Self {
        Entry {
            codegen: key.codegen.clone(),
            cpu: key.cpu.clone(),
            n: key.n,
            k: key.k,
            m: key.m,
            threads: key.threads,
            spec: record.spec.to_string(),
            used_threads: record.sharing.threads,
            task_kib: record.sharing.task_kib,
            time_ns: u64::try_from(record.time.as_nanos()).unwrap_or(u64::MAX),
            runner_up: record.runner_up.map(|spec| spec.to_string()),
            date: record.date,
        }
    }

    fn check(self) -> Result<(Key, Record), String> {
        // With this limit the most records fit the largest file, even if JSON escapes every letter.
        const MOST_TEXT: usize = 256;
        const MOST_ROWS: usize = 1 << 24;
        const MOST_THREADS: usize = 1024;
        let Entry { codegen, cpu, n, k, m, threads, .. } = self;
        let spec = |text: &str| -> Result<KernelSpec, String> {
            let spec: KernelSpec = text.parse().map_err(|e: tercet_codegen::SpecError| e.to_string())?;
            if spec.epilogue == Epilogue::F32 { Ok(spec) } else { Err(format!("{spec} stores no floats")) }
        };
        let (winner, runner_up) = (spec(&self.spec)?, self.runner_up.as_deref().map(spec).transpose()?);
        if runner_up.is_some_and(|spec| (spec.isa, spec.layout) != (winner.isa, winner.layout)) {
            return Err("the runner-up is for another ISA or layout".to_owned());
        }
        if [&codegen, &cpu].iter().any(|text| text.len() > MOST_TEXT || text.contains(char::is_control)) {
            return Err("a fingerprint is no plain text".to_owned());
        }
        let problem = Problem { n, k, m, threads };
        let sizes = [(n, MOST_ROWS), (k, MAX_K), (threads, MOST_THREADS)];
        if sizes.iter().any(|&(size, most)| !(1..=most).contains(&size)) || problem.m_bucket() != m {
            return Err(format!("{n} x {k}, {m} tokens, {threads} threads is out of range"));
        }
        let sharing = Sharing { threads: self.used_threads, task_kib: self.task_kib };
        if !sharing.is_for(threads) {
            return Err(format!("{sharing} is out of range for {threads} threads"));
        }
        let key = Key { codegen, cpu, isa: winner.isa, layout: winner.layout, n, k, m, threads };
        let time = Duration::from_nanos(self.time_ns);
        Ok((key, Record { spec: winner, sharing, time, runner_up, date: self.date, origin: Origin::Stored }))
    }
}
