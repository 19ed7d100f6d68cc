//! Writes minimal static executables for AArch64 Linux.
//!
//! They have code and pieces of data. An unmapped page follows each piece.

const PAGE: usize = 4096;
const CODE: u64 = 0x0040_0000;
const DATA: u64 = 0x1000_0000;

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

struct Segment {
    address: u64,
    flags: u32,
    /// The contents, padded to whole pages.
    bytes: Vec<u8>,
}

/// An executable under construction.
pub(super) struct Program {
    segments: Vec<Segment>,
    next: u64,
}

impl Program {
    pub(super) fn new() -> Self {
        Program { segments: Vec::new(), next: DATA }
    }

    /// Adds data and returns its address.
    ///
    /// The data ends at the end of a page, and the next page is unmapped. So a load or store beyond
    /// the end is a fault. A store to data that is not `writable` is a fault too.
    pub(super) fn data(&mut self, bytes: &[u8], writable: bool) -> u64 {
        let size = bytes.len().next_multiple_of(PAGE).max(PAGE);
        let mut pages = vec![0xA5; size];
        pages[size - bytes.len()..].copy_from_slice(bytes);
        let address = self.next;
        self.next += (size + PAGE) as u64;
        let flags = if writable { READ | WRITE } else { READ };
        self.segments.push(Segment { address, flags, bytes: pages });
        address + (size - bytes.len()) as u64
    }

    /// Returns the address of the code, which does not depend on its length.
    pub(super) const fn entry() -> u64 {
        CODE
    }

    /// Returns the file (System V ABI, Object Files; ELF for the Arm 64-bit Architecture).
    pub(super) fn finish(mut self, code: &[u8]) -> Vec<u8> {
        let mut bytes = code.to_vec();
        bytes.resize(code.len().next_multiple_of(PAGE), 0);
        self.segments.insert(0, Segment { address: CODE, flags: READ | EXECUTE, bytes });

        let headers = HEADER_BYTES + PROGRAM_HEADER_BYTES * self.segments.len();
        let mut file = header(self.segments.len() as u16);
        let mut offset = headers.next_multiple_of(PAGE);
        for segment in &self.segments {
            file.extend(program_header(segment, offset as u64));
            offset += segment.bytes.len();
        }
        file.resize(headers.next_multiple_of(PAGE), 0);
        self.segments.iter().for_each(|segment| file.extend(&segment.bytes));
        file
    }
}

fn header(segments: u16) -> Vec<u8> {
    const CLASS_64_LITTLE_ENDIAN: [u8; 3] = [2, 1, 1];
    const EXECUTABLE: u16 = 2;
    const AARCH64: u16 = 183;
    const VERSION: u32 = 1;
    let mut header = b"\x7fELF".to_vec();
    header.extend(CLASS_64_LITTLE_ENDIAN);
    header.resize(16, 0);
    header.extend(EXECUTABLE.to_le_bytes());
    header.extend(AARCH64.to_le_bytes());
    header.extend(VERSION.to_le_bytes());
    for word in [CODE, HEADER_BYTES as u64, 0] {
        header.extend(word.to_le_bytes());
    }
    header.extend([0; 4]);
    for half in [HEADER_BYTES as u16, PROGRAM_HEADER_BYTES as u16, segments, 64, 0, 0] {
        header.extend(half.to_le_bytes());
    }
    header
}

fn program_header(segment: &Segment, offset: u64) -> Vec<u8> {
    const LOAD: u32 = 1;
    let size = segment.bytes.len() as u64;
    let mut header = Vec::new();
    header.extend(LOAD.to_le_bytes());
    header.extend(segment.flags.to_le_bytes());
    for word in [offset, segment.address, segment.address, size, size, PAGE as u64] {
        header.extend(word.to_le_bytes());
    }
    header
}
