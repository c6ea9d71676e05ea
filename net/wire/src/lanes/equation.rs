//! sB − kA = R, exactly, in eight lanes that know nothing of each other.
//!
//! s and k are split into halves of 128 bits, with the points 2^128·B and −2^128·A known beforehand, so that there are 128
//! doublings instead of 253. Every 4 of them a digit of each half of k is added (from multiples of −A made on the spot), every
//! 8 a digit of each half of s (from the base point's tables).

use super::digits::Digits;
use super::field::{decompressed, negated};
use super::point::{affine, double, identity, identity_mask, plus, plus_affine};
use super::tables::{Base, KeyRows, affine_of, chosen, chosen_row, small_multiples};
use super::vector::{lanes, words_of};

/// Eight statements to be judged. `k` and `s` are below ℓ, `r` is canonical.
#[derive(Debug)]
pub(super) struct Statements<'a> {
    pub(super) keys: [&'a KeyRows; 8],
    pub(super) k: [[u8; 32]; 8],
    pub(super) s: [&'a [u8; 32]; 8],
    pub(super) r: [&'a [u8; 32]; 8],
}

lanes! {
    /// A bit for each lane whose R is a point and whose equation holds.
    pub(super) fn holding(base: &Base, statements: &Statements<'_>) -> u8 {
        let mut k = Digits::<32>::zero();
        let mut s = Digits::<16>::zero();
        for lane in 0..8 {
            k.set_radix_16(lane, &statements.k[lane]);
            s.set_radix_256(lane, statements.s[lane]);
        }
        let keys = statements.keys;
        let (mut low, mut high) = ([&keys[0].low; 8], [&keys[0].high; 8]);
        for lane in 0..8 {
            low[lane] = &keys[lane].low;
            high[lane] = &keys[lane].high;
        }
        let minus_a = small_multiples(&affine_of(low));
        let minus_a_high = small_multiples(&affine_of(high));

        let mut sum = identity();
        for i in (0..32).rev() {
            if i != 31 {
                sum = double(&sum, false);
                sum = double(&sum, false);
                sum = double(&sum, false);
                sum = double(&sum, true);
            }
            let with_base = i % 2 == 0;
            sum = plus(&sum, &chosen(&minus_a, &k.low[i]), true);
            sum = plus(&sum, &chosen(&minus_a_high, &k.high[i]), with_base);
            if with_base {
                sum = plus_affine(&sum, &chosen_row(&base.low, &s.low[i / 2]), true);
                sum = plus_affine(&sum, &chosen_row(&base.high, &s.high[i / 2]), i == 0);
            }
        }
        let (x, y, on_curve) = decompressed(words_of(statements.r));
        let difference = plus_affine(&sum, &affine(&negated(&x), &y), false);
        on_curve & identity_mask(&difference)
    }
}
