//! Reads little-endian values one after another, and never beyond the end.

use std::ops::Range;

use super::DAMAGED;
use crate::error::{Error, Result};

/// A position in the bytes of a file. Messages call the file `label`.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    label: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], label: &'a str) -> Self {
        Cursor { bytes, at: 0, label }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Returns the number of bytes left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Skips the next `length` bytes, which belong to `field`, and returns their range.
    pub(super) fn skip(&mut self, length: u64, field: &str) -> Result<Range<usize>> {
        match usize::try_from(length) {
            Ok(length) if length <= self.left() => {
                self.at += length;
                Ok(self.at - length..self.at)
            }
            _ => {
                let problem = format!("{length} bytes, but only {} follow (truncated?)", self.left());
                Err(self.malformed(field, problem))
            }
        }
    }

    pub(super) fn array<const SIZE: usize>(&mut self, field: &str) -> Result<[u8; SIZE]> {
        let range = self.skip(SIZE as u64, field)?;
        let mut array = [0; SIZE];
        array.copy_from_slice(&self.bytes[range]);
        Ok(array)
    }

    pub(super) fn u32(&mut self, field: &str) -> Result<u32> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, field: &str) -> Result<u64> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// Reads a number of items. Each item takes at least `size` bytes, so the bytes left bound the
    /// number.
    pub(super) fn count(&mut self, size: usize, field: &str) -> Result<usize> {
        let count = self.u64(field)?;
        let most = self.left() / size;
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => {
                Err(self
                    .malformed(field, format!("{count} items, but there is room for {most} (truncated?)")))
            }
        }
    }

    /// Returns the range of the next text, after reading its length.
    pub(super) fn text(&mut self, field: &str) -> Result<Range<usize>> {
        let length = self.u64(field)?;
        self.skip(length, field)
    }

    /// Reads the next text, which must be UTF-8.
    pub(super) fn name(&mut self, field: &str) -> Result<&'a str> {
        let range = self.text(field)?;
        str::from_utf8(&self.bytes[range]).map_err(|e| self.malformed(field, e.to_string()))
    }

    pub(super) fn malformed(&self, field: &str, problem: impl Into<String>) -> Error {
        Error::malformed(self.label, field, problem, DAMAGED)
    }
}
