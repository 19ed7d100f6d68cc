//! One packed file. All threads read and write its parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tercet_codegen::packing::Block;
use tercet_codegen::{ColumnMatrix, Layout, PackedMatrix, RowMatrix};
use tercet_pool::Pool;
use xxhash_rust::xxh3::xxh3_64;

use super::header::{ALIGNMENT, CHUNK, Entry, Header, Order, Shape, damage};
use super::position::{read_at, write_at};
use crate::error::{Error, Result};

/// A packed file, open for reading.
#[derive(Debug)]
pub(crate) struct PackedFile {
    file: File,
    path: PathBuf,
    parts: BTreeMap<String, Entry>,
}

/// A part to write.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// The name that finds it again.
    pub(crate) name: String,
    pub(crate) kind: PartKind<'a>,
}

#[derive(Debug)]
pub(crate) enum PartKind<'a> {
    Matrix(&'a PackedMatrix),
    Columns(&'a ColumnMatrix),
    Rows(&'a RowMatrix),
    Bytes(Vec<u8>),
}

impl Part<'_> {
    /// Returns the bytes that the part takes in a file.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = match &self.kind {
            PartKind::Matrix(matrix) => matrix.as_bytes().len(),
            PartKind::Columns(matrix) => matrix.as_bytes().len(),
            PartKind::Rows(matrix) => matrix.as_bytes().len(),
            PartKind::Bytes(bytes) => bytes.len(),
        };
        (bytes as u64).next_multiple_of(ALIGNMENT)
    }
}

impl PackedFile {
    /// Reads the header of `file`, which is at `path`. Returns none if the file belongs to another key
    /// than `key`.
    ///
    /// # Errors
    /// Fails if the header is damaged.
    pub(super) fn open(file: File, path: &Path, key: &str) -> Result<Option<Self>> {
        let header = Header::read(&file).map_err(|e| damaged(path, "header", &e))?;
        let found = PackedFile { file, path: path.to_owned(), parts: header.parts };
        Ok(Some(found).filter(|_| header.key == key))
    }

    /// Reads the n × k matrix `name` in `layout`, on the threads of `pool`.
    ///
    /// # Errors
    /// Fails if the part is missing or damaged, or has another shape.
    pub(crate) fn matrix(
        &self,
        name: &str,
        layout: Layout,
        (n, k): (usize, usize),
        pool: &Pool,
    ) -> Result<PackedMatrix> {
        let (entry, shape) = self.shape(name, Order::Panels, (n, k))?;
        let read = |blocks: &mut [Block]| self.read(name, entry, Block::bytes_mut(blocks), pool);
        Ok(match shape.group_size {
            None => PackedMatrix::fill(layout, n, k, read)?.with_scale(f32::from_bits(shape.scale)),
            Some(size) => PackedMatrix::fill_groups(layout, (n, k), size, read)?,
        })
    }

    /// Reads the n × k matrix `name`, which is packed column by column.
    ///
    /// # Errors
    /// As [`PackedFile::matrix`].
    pub(crate) fn columns(&self, name: &str, (n, k): (usize, usize), pool: &Pool) -> Result<ColumnMatrix> {
        let (entry, shape) = self.shape(name, Order::Columns, (n, k))?;
        let read = |blocks: &mut [Block]| self.read(name, entry, Block::bytes_mut(blocks), pool);
        Ok(ColumnMatrix::fill(n, k, read)?.with_scale(f32::from_bits(shape.scale)))
    }

    /// Reads the n × k matrix `name`, which is packed row by row.
    ///
    /// # Errors
    /// As [`PackedFile::matrix`].
    pub(crate) fn rows(&self, name: &str, (n, k): (usize, usize), pool: &Pool) -> Result<RowMatrix> {
        let (entry, shape) = self.shape(name, Order::Rows, (n, k))?;
        let read = |blocks: &mut [Block]| self.read(name, entry, Block::bytes_mut(blocks), pool);
        Ok(RowMatrix::fill(n, k, read)?.with_scale(f32::from_bits(shape.scale)))
    }

    /// Returns the order of the blocks of part `name`, if it is a matrix.
    pub(crate) fn order(&self, name: &str) -> Option<Order> {
        self.parts.get(name).and_then(|entry| entry.matrix).map(|shape| shape.order)
    }

    /// Returns the entry of the n × k matrix `name` and its shape.
    fn shape(&self, name: &str, order: Order, (n, k): (usize, usize)) -> Result<(&Entry, Shape)> {
        let entry = self.entry(name)?;
        let fits = |shape: &Shape| {
            (shape.n, shape.k, shape.order) == (n, k, order)
                && shape.group_size.is_none_or(|size| (1..=k).contains(&size))
        };
        let shape = entry.matrix.filter(fits);
        let shape = shape.ok_or_else(|| damaged(&self.path, name, &damage("it has another shape")))?;
        Ok((entry, shape))
    }

    /// Returns true if the file has a part `name`.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// Reads the `len` bytes of part `name`.
    ///
    /// # Errors
    /// Fails if the part is missing or damaged, or has another length.
    pub(crate) fn bytes(&self, name: &str, len: usize, pool: &Pool) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read(name, self.entry(name)?, &mut bytes, pool)?;
        Ok(bytes)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.parts.get(name).ok_or_else(|| damaged(&self.path, name, &damage("it is missing")))
    }

    fn read(&self, name: &str, entry: &Entry, out: &mut [u8], pool: &Pool) -> Result<()> {
        let failed = |e: &io::Error| damaged(&self.path, name, e);
        if entry.len != out.len() as u64 {
            return Err(failed(&damage("it has another length")));
        }
        let mut chunks: Vec<(&mut [u8], io::Result<()>)> =
            out.chunks_mut(CHUNK).map(|chunk| (chunk, Ok(()))).collect();
        pool.chunks(&mut chunks, 1, |i, chunk| {
            let (bytes, outcome) = &mut chunk[0];
            *outcome = read_at(&self.file, bytes, entry.offset + (i * CHUNK) as u64).and_then(|()| {
                let right = entry.checksums.get(i) == Some(&xxh3_64(bytes));
                right.then_some(()).ok_or_else(|| damage("its checksum is wrong"))
            });
        });
        chunks.into_iter().try_for_each(|(_, outcome)| outcome.map_err(|e| failed(&e)))
    }
}

fn damaged(path: &Path, part: &str, problem: &io::Error) -> Error {
    Error::malformed(path.display().to_string(), part, problem.to_string(), "it is made again")
}

/// Writes a packed file. The threads of `pool` share the chunks of all parts.
pub(super) fn write(
    file: &File,
    key: String,
    model: &str,
    parts: &[Part<'_>],
    pool: &Pool,
) -> io::Result<()> {
    Header::begin(file)?;
    let mut offset = ALIGNMENT;
    let mut chunks = Vec::new();
    let mut entries = BTreeMap::new();
    for part in parts {
        let (bytes, matrix) = match &part.kind {
            PartKind::Bytes(bytes) => (&bytes[..], None),
            PartKind::Matrix(matrix) => {
                let (n, k, scale) = (matrix.n(), matrix.k(), matrix.scale().to_bits());
                let group_size = matrix.group_size();
                (matrix.as_bytes(), Some(Shape { n, k, scale, group_size, order: Order::Panels }))
            }
            PartKind::Columns(matrix) => {
                let (n, k, scale) = (matrix.n(), matrix.k(), matrix.scale().to_bits());
                (matrix.as_bytes(), Some(Shape { n, k, scale, group_size: None, order: Order::Columns }))
            }
            PartKind::Rows(matrix) => {
                let (n, k, scale) = (matrix.n(), matrix.k(), matrix.scale().to_bits());
                (matrix.as_bytes(), Some(Shape { n, k, scale, group_size: None, order: Order::Rows }))
            }
        };
        for (i, chunk) in bytes.chunks(CHUNK).enumerate() {
            chunks.push((&part.name, offset + (i * CHUNK) as u64, chunk));
        }
        let len = bytes.len() as u64;
        entries.insert(part.name.clone(), Entry { offset, len, checksums: Vec::new(), matrix });
        offset = (offset + len).next_multiple_of(ALIGNMENT);
    }
    let written = pool.map(chunks.len(), |i| {
        let (_, offset, bytes) = chunks[i];
        write_at(file, bytes, offset).map(|()| xxh3_64(bytes))
    });
    for ((name, ..), checksum) in chunks.iter().zip(written) {
        if let Some(entry) = entries.get_mut(*name) {
            entry.checksums.push(checksum?);
        }
    }
    Header { key, model: model.to_owned(), parts: entries }.write(file, offset)
}
