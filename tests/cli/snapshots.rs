//! Snapshots of the texts that users read: help, the fields of `info --json`, and the listing of one kernel.
//!
//! After an intended change, write the snapshots again and read their diff:
//!
//! ```sh
//! INSTA_UPDATE=always cargo test -p tercet --test cli snapshots
//! ```

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{command, finish, json, output};

/// The width that help is wrapped to. Clap reads it from `COLUMNS` when no stream is a terminal.
const COLUMNS: &str = "100";

/// Returns the help of the command called by `path`, such as `["bench", "kernels"]`.
fn help(path: &[String]) -> String {
    let arguments = [path, &["--help".to_owned()]].concat();
    let mut command = command(&arguments);
    // Help shows the values of the environment variables that options read.
    for knob in tercet::knobs::all() {
        command.env_remove(knob.name);
    }
    let ran = finish(command.env("COLUMNS", COLUMNS));
    assert_eq!(ran.status, Some(0), "{arguments:?}: {ran:?}");
    // On Windows the usage line has the name of the file.
    ran.stdout.replace("tercet.exe", "tercet")
}

/// Returns the names in the list of commands that `help` shows.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("\nCommands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Compares the help of the command called by `path`, and of the commands below it. Returns their number.
fn assert_help(path: &[String]) -> usize {
    let help = help(path);
    insta::assert_snapshot!([&["help".to_owned()], path].concat().join("-"), help);
    let below = commands(&help).into_iter().filter(|name| name != "help");
    1 + below.map(|name| assert_help(&[path, &[name]].concat())).sum::<usize>()
}

#[test]
fn the_help_of_every_command() {
    let found = assert_help(&[]);
    assert!(found > 12, "only {found} commands found");
}

/// Collects the paths of all fields of `value`. The elements of an array share one path.
fn fields(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                found.insert(path.clone());
                fields(&path, value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(&format!("{path}[]"), value, found)),
        _ => {}
    }
}

#[test]
fn the_fields_of_info() {
    let mut found = BTreeSet::new();
    fields("", &json(&["info"]), &mut found);
    // A system may not report these. Then they are null or empty, and have no fields.
    let optional = ["affinity", "quota", "cpu.caches", "cpu.cores"];
    found.retain(|path| !optional.iter().any(|name| path.starts_with(name) && path != name));
    insta::assert_snapshot!("info", Vec::from_iter(found).join("\n"));
}

#[test]
fn the_listing_of_a_kernel() {
    let kernel = "avx2/2bit/x1/m1n16u1/shift/p0/i32";
    insta::assert_snapshot!("dump", output(&["dump", "--kernel", kernel]));
}
