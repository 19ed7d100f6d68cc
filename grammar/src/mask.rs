//! Sets of tokens.

use llguidance::toktrie::SimpleVob;

/// The tokens among which to choose the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    bits: SimpleVob,
    count: usize,
}

impl Mask {
    pub(crate) fn new(bits: SimpleVob) -> Self {
        Mask { count: bits.num_set(), bits }
    }

    /// Returns the set of these tokens.
    ///
    /// ```
    /// let mask = tercet_grammar::Mask::of(&[3, 5]);
    /// assert!(mask.contains(5) && !mask.contains(4) && !mask.contains(1000));
    /// assert_eq!(mask.iter().collect::<Vec<_>>(), [3, 5]);
    /// ```
    pub fn of(tokens: &[u32]) -> Self {
        let mut bits = SimpleVob::alloc(tokens.iter().max().map_or(0, |&largest| largest as usize + 1));
        tokens.iter().for_each(|&token| bits.allow_token(token));
        Self::new(bits)
    }

    /// Returns true if `token` is in the set. It may be any number.
    pub fn contains(&self, token: u32) -> bool {
        (token as usize) < self.bits.len() && self.bits.is_allowed(token)
    }

    /// Returns the number of tokens.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns true if there is no token.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the tokens in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.bits.iter()
    }
}
