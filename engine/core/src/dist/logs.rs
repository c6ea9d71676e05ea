//! Arithmetic on logarithms, and logarithms without cancellation.

use std::f64::consts::LN_2;

/// Logarithms of `P(D ≤ x)` and `P(D > x)`; the smaller of the two is relatively accurate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tails {
    pub(super) lower: f64,
    pub(super) upper: f64,
}

impl Tails {
    /// Everything lies above.
    pub(super) const NONE: Self = Self { lower: f64::NEG_INFINITY, upper: 0.0 };
    /// Everything lies at or below.
    pub(super) const ALL: Self = Self { lower: 0.0, upper: f64::NEG_INFINITY };

    /// Both from the logarithm of the lower one.
    pub(super) fn from_lower(lower: f64) -> Self {
        let lower = lower.min(0.0);
        Self { lower, upper: ln_1m_exp(-lower) }
    }

    /// Both from the logarithm of the upper one.
    pub(super) fn from_upper(upper: f64) -> Self {
        Self::from_lower(upper).mirrored()
    }

    pub(super) fn mirrored(self) -> Self {
        Self { lower: self.upper, upper: self.lower }
    }

    /// Logarithm of the mass between two points and its share of the tail it was taken from: the
    /// relative error of the tails grows by the inverse of the share.
    pub(super) fn between(from: Self, to: Self) -> (f64, f64) {
        let (all, rest) = if from.upper <= -LN_2 {
            (from.upper, to.upper)
        } else if to.lower <= -LN_2 {
            (to.lower, from.lower)
        } else {
            let outside = from.lower.exp() + to.upper.exp();
            return ((-outside).ln_1p(), 1.0 - outside);
        };
        if all == f64::NEG_INFINITY {
            return (f64::NEG_INFINITY, 1.0);
        }
        let share = -(rest - all).exp_m1();
        (all + share.ln(), share)
    }
}

/// `ln(1 − e^(−x))` for `x ≥ 0`.
pub(super) fn ln_1m_exp(x: f64) -> f64 {
    if x > LN_2 { (-(-x).exp()).ln_1p() } else { (-(-x).exp_m1()).ln() }
}

/// `ln(1 + e^x)`.
pub(super) fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// `ln(e^x + e^y)`.
pub(super) fn ln_add(x: f64, y: f64) -> f64 {
    let (high, low) = if x >= y { (x, y) } else { (y, x) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// `ln(1 + u) − u` without cancellation, for `u > −1`.
///
/// With `s = u/(2+u)` the logarithm is `2(s + s³/3 + s⁵/5 + …)` and `u = 2s/(1−s)`, so that the difference is
/// `2s³(1/3 + s²/5 + …) − u·s`, whose terms never cancel to less than a third of the larger.
pub(super) fn ln_1p_minus(u: f64) -> f64 {
    if !(-0.4..=0.7).contains(&u) {
        return u.ln_1p() - u;
    }
    let s = u / (2.0 + u);
    let s2 = s * s;
    let mut power = 1.0;
    let mut sum = 0.0;
    let mut odd = 3.0;
    loop {
        let term = power / odd;
        sum += term;
        if term <= 1e-17 * sum {
            return s * (2.0 * s2 * sum - u);
        }
        power *= s2;
        odd += 2.0;
    }
}

/// `δ(x) = lnΓ(x+1) − (x+½)·ln x + x − ½·ln 2π` for `x > 0`, the error of Stirling's formula.
pub(super) fn stirling_error(x: f64) -> f64 {
    const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;
    if x < 12.0 {
        return libm::lgamma(x + 1.0) - (x + 0.5) * x.ln() + x - HALF_LN_TAU;
    }
    // B(2k)/(2k(2k−1)), k = 8 … 1; the first term left out is below 1e-18 from x = 12 on.
    const SERIES: [f64; 8] = [
        -0.029_550_653_594_771_242,
        0.006_410_256_410_256_41,
        -0.001_917_526_917_526_917_5,
        0.000_841_750_841_750_841_8,
        -0.000_595_238_095_238_095_2,
        0.000_793_650_793_650_793_7,
        -0.002_777_777_777_777_778,
        0.083_333_333_333_333_33,
    ];
    let inverse2 = 1.0 / (x * x);
    SERIES.iter().fold(0.0, |sum, c| sum * inverse2 + c) / x
}

/// `x·ln(x/m) + m − x ≥ 0`, the deviance of `x` from `m`, for positive `x` and `m`.
pub(super) fn deviance(x: f64, m: f64) -> f64 {
    let u = (m - x) / x;
    if (-0.4..=0.7).contains(&u) {
        return -x * ln_1p_minus(u);
    }
    // x/m may leave the range of f64 where its logarithm does not.
    x * (x.ln() - m.ln()) + (m - x)
}

/// `ln Σ e^x`.
pub(super) fn ln_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY { top } else { top + terms.map(|x| (x - top).exp()).sum::<f64>().ln() }
}
