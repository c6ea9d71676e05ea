//! Which nonces of a stream have been seen.

use crate::NONCE_WINDOW;

const WORDS: usize = (NONCE_WINDOW / 64) as usize;

/// A sliding window over a stream's nonces: the newest and, for the 1,024 up to it, whether each was seen.
///
/// UDP reorders, so a nonce below the newest is no replay in itself. A nonce that fell out of the
/// window is taken for seen, so nothing is ever accepted twice.
///
/// ```
/// use centauri_wire::NonceWindow;
/// let mut window = NonceWindow::new();
/// assert!(window.accept(5) && window.accept(3) && !window.accept(5));
/// assert!(window.accept(2_000) && !window.accept(4));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NonceWindow {
    newest: Option<u64>,
    /// The bit of nonce `n` is bit `n mod 64` of word `n / 64 mod 16`.
    seen: [u64; WORDS],
}

impl NonceWindow {
    /// A window that has seen nothing: every nonce is fresh.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest nonce seen.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Whether the nonce has not been seen and is not too old to tell.
    #[must_use]
    pub fn is_fresh(&self, nonce: u64) -> bool {
        match self.newest {
            None => true,
            Some(newest) if nonce > newest => true,
            Some(newest) => newest - nonce < NONCE_WINDOW && !self.is_seen(nonce),
        }
    }

    /// Takes the nonce as seen; says whether it was fresh.
    pub fn accept(&mut self, nonce: u64) -> bool {
        if !self.is_fresh(nonce) {
            return false;
        }
        match self.newest {
            Some(newest) if nonce > newest => self.slide(newest, nonce),
            Some(_) => {}
            None => self.newest = Some(nonce),
        }
        let (word, bit) = place(nonce);
        if let Some(word) = self.seen.get_mut(word) {
            *word |= bit;
        }
        true
    }

    fn is_seen(&self, nonce: u64) -> bool {
        let (word, bit) = place(nonce);
        self.seen.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Moves the window's end, forgetting what the places of the new nonces held.
    fn slide(&mut self, newest: u64, nonce: u64) {
        self.newest = Some(nonce);
        let mut left = nonce - newest;
        if left >= NONCE_WINDOW {
            self.seen = [0; WORDS];
            return;
        }
        let mut at = newest;
        while left > 0 {
            let first = at.wrapping_add(1);
            let run = (64 - first % 64).min(left);
            let ones = u64::MAX >> (64 - run);
            if let Some(word) = self.seen.get_mut(place(first).0) {
                *word &= !(ones << (first % 64));
            }
            at = at.wrapping_add(run);
            left -= run;
        }
    }
}

fn place(nonce: u64) -> (usize, u64) {
    let word = nonce / 64 % (NONCE_WINDOW / 64);
    (usize::try_from(word).unwrap_or(0), 1 << (nonce % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// The definition, with a set instead of bits.
    #[derive(Default)]
    struct SlowWindow {
        seen: BTreeSet<u64>,
    }

    impl SlowWindow {
        fn accept(&mut self, nonce: u64) -> bool {
            let end = u128::from(nonce) + u128::from(NONCE_WINDOW);
            let too_old = self.seen.last().is_some_and(|newest| end <= u128::from(*newest));
            !too_old && self.seen.insert(nonce)
        }
    }

    /// Steps that stay close, jump about the window's width, or jump far.
    fn nonces() -> impl Strategy<Value = Vec<u64>> {
        let start = prop_oneof![Just(0_u64), Just(u64::MAX - 5_000), any::<u64>()];
        let step = prop_oneof![
            -3_i64..4,
            -70_i64..70,
            -1_100_i64..1_100,
            Just(1_024_i64),
            Just(1_023_i64),
            Just(-1_023_i64),
            -9_000_i64..9_000
        ];
        (start, proptest::collection::vec(step, 1..400)).prop_map(|(start, steps)| {
            let mut nonce = start;
            steps
                .into_iter()
                .map(|step| {
                    nonce = nonce.saturating_add_signed(step);
                    nonce
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn the_bits_agree_with_a_set(nonces in nonces()) {
            let mut fast = NonceWindow::new();
            let mut slow = SlowWindow::default();
            for nonce in nonces {
                let fresh = fast.is_fresh(nonce);
                prop_assert_eq!(fast.accept(nonce), fresh);
                prop_assert_eq!(slow.accept(nonce), fresh, "nonce {}", nonce);
                prop_assert!(!fast.is_fresh(nonce));
                prop_assert_eq!(fast.newest(), slow.seen.last().copied());
            }
        }
    }

    #[test]
    fn every_nonce_of_the_window_is_told_apart() {
        let mut window = NonceWindow::new();
        assert!(window.accept(10_000));
        for nonce in (10_000 - NONCE_WINDOW + 1)..10_000 {
            assert!(window.accept(nonce), "{nonce}");
            assert!(!window.accept(nonce), "{nonce}");
        }
        assert!(!window.accept(10_000 - NONCE_WINDOW));
    }

    #[test]
    fn the_last_nonce_there_is_ends_the_stream() {
        let mut window = NonceWindow::new();
        assert!(window.accept(u64::MAX - 1) && window.accept(u64::MAX));
        assert!(!window.accept(u64::MAX) && !window.accept(0));
    }
}
