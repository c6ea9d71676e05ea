//! Non-negative numbers for recurrences of probabilities: float64 as it is, and float64 with a wider exponent.

/// What the recurrences over positive terms need. There is no subtraction: nothing cancels.
pub(crate) trait Mass: Copy {
    const ZERO: Self;
    const ONE: Self;
    fn from_ln(ln: f64) -> Self;
    fn from_f64(value: f64) -> Self;
    fn ln(self) -> f64;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
}

impl Mass for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    fn from_ln(ln: f64) -> Self {
        ln.exp()
    }
    fn from_f64(value: f64) -> Self {
        value
    }
    fn ln(self) -> f64 {
        f64::ln(self)
    }
    fn plus(self, other: Self) -> Self {
        self + other
    }
    fn times(self, other: Self) -> Self {
        self * other
    }
}

/// `mantissa · 2^(256·blocks)` with the mantissa 0 or in [2⁻¹²⁸, 2¹²⁸): the accuracy of float64 where float64
/// itself would have underflowed long ago.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scaled {
    mantissa: f64,
    blocks: i64,
}

const BLOCK_BITS: i32 = 256;
const LN_BLOCK: f64 = 256.0 * std::f64::consts::LN_2;
/// 2^256, 2^−256, 2^128 and 2^−128, exactly.
const BLOCK: f64 = f64::from_bits(((1023 + BLOCK_BITS) as u64) << 52);
const PER_BLOCK: f64 = f64::from_bits(((1023 - BLOCK_BITS) as u64) << 52);
const HIGH: f64 = f64::from_bits(((1023 + BLOCK_BITS / 2) as u64) << 52);
const LOW: f64 = f64::from_bits(((1023 - BLOCK_BITS / 2) as u64) << 52);

impl Scaled {
    fn settled(mantissa: f64, blocks: i64) -> Self {
        if mantissa >= HIGH {
            Self { mantissa: mantissa * PER_BLOCK, blocks: blocks + 1 }
        } else if mantissa >= LOW {
            Self { mantissa, blocks }
        } else if mantissa > 0.0 {
            Self { mantissa: mantissa * BLOCK, blocks: blocks - 1 }
        } else {
            Self::ZERO
        }
    }
}

impl Mass for Scaled {
    const ZERO: Self = Self { mantissa: 0.0, blocks: i64::MIN / 4 };
    const ONE: Self = Self { mantissa: 1.0, blocks: 0 };

    fn from_ln(ln: f64) -> Self {
        // Far beyond anything that a sum could still show; it keeps exponents of long products in range.
        if ln < -1e12 {
            return Self::ZERO;
        }
        let blocks = (ln / LN_BLOCK).round();
        Self::settled((ln - blocks * LN_BLOCK).exp(), blocks as i64)
    }

    fn from_f64(value: f64) -> Self {
        Self::settled(value, 0)
    }

    fn ln(self) -> f64 {
        if self.mantissa == 0.0 {
            return f64::NEG_INFINITY;
        }
        self.mantissa.ln() + self.blocks as f64 * LN_BLOCK
    }

    fn plus(self, other: Self) -> Self {
        let (big, small) = if self.blocks >= other.blocks { (self, other) } else { (other, self) };
        match big.blocks - small.blocks {
            0 => Self::settled(big.mantissa + small.mantissa, big.blocks),
            1 => Self::settled(big.mantissa + small.mantissa * PER_BLOCK, big.blocks),
            _ => big,
        }
    }

    fn times(self, other: Self) -> Self {
        if self.mantissa == 0.0 || other.mantissa == 0.0 {
            return Self::ZERO;
        }
        Self::settled(self.mantissa * other.mantissa, self.blocks + other.blocks)
    }
}

/// `ln Σ exp(values)`; −∞ for none, or where all are −∞.
pub(crate) fn ln_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + values.map(|v| (v - top).exp()).sum::<f64>().ln()
}

/// `ln(exp a + exp b)`.
pub(crate) fn ln_add_exp(a: f64, b: f64) -> f64 {
    let (big, small) = if a >= b { (a, b) } else { (b, a) };
    if small == f64::NEG_INFINITY { big } else { big + (small - big).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_number_follows_logarithms_far_below_float64() {
        let mut product = Scaled::ONE;
        let mut sum = Scaled::ZERO;
        for k in 1..=400 {
            product = product.times(Scaled::from_ln(-f64::from(k) / 3.0));
            sum = sum.plus(product);
        }
        let ln_product = -f64::from(400 * 401) / 6.0;
        assert!((product.ln() - ln_product).abs() < 1e-9, "{}", product.ln());
        let ln_sum = (1..=400).map(|k: i32| -f64::from(k * (k + 1)) / 6.0);
        assert!((sum.ln() - ln_sum_exp(ln_sum)).abs() < 1e-12);
    }

    #[test]
    fn nothing_times_anything_is_nothing() {
        let tiny = Scaled::from_ln(-1e6);
        assert_eq!(Scaled::ZERO.times(tiny), Scaled::ZERO);
        assert_eq!(Scaled::ZERO.plus(tiny), tiny);
        assert_eq!(Scaled::ZERO.ln(), f64::NEG_INFINITY);
        assert!((tiny.ln() + 1e6).abs() < 1e-6);
    }

    #[test]
    fn sums_align_blocks() {
        for gap in [0.0, 100.0, 177.0, 178.0, 200.0, 354.0, 400.0] {
            let sum = Scaled::from_ln(-300.0).plus(Scaled::from_ln(-300.0 - gap));
            assert!((sum.ln() - ln_add_exp(-300.0, -300.0 - gap)).abs() < 1e-12, "{gap}");
        }
    }
}
