//! The parts of a packing that its file provides.

/// How one packing puts codes into bytes.
pub(crate) trait Codec {
    /// Name in specs, on the command line and in files.
    const NAME: &'static str;
    /// The least and the greatest weight.
    const WEIGHTS: (i8, i8);
    /// The number that turns a weight into its code by addition.
    const ZERO_POINT: i8;
    /// Codes in a byte.
    const GROUPS: usize;

    /// Packs the codes of one row and one step. Each dword holds the four codes of one group, and the result the four
    /// packed bytes. Groups that the packing lacks are ignored.
    fn encode(groups: [u32; 5]) -> u32;

    /// Returns the code of group `group` in `byte`.
    fn decode(byte: u8, group: usize) -> u8;

    /// Splits the code of the first group off `byte`. The rest has the next group as its first.
    fn split(byte: u8) -> (u8, u8);
}

/// The row of one packing in the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(super) name: &'static str,
    pub(super) weights: (i8, i8),
    pub(super) zero_point: i8,
    pub(super) groups: usize,
}

impl Row {
    /// Returns the row of a codec.
    pub(super) const fn of<C: Codec>() -> Row {
        Row { name: C::NAME, weights: C::WEIGHTS, zero_point: C::ZERO_POINT, groups: C::GROUPS }
    }
}

#[cfg(test)]
mod tests {
    use crate::packing::{Codec, Packing, with_codec};

    #[test]
    fn splitting_a_byte_gives_the_codes_of_its_groups_in_order() {
        for packing in Packing::ALL {
            for byte in 0..=u8::MAX {
                let mut rest = byte;
                for group in 0..packing.groups() {
                    let code;
                    (code, rest) = with_codec!(packing, C => C::split(rest));
                    assert_eq!(code, packing.decode(byte, group), "{packing}: {byte:#04x}, group {group}");
                }
            }
        }
    }
}
