//! Disassembles code with GNU objdump.

use std::io::Write;
use std::process::Command;

/// One instruction, as objdump decodes it.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) offset: usize,
    pub(super) bytes: Vec<u8>,
    /// Intel syntax with single spaces.
    ///
    /// objdump shows traces of encodings that could be shorter: a prefix without effect, an empty
    /// index, a displacement of zero. They are removed.
    pub(super) text: String,
}

impl Decoded {
    /// Returns the text before the operands, with the pseudo-prefix if there is one.
    pub(super) fn mnemonic(&self) -> &str {
        let prefix = if self.text.starts_with('{') { self.text.find(' ').map_or(0, |at| at + 1) } else { 0 };
        let end = self.text[prefix..].find(' ').map_or(self.text.len(), |at| prefix + at);
        &self.text[..end]
    }
}

/// Disassembles `code`. Returns `None` if objdump is not installed.
///
/// # Panics
/// Panics if objdump is not installed and `CI` is `true`.
pub(super) fn decode(code: &[u8]) -> Option<Vec<Decoded>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(code).unwrap();
    let options = "-D -z -b binary -m i386:x86-64 -M intel --insn-width=15".split(' ');
    let output = match Command::new("objdump").args(options).arg(file.path()).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "objdump must be installed in CI: {error}");
            eprintln!("skipped: objdump cannot be run: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).unwrap();
    let decoded: Vec<Decoded> = listing.lines().filter_map(parse).collect();
    assert_eq!(
        decoded.iter().flat_map(|d| d.bytes.clone()).collect::<Vec<_>>(),
        code,
        "objdump skipped bytes"
    );
    Some(decoded)
}

/// Reads a line `OFFSET:\tBYTES\tTEXT`. Other lines are headings.
fn parse(line: &str) -> Option<Decoded> {
    let [offset, bytes, text] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
    let offset = usize::from_str_radix(offset.trim().strip_suffix(':')?, 16).ok()?;
    let bytes = bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.strip_prefix("rex ").unwrap_or(&text).replace("+riz*1", "").replace("+0x0]", "]");
    Some(Decoded { offset, bytes, text })
}
