//! Numbers of bytes, as people read and write them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes: `20 GB`, `500MB`, `1.5 GiB`, or a plain number.
///
/// ```
/// use tercet_engine::Size;
///
/// assert_eq!("20 GB".parse(), Ok(Size(20_000_000_000)));
/// assert_eq!("1.5GiB".parse(), Ok(Size(3 << 29)));
/// assert_eq!(Size(3_140_000).to_string(), "3.1 MB");
/// assert!("much".parse::<Size>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A text that is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a size, for example 20GB")]
pub struct UnknownSize;

impl FromStr for Size {
    type Err = UnknownSize;

    fn from_str(text: &str) -> Result<Self, UnknownSize> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000,
            "t" | "tb" => 1_000_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return Err(UnknownSize),
        };
        let number: f64 = number.parse().map_err(|_| UnknownSize)?;
        Ok(Size((number * unit as f64) as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self.0 as f64 {
            b if b < 1e3 => format!("{b} B"),
            b if b < 1e6 => format!("{:.1} kB", b / 1e3),
            b if b < 1e9 => format!("{:.1} MB", b / 1e6),
            b => format!("{:.2} GB", b / 1e9),
        })
    }
}
