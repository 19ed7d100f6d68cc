//! Software prefetches of the weights.

use std::fmt;
use std::str::FromStr;

use super::SpecError;
use super::error::syntax;

/// The prefetches issued with a load of weights, each so many bytes ahead of it. 0 is none.
///
/// Written as `NEAR`, or as `NEAR+FAR`.
///
/// A core asks its first-level cache for few lines at a time. Too few bytes of a fast memory are on their way then. Far
/// prefetches wait in the larger second-level cache.
///
/// ```
/// use tercet_codegen::Prefetch;
///
/// let prefetch: Prefetch = "2048+16384".parse()?;
/// assert_eq!(prefetch, Prefetch::TWICE);
/// assert_eq!(Prefetch::near(8192).to_string(), "8192");
/// # Ok::<(), tercet_codegen::SpecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefetch {
    /// Distance of the prefetch into the first-level cache.
    pub near: usize,
    /// Distance of the prefetch into the second-level cache. Only x86-64 kernels have it.
    pub far: usize,
}

impl Prefetch {
    /// The longest distance.
    pub const MAX: usize = 1 << 16;
    /// No prefetches.
    pub const NONE: Prefetch = Prefetch::near(0);
    /// Prefetches into both caches, with the distances that were fastest on an Emerald Rapids.
    pub const TWICE: Prefetch = Prefetch { near: 2048, far: 16_384 };

    /// Returns prefetches into the first-level cache alone.
    pub const fn near(bytes: usize) -> Self {
        Prefetch { near: bytes, far: 0 }
    }
}

impl fmt::Display for Prefetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prefetch { near, far: 0 } => write!(f, "{near}"),
            Prefetch { near, far } => write!(f, "{near}+{far}"),
        }
    }
}

impl FromStr for Prefetch {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let number =
            |digits: &str| digits.parse().map_err(|_| syntax("prefetch", text, "8192, or 2048+16384"));
        match text.split_once('+') {
            Some((near, far)) => Ok(Prefetch { near: number(near)?, far: number(far)? }),
            None => Ok(Prefetch::near(number(text)?)),
        }
    }
}
