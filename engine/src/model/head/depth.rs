//! The number of low planes to read at once.

/// Follows the number of low planes that most rows need. To read a plane at once is faster than to find out that it is needed.
#[derive(Debug, Default)]
pub(super) struct Depth {
    planes: usize,
    tokens: usize,
}

/// Tokens after which one plane less is tried.
const PATIENCE: usize = 32;

impl Depth {
    /// Returns the number of low planes to read for the next token.
    pub(super) fn next(&mut self) -> usize {
        self.tokens += 1;
        match self.tokens.is_multiple_of(PATIENCE) {
            true => self.planes.saturating_sub(1),
            false => self.planes,
        }
    }

    /// Learns the number of low planes that a token needed.
    pub(super) fn learn(&mut self, needed: usize) {
        self.planes = needed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_that_are_needed_are_read_at_once_and_others_are_given_up() {
        let mut depth = Depth::default();
        assert_eq!(depth.next(), 0);
        depth.learn(2);
        assert_eq!(depth.next(), 2);
        // From now on no low plane is needed. A token that reads some of them cannot tell.
        for _ in 0..2 * PATIENCE {
            let read = depth.next();
            depth.learn(read);
        }
        assert_eq!(depth.next(), 0);
    }
}
