//! The store with damaged files, other versions and special files. `store_processes.rs` adds other processes.

mod common;

use std::fs;
use std::sync::Arc;
use std::thread;

use common::{CPU, Scratch, planner, problem, record, records};
use tercet_autotune::{Origin, Records, RecordsError, Store, StoreError, read_all};

#[test]
fn what_was_added_is_read_by_a_later_process() {
    let scratch = Scratch::new();
    let store = Store::in_dir(&scratch.path().join("made/when/needed"));
    assert!(matches!(store.read(), (records, None) if records.is_empty()));
    store.add(records([16, 32])).unwrap();
    store.add(records([32, 48])).unwrap();
    let (read, warning) = store.read();
    assert!(warning.is_none());
    assert_eq!(read, records([16, 32, 48]));
    store.forget().unwrap();
    store.forget().unwrap();
    assert!(matches!(store.read(), (records, None) if records.is_empty()));
}

#[test]
fn threads_of_one_process_lose_nothing() {
    const WRITERS: usize = 16;
    let scratch = Scratch::new();
    let store = Store::in_dir(scratch.path());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                store.add(records([1 + 2 * writer, 2 + 2 * writer])).unwrap();
                let (seen, warning) = store.read();
                assert!(warning.is_none() && seen.len() >= 2);
            });
        }
    });
    assert_eq!(store.read().0, records(1..=2 * WRITERS));
    assert_eq!(scratch.names(), ["tuning.json", "tuning.lock"]);
}

#[test]
fn a_file_damaged_at_any_byte_gives_legal_plans_or_a_warning() {
    let whole = records([16, 32]).to_json().into_bytes();
    let scratch = Scratch::new();
    let store = Store::in_dir(scratch.path());
    let mut warnings = 0;
    for at in 0..whole.len() {
        let bits = (0..8).map(|bit| whole[at] ^ (1 << bit));
        for damaged in bits.chain([0x00, 0xFF, b' ', b'"', b'9']).filter(|byte| *byte != whole[at]) {
            let mut json = whole.clone();
            json[at] = damaged;
            fs::write(store.path(), &json).unwrap();
            let (read, warning) = store.read();
            warnings += usize::from(warning.is_some());
            assert!(
                read.len() == 2 || warning.is_some(),
                "byte {at}, {damaged:#x}: a record vanished unsaid"
            );
            assert_eq!(read_all(store.path()).is_err(), warning.is_some());
            let planner = planner().with_records(CPU, Arc::new(read));
            for n in [16, 32] {
                let plan = planner.plan(&problem(n));
                assert_eq!(plan.spec.layout, planner.layout());
                assert!(plan.spec.validate().is_ok());
            }
        }
    }
    assert!(warnings > whole.len(), "damage goes unnoticed");
}

#[test]
fn a_file_cut_anywhere_is_no_records_and_one_warning() {
    let whole = records([16, 32]).to_json();
    let scratch = Scratch::new();
    let store = Store::in_dir(scratch.path());
    // The last byte is a line feed.
    for length in 0..whole.len() - 1 {
        fs::write(store.path(), &whole.as_bytes()[..length]).unwrap();
        let (read, warning) = store.read();
        let is_malformed =
            matches!(warning, Some(StoreError::Records { problem: RecordsError::Malformed(_), .. }));
        assert!(read.is_empty() && is_malformed, "{length} bytes");
    }
}

#[test]
fn a_damaged_file_is_replaced_by_the_next_writer() {
    let scratch = Scratch::new();
    let store = Store::in_dir(scratch.path());
    fs::write(store.path(), b"{ not json").unwrap();
    let (read, warning) = store.read();
    let message = warning.unwrap().to_string();
    assert!(read.is_empty() && message.contains("tuning.json") && !message.contains('\n'), "{message}");
    store.add(records([16])).unwrap();
    assert!(matches!(store.read(), (read, None) if read == records([16])));
}

#[test]
fn many_may_forget_at_once() {
    let scratch = Scratch::new();
    let store = Store::in_dir(scratch.path());
    for _ in 0..20 {
        store.add(records([16])).unwrap();
        thread::scope(|scope| {
            (0..8).for_each(|_| {
                scope.spawn(|| store.forget().unwrap());
            });
        });
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_not_replaced() {
    let scratch = Scratch::new();
    let store = Store::in_dir(scratch.path());
    // A link to itself stands for any file that the system does not let us read at the moment.
    std::os::unix::fs::symlink(store.path(), store.path()).unwrap();
    assert!(matches!(store.read(), (read, Some(StoreError::Io { .. })) if read.is_empty()));
    assert!(matches!(store.add(records([16])), Err(StoreError::Io { action: "write", .. })));
    assert!(fs::read_link(store.path()).is_ok());
}

#[test]
fn other_formats_and_absurd_sizes_are_refused() {
    let later = records([16]).to_json().replacen("\"format\": 2", "\"format\": 3", 1);
    assert!(matches!(Records::salvage(later.as_bytes()), (_, Some(RecordsError::Format(3)))));
    assert!(matches!(Records::salvage(&vec![b' '; 9 << 20]), (_, Some(RecordsError::TooLarge))));
    let deep = "[".repeat(100_000);
    assert!(matches!(Records::salvage(deep.as_bytes()), (_, Some(RecordsError::Malformed(_)))));
}

#[test]
fn unusable_records_are_left_out_with_one_warning() {
    let json = records([16, 32]).to_json();
    let spec = record(&problem(16), 0).1.spec.to_string();
    assert!(json.contains(&spec));
    for (from, to) in [
        (spec.as_str(), "avx1024/2bit/x4/m1n64u2/planes/p8192/f32"),
        (spec.as_str(), "avx512-vnni/2bit/x4/m15n64u2/planes/p8192/f32"),
        (spec.as_str(), "avx512-vnni/2bit/x4/m1n64u2/planes/p8192/i32"),
        (spec.as_str(), "avx2/2bit/x4/m1n16u1/shift/p0/f32"),
        ("\"n\": 16", "\"n\": 0"),
        ("\"n\": 16", "\"n\": -1"),
        ("\"n\": 16", "\"n\": 99999999999"),
        ("\"k\": 2560", "\"k\": 40000"),
        ("\"m\": 1", "\"m\": 3"),
        ("\"threads\": 2", "\"threads\": 0"),
        ("\"used_threads\": 1", "\"used_threads\": 3"),
        ("\"task_kib\": 64", "\"task_kib\": 0"),
        ("\"time_ns\": 1234", "\"time_ns\": \"soon\""),
        ("L1d48K", r"L1d\u001b[2J"),
        ("\"cpu\"", "\"gpu\""),
    ] {
        let json = json.replacen(from, to, 1);
        let (read, warning) = Records::salvage(json.as_bytes());
        assert_eq!(read, records([32]), "{to}");
        let Some(RecordsError::Unusable { unusable: 1, total: 2, .. }) = warning else {
            panic!("{to}: {warning:?}")
        };
    }
}

#[test]
fn records_of_others_are_kept_but_not_used() {
    let json = records([16]).to_json();
    for (from, to) in [("GenuineIntel", "AuthenticAMD"), ("\"codegen\": \"", "\"codegen\": \"older-")] {
        let (foreign, warning) = Records::salvage(json.replacen(from, to, 1).as_bytes());
        assert!(warning.is_none() && foreign.len() == 1);
        let plan = planner().with_records(CPU, Arc::new(foreign.clone())).plan(&problem(16));
        assert_eq!(plan.origin, Origin::Default, "{to}");
        let mut both = foreign;
        both.merge(records([16]));
        assert_eq!(both.len(), 2);
    }
}

#[test]
fn as_many_records_as_are_kept_can_be_read_again() {
    // The longest accepted fingerprints, with letters that take two bytes in JSON.
    let fingerprint = r"\".repeat(1000);
    let short = records([16]).to_json();
    let json = |text: &str| {
        let json = short.replacen("GenuineIntel", text, 1);
        json.replacen("\"codegen\": \"", &format!("\"codegen\": \"{text}"), 1)
    };
    let accepted = |length: &usize| Records::parse(json(&fingerprint[..*length]).as_bytes()).is_ok();
    let longest = (2..=fingerprint.len()).rev().step_by(2).find(accepted).unwrap();
    let one = json(&fingerprint[..longest]);
    let all = (1..=4096).map(|n| one.replacen("\"n\": 16", &format!("\"n\": {n}"), 1));
    let mut records = Records::default();
    all.for_each(|json| records.merge(Records::parse(json.as_bytes()).unwrap()));
    assert_eq!(records.len(), 4096);
    assert!(Records::parse(records.to_json().as_bytes()).is_ok_and(|read| read == records));
}

#[test]
fn the_store_does_not_grow_without_bound() {
    let mut all = records(1..=4000);
    all.merge(records(4001..=4200));
    // The date of these records is their n.
    assert_eq!(all, records(4200 - 4096 + 1..=4200));
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_and_no_panic() {
    let scratch = Scratch::new();
    let file = scratch.path().join("file");
    fs::write(&file, "a file, not a directory").unwrap();
    let store = Store::in_dir(&file.join("below"));
    assert!(matches!(store.add(records([16])), Err(StoreError::Io { action: "write", .. })));
    let (read, warning) = store.read();
    assert!(read.is_empty() && warning.is_some());
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file, not a directory");
}

#[cfg(target_os = "linux")]
#[test]
fn special_files_are_errors_and_do_not_hang() {
    use std::os::unix::fs::symlink;
    let no_files = Store::in_dir("/proc/self".as_ref());
    assert!(no_files.add(records([16])).is_err());
    let scratch = Scratch::new();
    let store = Store::in_dir(scratch.path());
    // An endless device, and a temporary file and a lock that are links to other places.
    symlink("/dev/zero", store.path()).unwrap();
    assert!(matches!(store.read(), (read, Some(_)) if read.is_empty()));
    symlink(scratch.path().join("victim"), store.path().with_extension("tmp")).unwrap();
    store.add(records([16])).unwrap();
    assert!(!scratch.path().join("victim").exists());
    assert_eq!(store.read().0, records([16]));
    fs::remove_file(store.path().with_extension("lock")).unwrap();
    symlink("/dev/zero", store.path().with_extension("lock")).unwrap();
    assert!(store.add(records([32])).is_err());
    assert_eq!(store.read().0, records([16]));
}

#[test]
fn an_import_is_all_or_nothing() {
    let scratch = Scratch::new();
    let path = scratch.path().join("exported.json");
    fs::write(&path, records([16, 32]).to_json()).unwrap();
    assert_eq!(read_all(&path).unwrap(), records([16, 32]));
    fs::write(&path, records([16, 32]).to_json().replacen("\"threads\": 2", "\"threads\": 0", 1)).unwrap();
    assert!(matches!(read_all(&path), Err(StoreError::Records { .. })));
    assert!(matches!(read_all(&scratch.path().join("none")), Err(StoreError::Io { .. })));
}
