//! Recorded CPUID tables: one line per answer, all numbers hexadecimal, `#` starts a comment.
//!
//! ```text
//! # leaf subleaf: eax ebx ecx edx
//! 00000007 01: 00400810 00000000 00000000 00000000
//! xcr0 207
//! ```
//!
//! Missing answers are zero. Without `xcr0` the operating system enables no extended state.

use std::collections::BTreeMap;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// The registers EAX, EBX, ECX and EDX of one CPUID answer.
pub(super) type Registers = [u32; 4];

/// A table of CPUID answers by leaf and subleaf, and XCR0.
#[derive(Default)]
pub(super) struct Leaves {
    answers: BTreeMap<(u32, u32), Registers>,
    /// The register states that the operating system enables. Zero if XGETBV is unavailable.
    pub(super) xcr0: u64,
}

/// An error of a recorded dump.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// A line is neither an answer nor XCR0.
    #[error(
        "line {line}: expected `leaf subleaf: eax ebx ecx edx` or `xcr0 value` in hexadecimal, found {text:?}"
    )]
    Malformed {
        /// Line number, from 1.
        line: usize,
        /// The line without its comment.
        text: String,
    },
    /// A line repeats a leaf and subleaf, or XCR0.
    #[error("line {line}: {text:?} is given a second time")]
    Repeated {
        /// Line number, from 1.
        line: usize,
        /// The line without its comment.
        text: String,
    },
    /// Leaf 0 is missing. It names the vendor and the last leaf.
    #[error("no leaf 0: a dump must hold at least the line that begins `00000000 00:`")]
    NoVendor,
    /// This program was compiled for another architecture than x86-64.
    #[error("recorded CPUID tables can be read on x86-64 only")]
    Architecture,
}

/// Returns the CPUID table of the core that runs the call, as dump text.
#[cfg(target_arch = "x86_64")]
pub fn record() -> String {
    Leaves::live().to_string()
}

/// Returns an empty text: this architecture has no CPUID.
#[cfg(not(target_arch = "x86_64"))]
pub fn record() -> String {
    String::new()
}

impl Leaves {
    /// Returns the answer to one CPUID query. A leaf beyond the CPU's last gives zeros: real CPUs give anything there.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn get(&self, leaf: u32, subleaf: u32) -> Registers {
        let range = leaf & 0xFFFF_0000;
        let answer = |leaf, subleaf| self.answers.get(&(leaf, subleaf)).copied().unwrap_or_default();
        let [last, ..] = answer(range, 0);
        if leaf <= last.max(range) { answer(leaf, subleaf) } else { Registers::default() }
    }

    pub(super) fn insert(&mut self, leaf: u32, subleaf: u32, answer: Registers) -> Option<Registers> {
        self.answers.insert((leaf, subleaf), answer)
    }
}

impl fmt::Display for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# leaf subleaf: eax ebx ecx edx")?;
        for ((leaf, subleaf), [eax, ebx, ecx, edx]) in &self.answers {
            writeln!(f, "{leaf:08x} {subleaf:02x}: {eax:08x} {ebx:08x} {ecx:08x} {edx:08x}")?;
        }
        writeln!(f, "xcr0 {:x}", self.xcr0)
    }
}

impl FromStr for Leaves {
    type Err = DumpError;

    fn from_str(dump: &str) -> Result<Self, DumpError> {
        let mut leaves = Leaves::default();
        let mut xcr0 = None;
        for (number, line) in dump.lines().enumerate() {
            let (line, text) = (number + 1, line.split('#').next().unwrap_or_default().trim());
            if text.is_empty() {
                continue;
            }
            let repeated = match parse_line(text) {
                Some(Line::Answer(leaf, subleaf, answer)) => leaves.insert(leaf, subleaf, answer).is_some(),
                Some(Line::Xcr0(value)) => xcr0.replace(value).is_some(),
                None => return Err(DumpError::Malformed { line, text: text.to_owned() }),
            };
            if repeated {
                return Err(DumpError::Repeated { line, text: text.to_owned() });
            }
        }
        if !leaves.answers.contains_key(&(0, 0)) {
            return Err(DumpError::NoVendor);
        }
        leaves.xcr0 = xcr0.unwrap_or_default();
        Ok(leaves)
    }
}

enum Line {
    Answer(u32, u32, Registers),
    Xcr0(u64),
}

fn parse_line(text: &str) -> Option<Line> {
    if let Some(value) = text.strip_prefix("xcr0 ") {
        return hex(value.trim(), u64::from_str_radix).map(Line::Xcr0);
    }
    let (query, answer) = text.split_once(':')?;
    let word = |text| hex(text, u32::from_str_radix);
    let query = query.split_whitespace().map(word).collect::<Option<Vec<_>>>()?;
    let answer = answer.split_whitespace().map(word).collect::<Option<Vec<_>>>()?;
    let &[leaf, subleaf] = query.as_slice() else { return None };
    Some(Line::Answer(leaf, subleaf, answer.try_into().ok()?))
}

/// Parses digits. `from_str_radix` alone would accept a sign.
fn hex<T>(digits: &str, parse: fn(&str, u32) -> Result<T, ParseIntError>) -> Option<T> {
    if digits.starts_with('+') { None } else { parse(digits, 16).ok() }
}
