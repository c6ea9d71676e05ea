//! sB − kA = R, exactly, in eight lanes that know nothing of each other.
//!
//! s and k are split into halves of 128 bits, with the points 2^128·B and −2^128·A known beforehand, so that there are 128
//! doublings instead of 253. Every 4 of them a digit of each half of k is added (from multiples of −A made on the spot), every
//! 8 a digit of each half of s (from the base point's tables).
//!
//! The point is compared with R in R's encoding, so that R needs no square root. For that it is divided by its Z, of which
//! several groups of eight share one inversion (Montgomery's trick, lane by lane): every Z is a product of non-zero numbers,
//! since the formulas are complete and every key is a point of the curve, so none can spoil another's quotient.

use super::digits::Digits;
use super::field::{encoded_mask, inverse, mul, one};
use super::point::{Point, double, identity, plus, plus_affine};
use super::tables::{Base, KeyRows, affine_of, chosen, chosen_row, small_multiples};
use super::vector::{lanes, words_of};

/// Eight statements of which the left side is to be computed. `k` and `s` are below ℓ.
#[derive(Debug)]
pub(super) struct Statements<'a> {
    pub(super) keys: [&'a KeyRows; 8],
    pub(super) k: [[u8; 32]; 8],
    pub(super) s: [&'a [u8; 32]; 8],
}

/// Most groups that are compared together.
pub(super) const GROUPS: usize = 8;

/// sB − kA of eight lanes, and what it is to be equal to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) sum: Point,
    /// Canonical encodings.
    pub(super) r: [&'a [u8; 32]; 8],
}

lanes! {
    /// sB − kA.
    pub(super) fn sum(base: &Base, statements: &Statements<'_>) -> Point {
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
        sum
    }

    /// For each of at most [`GROUPS`] groups a bit for each lane whose sum has the encoding R.
    pub(super) fn equal(sides: &[Side<'_>]) -> [u8; GROUPS] {
        // before[i] is the product of the Z of the groups before i.
        let mut before = [one(); GROUPS];
        let mut product = one();
        for (before, side) in before.iter_mut().zip(sides) {
            *before = product;
            product = mul(&product, &side.sum.z);
        }
        let mut inverse_of_product = inverse(&product);
        let mut equal = [0; GROUPS];
        for ((equal, before), side) in equal.iter_mut().zip(&before).zip(sides).rev() {
            let inverse_of_z = mul(&inverse_of_product, before);
            inverse_of_product = mul(&inverse_of_product, &side.sum.z);
            let (x, y) = (mul(&side.sum.x, &inverse_of_z), mul(&side.sum.y, &inverse_of_z));
            *equal = encoded_mask(&x, &y, words_of(side.r));
        }
        equal
    }
}
