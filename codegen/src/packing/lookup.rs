//! Lookup tables for the codes of 1.6-bit bytes.

use super::{BLOCK_BYTES, Block, trits5};

/// The codes of each of the 256 values of a byte, 64 values to a block.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct LookupTables {
    /// The codes of groups 0 to 3. Group g has bits 2g and 2g + 1.
    four: [Block; 4],
    /// The code of group 4.
    fifth: [Block; 4],
}

pub(crate) static LOOKUP_TABLES: LookupTables = {
    let mut tables = LookupTables { four: [Block([0; BLOCK_BYTES]); 4], fifth: [Block([0; BLOCK_BYTES]); 4] };
    let mut byte = 0;
    while byte < 256 {
        let (block, at) = (byte / BLOCK_BYTES, byte % BLOCK_BYTES);
        let mut group = 0;
        while group < 4 {
            tables.four[block].0[at] |= trits5::decode(byte as u8, group) << (2 * group);
            group += 1;
        }
        tables.fifth[block].0[at] = trits5::decode(byte as u8, 4);
        byte += 1;
    }
    tables
};
