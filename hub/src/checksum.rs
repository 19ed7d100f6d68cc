//! The hub's checksums of files: SHA-256 of large files, git's SHA-1 of the others.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A checksum in lower-case hexadecimal digits, which is also a safe file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    kind: Kind,
    digits: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sha256,
    Git,
}

impl Checksum {
    pub(super) fn sha256(digits: &str) -> Option<Self> {
        Self::new(Kind::Sha256, digits, 64)
    }

    pub(super) fn git(digits: &str) -> Option<Self> {
        Self::new(Kind::Git, digits, 40)
    }

    fn new(kind: Kind, digits: &str, len: usize) -> Option<Self> {
        let hexadecimal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let valid = digits.len() == len && digits.bytes().all(hexadecimal);
        valid.then(|| Checksum { kind, digits: digits.to_owned() })
    }

    pub(super) fn digits(&self) -> &str {
        &self.digits
    }

    /// Returns a hasher for a file of `size` bytes that computes a checksum of this kind.
    pub(super) fn hasher(&self, size: u64) -> Hasher {
        match self.kind {
            Kind::Sha256 => Hasher::Sha256(Sha256::new()),
            Kind::Git => Hasher::Git(Sha1::new_with_prefix(format!("blob {size}\0"))),
        }
    }
}

/// Computes a checksum.
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
}

impl Hasher {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Git(hasher) => hasher.update(bytes),
        }
    }

    /// Returns the hexadecimal digits.
    pub(super) fn finish(self) -> String {
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Hasher::Sha256(hasher) => digits(&hasher.finalize()),
            Hasher::Git(hasher) => digits(&hasher.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values come from `sha256sum` and `git hash-object`.
    #[test]
    fn checksums_equal_the_usual_tools() {
        let sha256 = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
        let git = "95d09f2b10159347eece71399a7e2e907ea3df4f";
        for checksum in [Checksum::sha256(sha256).unwrap(), Checksum::git(git).unwrap()] {
            let mut hasher = checksum.hasher(11);
            hasher.add(b"hello ");
            hasher.add(b"world");
            assert_eq!(hasher.finish(), checksum.digits());
        }
    }

    #[test]
    fn malformed_checksums_are_refused() {
        assert!(Checksum::sha256("../../etc/passwd").is_none());
        assert!(Checksum::git(&"G".repeat(40)).is_none());
    }
}
