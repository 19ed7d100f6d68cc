use std::fs;

use tercet_codegen::Profiler;

use crate::profile::{PerfProfiler, ProfilerOptions};

const CODE: [&[u8]; 2] = [&[0xC3], &[0x90, 0x90, 0xC3]];
const NAMES: [&str; 2] = ["avx2/2bit/x1/m1n16u1/shift/p0/i32", "second"];

fn publish_both(profiler: &PerfProfiler) {
    for (name, code) in NAMES.iter().zip(CODE) {
        profiler.published(name, code);
    }
}

/// Reads a jitdump by its specification.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.take(8).try_into().unwrap())
    }
}

#[test]
fn jitdump_reads_back_by_its_specification() {
    let directory = tempfile::tempdir().unwrap();
    let options = ProfilerOptions { jitdump: Some(directory.path().to_owned()), ..Default::default() };
    let profiler = PerfProfiler::new(options).unwrap();
    publish_both(&profiler);
    assert!(profiler.take_error().is_none());

    let path = directory.path().join(format!("jit-{}.dump", std::process::id()));
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mapped =
        maps.lines().find(|line| line.ends_with(path.to_str().unwrap())).expect("perf sees the mapping");
    assert!(mapped.split_whitespace().nth(1).unwrap().starts_with("r-x"), "{mapped}");

    let dump = fs::read(&path).unwrap();
    let mut reader = Reader(&dump);
    assert_eq!(&reader.u32().to_be_bytes(), b"JiTD");
    assert_eq!((reader.u32(), reader.u32()), (1, 40));
    assert_eq!(reader.u32(), if cfg!(target_arch = "x86_64") { 62 } else { 183 });
    reader.take(4);
    assert_eq!(reader.u32(), std::process::id());
    let mut before = reader.u64();
    assert!(before > 0);
    assert_eq!(reader.u64(), 0, "flags");

    for (index, (name, code)) in NAMES.iter().zip(CODE).enumerate() {
        assert_eq!(reader.u32(), 0, "JIT_CODE_LOAD");
        let mut record = Reader(reader.0);
        let total = record.u32() as usize;
        let mut record = Reader(&reader.take(total - 4)[4..]);
        let now = record.u64();
        assert!(now >= before);
        before = now;
        assert_eq!(record.u32(), std::process::id());
        assert_ne!(record.u32(), 0, "thread");
        assert_eq!((record.u64(), record.u64()), (code.as_ptr() as u64, code.as_ptr() as u64));
        assert_eq!((record.u64(), record.u64()), (code.len() as u64, index as u64));
        assert_eq!(record.take(name.len() + 1), [name.as_bytes(), &[0]].concat());
        assert_eq!(record.0, code);
    }
    assert!(reader.0.is_empty());
}

#[test]
fn perf_map_lines_give_address_size_and_name() {
    let profiler = PerfProfiler::new(ProfilerOptions { perf_map: true, jitdump: None }).unwrap();
    publish_both(&profiler);
    let path = format!("/tmp/perf-{}.map", std::process::id());
    let map = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let lines: Vec<&str> = map.lines().collect();
    assert_eq!(lines.len(), 2);
    for ((line, name), code) in lines.iter().zip(NAMES).zip(CODE) {
        let fields: Vec<&str> = line.splitn(3, ' ').collect();
        assert_eq!(u64::from_str_radix(fields[0], 16).unwrap(), code.as_ptr() as u64);
        assert_eq!(usize::from_str_radix(fields[1], 16).unwrap(), code.len());
        assert_eq!(fields[2], name);
    }
}

#[test]
fn a_failure_to_open_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let error =
        PerfProfiler::new(ProfilerOptions { perf_map: false, jitdump: Some(missing.clone()) }).unwrap_err();
    assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
}

#[test]
fn the_first_failure_to_write_is_kept_once() {
    let file = fs::File::options().write(true).open("/dev/full").unwrap();
    let full = super::PerfMap(super::Output { file, path: "/dev/full".into() });
    let sinks =
        super::Sinks(std::sync::Mutex::new(super::State { perf_map: Some(full), ..Default::default() }));
    let profiler = PerfProfiler(Some(sinks));
    publish_both(&profiler);
    assert!(profiler.take_error().unwrap().to_string().starts_with("/dev/full: "));
    publish_both(&profiler);
    assert!(profiler.take_error().is_none());
}
