//! Disassembles code with GNU objdump, which shares no code with us.

use std::io::Write;
use std::process::Command;

const OBJDUMP: &str = "aarch64-linux-gnu-objdump";

/// Returns the text of each instruction of `code`, with branch targets as offsets.
///
/// Returns `None` if objdump for AArch64 is not installed.
///
/// # Panics
/// Panics if objdump is not installed and `CI` is `true`.
pub(super) fn decode(code: &[u8]) -> Option<Vec<String>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(code).unwrap();
    let options = "-D -z -b binary -m aarch64".split(' ');
    let output = match Command::new(OBJDUMP).args(options).arg(file.path()).output() {
        Ok(output) => output,
        Err(error) => {
            let in_ci = std::env::var("CI").as_deref() == Ok("true");
            assert!(!in_ci, "{OBJDUMP} must be installed in CI: {error}");
            eprintln!("skipped: {OBJDUMP} cannot be run: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).unwrap();
    let texts: Vec<String> = listing.lines().filter_map(parse).collect();
    assert_eq!(texts.len() * 4, code.len(), "objdump skipped bytes");
    Some(texts)
}

/// Reads a line `OFFSET:\tWORD \tMNEMONIC\tOPERANDS`, perhaps with a comment. Other lines are headings.
fn parse(line: &str) -> Option<String> {
    let line = line.split("//").next()?;
    let (offset, text) = line.split_once(":\t")?;
    usize::from_str_radix(offset.trim(), 16).ok()?;
    let (_, text) = text.split_once('\t')?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
