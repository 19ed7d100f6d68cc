//! Random changes to valid inputs.

/// Applies one random change: to a bit, a byte or a number, or it deletes, appends or inserts a
/// copy of a piece.
pub(crate) fn mutate_bytes(input: &mut Vec<u8>, random: &mut Random) {
    const NUMBERS: [&str; 12] = [
        "0",
        "1",
        "-1",
        "2",
        "7",
        "64",
        "1e400",
        "0.5",
        "null",
        "65536",
        "4294967296",
        "18446744073709551615",
    ];
    let at = random.below(input.len() + 1);
    let end = at + random.below(16).min(input.len() - at);
    match random.below(6) {
        0 if at < end => input[at] ^= 1 << random.below(8),
        1 if at < end => input[at] = random.below(256) as u8,
        2 => drop(input.drain(at..end)),
        3 => input.extend_from_within(at..end),
        4 => {
            let piece = input[at..end].to_vec();
            let to = random.below(input.len() + 1);
            input.splice(to..to, piece);
        }
        _ => {
            let Some(start) = (at..input.len()).find(|&i| input[i].is_ascii_digit()) else { return };
            let end = (start..input.len()).find(|&i| !input[i].is_ascii_digit()).unwrap_or(input.len());
            input.splice(start..end, random.pick(&NUMBERS).bytes());
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
