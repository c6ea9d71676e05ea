//! Scalars as signed digits: the two 128-bit halves of a number below 2^253, in radix 16 or 256.
//!
//! With digits from −8 to 7 (−128 to 127) a table needs half the multiples. What the low half carries out goes into the
//! high half; the high half is below 2^125 and carries nothing out.

/// Digit `i` of both halves, a row for each `i`, a lane for each scalar.
#[derive(Clone, Debug)]
pub(super) struct Digits<const N: usize> {
    pub(super) low: [[i16; 8]; N],
    pub(super) high: [[i16; 8]; N],
}

impl<const N: usize> Digits<N> {
    pub(super) const fn zero() -> Self {
        Self { low: [[0; 8]; N], high: [[0; 8]; N] }
    }
}

impl Digits<32> {
    /// Sets `lane` to the digits of `scalar` (little-endian, below 2^253) in radix 16.
    pub(super) fn set_radix_16(&mut self, lane: usize, scalar: &[u8; 32]) {
        let digit = |half: &[u8], i: usize| i16::from(half[i / 2] >> (4 * (i % 2)) & 15);
        let (low, high) = scalar.split_at(16);
        let carry = recode(&mut self.low, lane, 16, 0, |i| digit(low, i));
        recode(&mut self.high, lane, 16, carry, |i| digit(high, i));
    }
}

impl Digits<16> {
    /// Sets `lane` to the digits of `scalar` (little-endian, below 2^253) in radix 256.
    pub(super) fn set_radix_256(&mut self, lane: usize, scalar: &[u8; 32]) {
        let (low, high) = scalar.split_at(16);
        let carry = recode(&mut self.low, lane, 256, 0, |i| i16::from(low[i]));
        recode(&mut self.high, lane, 256, carry, |i| i16::from(high[i]));
    }
}

/// Digits 0 … radix − 1 to −radix/2 … radix/2 − 1; gives what is carried out.
fn recode<const N: usize>(
    rows: &mut [[i16; 8]; N],
    lane: usize,
    radix: i16,
    carry: i16,
    digit: impl Fn(usize) -> i16,
) -> i16 {
    let mut carry = carry;
    for (i, row) in rows.iter_mut().enumerate() {
        let with_carry = digit(i) + carry;
        carry = i16::from(with_carry >= radix / 2);
        row[lane] = with_carry - carry * radix;
    }
    carry
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::scalar::Scalar;
    use proptest::prelude::*;

    fn value<const N: usize>(digits: &Digits<N>, lane: usize, radix: u64) -> Scalar {
        let rows = digits.high.iter().rev().chain(digits.low.iter().rev());
        rows.fold(Scalar::ZERO, |sum, row| {
            let digit = row[lane];
            let magnitude = Scalar::from(u64::from(digit.unsigned_abs()));
            sum * Scalar::from(radix) + if digit < 0 { -magnitude } else { magnitude }
        })
    }

    fn check(scalar: Scalar, lane: usize) {
        let (mut by_16, mut by_256) = (Digits::<32>::zero(), Digits::<16>::zero());
        by_16.set_radix_16(lane, scalar.as_bytes());
        by_256.set_radix_256(lane, scalar.as_bytes());
        assert_eq!(value(&by_16, lane, 16), scalar);
        assert_eq!(value(&by_256, lane, 256), scalar);
        assert!(by_16.low.iter().chain(&by_16.high).all(|row| (-8..8).contains(&row[lane])));
        assert!(by_256.low.iter().chain(&by_256.high).all(|row| (-128..128).contains(&row[lane])));
    }

    #[test]
    fn the_ends_of_the_range() {
        for scalar in [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, -Scalar::from(8_u64), Scalar::from(u128::MAX)]
        {
            (0..8).for_each(|lane| check(scalar, lane));
        }
    }

    proptest! {
        #[test]
        fn digits_add_up_to_their_scalar(bytes: [u8; 32], lane in 0..8_usize) {
            check(Scalar::from_bytes_mod_order(bytes), lane);
        }
    }
}
