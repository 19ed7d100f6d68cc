//! The header of a packed file: a preamble at its start, and a description in JSON at its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::position::{read_at, write_at};

/// The first bytes of every packed file.
pub(super) const MAGIC: [u8; 8] = *b"TERCETPK";
/// Bytes of the preamble: the magic, then position, length and checksum of the description as
/// little-endian u64.
const PREAMBLE: usize = 32;
/// Position of the first part, and alignment of all: the size of a page, because whole pages copy faster.
pub(super) const ALIGNMENT: u64 = 4096;
/// Bytes in a chunk. Each chunk has a checksum and is read by one thread.
pub(super) const CHUNK: usize = 4 << 20;
/// Bytes of the longest description that is accepted.
const MOST_BYTES: u64 = 64 << 20;

/// The description.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// The owner of the file: the contents of the model's files, the layout, and the version.
    pub(super) key: String,
    /// The model's name, for people only.
    pub(super) model: String,
    pub(super) parts: BTreeMap<String, Entry>,
}

/// One part.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) len: u64,
    /// One checksum for each [`CHUNK`]; the last chunk may be shorter.
    pub(super) checksums: Vec<u64>,
    pub(super) matrix: Option<Shape>,
}

/// The shape and scale of a matrix part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    pub(super) n: usize,
    pub(super) k: usize,
    /// The bits of the scale's f32.
    pub(super) scale: u32,
    /// Columns that share a scale, if the scales are part of the matrix.
    pub(super) group_size: Option<usize>,
    pub(super) order: Order,
}

/// The order of a matrix's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Panels of rows, step by step.
    Panels,
    /// Column by column.
    Columns,
    /// Row by row.
    Rows,
}

impl Header {
    /// Reads and checks the description of `file`.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut preamble = [0; PREAMBLE];
        read_at(file, &mut preamble, 0)?;
        let word = |i: usize| u64::from_le_bytes(std::array::from_fn(|j| preamble[8 * i + j]));
        let [position, len, checksum] = [1, 2, 3].map(word);
        if preamble[..8] != MAGIC {
            return Err(damage("it does not start like a packed file"));
        }
        if len > MOST_BYTES || position < PREAMBLE as u64 || position.checked_add(len) != Some(size) {
            return Err(damage("it does not end with its description"));
        }
        let mut json = vec![0; len as usize];
        read_at(file, &mut json, position)?;
        if xxh3_64(&json) != checksum {
            return Err(damage("the checksum of its description is wrong"));
        }
        Self::parse(&json, position)
    }

    /// Reads the description in `json`, which is at `position` of the file.
    ///
    /// Checks that every part is between preamble and description, and has one checksum per chunk.
    pub(super) fn parse(json: &[u8], position: u64) -> io::Result<Self> {
        let header: Header = serde_json::from_slice(json)?;
        let fits = |entry: &Entry| {
            entry.offset >= PREAMBLE as u64
                && entry.offset.checked_add(entry.len).is_some_and(|end| end <= position)
                && entry.checksums.len() as u64 == entry.len.div_ceil(CHUNK as u64)
        };
        match header.parts.iter().find(|(_, entry)| !fits(entry)) {
            Some((name, _)) => Err(damage(&format!("part {name} is outside the file"))),
            None => Ok(header),
        }
    }

    /// Marks a file that is being written as a packed one, not yet complete.
    pub(super) fn begin(file: &File) -> io::Result<()> {
        write_at(file, &MAGIC, 0)
    }

    /// Writes the description at `position`, then the preamble.
    pub(super) fn write(&self, file: &File, position: u64) -> io::Result<()> {
        let json = serde_json::to_vec(self)?;
        write_at(file, &json, position)?;
        let words = [position, json.len() as u64, xxh3_64(&json)].map(u64::to_le_bytes);
        write_at(file, &[&MAGIC[..], words.as_flattened()].concat(), 0)
    }
}

pub(super) fn damage(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
