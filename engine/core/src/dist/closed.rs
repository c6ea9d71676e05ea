//! Families whose masses are elementary: exponential, Weibull, uniform, Laplace and logistic.

use super::logs::{Tails, ln_1m_exp, softplus};
use std::f64::consts::LN_2;

/// `ln P(a ≤ D < b)` of the standard exponential for `a ≥ 0`: `e^(−a)·(1 − e^(−width))`.
pub(super) fn exponential_ln_mass(a: f64, width: f64) -> f64 {
    if width.is_nan() || width <= 0.0 || a == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    ln_1m_exp(width) - a
}

/// Both tails of the standard exponential.
pub(super) fn exponential_tails(x: f64) -> Tails {
    if x <= 0.0 { Tails::NONE } else { Tails::from_upper(-x) }
}

/// The Weibull distribution with scale 1; `D^shape` is standard exponential.
#[derive(Clone, Copy)]
pub(super) struct Weibull {
    pub(super) shape: f64,
    pub(super) scale: f64,
}

impl Weibull {
    /// `ln((x/scale)^shape)` for `x > 0`: near the scale the quotient's rounding would count `shape` times.
    fn ln_power(self, x: f64) -> f64 {
        let u = (x - self.scale) / self.scale;
        let ln = if u.abs() <= 0.5 { u.ln_1p() } else { x.ln() - self.scale.ln() };
        self.shape * ln
    }

    pub(super) fn ln_pdf(self, x: f64) -> f64 {
        if x < 0.0 || x == f64::INFINITY {
            return f64::NEG_INFINITY;
        }
        let at_zero = if x == 0.0 { self.ln_pole() } else { None };
        at_zero.unwrap_or_else(|| {
            let ln_power = self.ln_power(x);
            (self.shape / x).ln() + ln_power - ln_power.exp()
        })
    }

    fn ln_pole(self) -> Option<f64> {
        Some(match self.shape.total_cmp(&1.0) {
            std::cmp::Ordering::Less => f64::INFINITY,
            std::cmp::Ordering::Equal => -self.scale.ln(),
            std::cmp::Ordering::Greater => f64::NEG_INFINITY,
        })
    }

    pub(super) fn tails(self, x: f64) -> Tails {
        if x <= 0.0 {
            return Tails::NONE;
        }
        let ln_power = self.ln_power(x);
        if ln_power < -40.0 {
            return Tails { lower: ln_power, upper: -ln_power.exp() };
        }
        Tails::from_upper(-ln_power.exp())
    }

    pub(super) fn ln_mass(self, a: f64, b: f64) -> f64 {
        if a <= 0.0 {
            return self.tails(b).lower;
        }
        let from = self.ln_power(a);
        // b^shape − a^shape = a^shape·((b/a)^shape − 1).
        let growth = self.shape * ((b - a) / a).ln_1p();
        let ln_width = from + if growth > 40.0 { growth } else { growth.exp_m1().ln() };
        let ln_share = if ln_width < -40.0 { ln_width } else { ln_1m_exp(ln_width.exp()) };
        let start = from.exp();
        if start == f64::INFINITY { f64::NEG_INFINITY } else { ln_share - start }
    }
}

/// `ln P(a ≤ D < b)` of the uniform distribution on `[low, high]`.
pub(super) fn uniform_ln_mass(low: f64, high: f64, a: f64, b: f64) -> f64 {
    let overlap = b.min(high) - a.max(low);
    if overlap > 0.0 { (overlap / (high - low)).ln() } else { f64::NEG_INFINITY }
}

/// Both tails of the uniform distribution.
pub(super) fn uniform_tails(low: f64, high: f64, x: f64) -> Tails {
    if x <= low {
        Tails::NONE
    } else if x >= high {
        Tails::ALL
    } else if x - low < high - x {
        Tails::from_lower(((x - low) / (high - low)).ln())
    } else {
        Tails::from_upper(((high - x) / (high - low)).ln())
    }
}

/// `ln P(a ≤ D < b)` of the standard Laplace distribution.
pub(super) fn laplace_ln_mass(a: f64, b: f64, width: f64) -> f64 {
    if a >= 0.0 {
        exponential_ln_mass(a, width) - LN_2
    } else if b <= 0.0 {
        exponential_ln_mass(-b, width) - LN_2
    } else {
        (-0.5 * (a.exp_m1() + (-b).exp_m1())).ln()
    }
}

/// Both tails of the standard Laplace distribution.
pub(super) fn laplace_tails(z: f64) -> Tails {
    if z >= 0.0 { Tails::from_upper(-z - LN_2) } else { Tails::from_lower(z - LN_2) }
}

/// `ln P(a ≤ D < b)` of the standard logistic distribution,
/// `(1 − e^(−width))/((1 + e^a)(1 + e^(−b)))`.
pub(super) fn logistic_ln_mass(a: f64, b: f64, width: f64) -> f64 {
    if width.is_nan() || width <= 0.0 || a == f64::INFINITY || b == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    ln_1m_exp(width) - softplus(a) - softplus(-b)
}

/// Both tails of the standard logistic distribution.
pub(super) fn logistic_tails(z: f64) -> Tails {
    Tails { lower: -softplus(-z), upper: -softplus(z) }
}

/// Logarithm of the standard logistic density.
pub(super) fn logistic_ln_pdf(z: f64) -> f64 {
    -z.abs() - 2.0 * (-z.abs()).exp().ln_1p()
}
