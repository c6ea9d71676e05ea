//! The gamma distribution with scale 1, which is also the regularised incomplete gamma functions.

use super::logs::{Tails, deviance, ln_1p_minus, ln_add, stirling_error};
use super::quadrature::{Density, march};

const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// Above this shape the series would need thousands of terms; integrating is quicker.
const SERIES_SHAPE_MAX: f64 = 1000.0;
const TERMS_MAX: usize = 4000;

/// Logarithm of `m^k·e^(−m)/Γ(k+1)` for real `k ≥ 0` (Loader's saddle point form: relatively accurate
/// however large both are).
pub(super) fn ln_poisson(k: f64, m: f64) -> f64 {
    if m == 0.0 {
        return if k == 0.0 { 0.0 } else { f64::NEG_INFINITY };
    }
    if m == f64::INFINITY || k == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    if k < 12.0 {
        return k * m.ln() - m - libm::lgamma(k + 1.0);
    }
    -stirling_error(k) - deviance(k, m) - HALF_LN_TAU - 0.5 * k.ln()
}

/// The gamma distribution of some shape and scale 1.
#[derive(Clone, Copy)]
pub(super) struct Gamma {
    pub(super) shape: f64,
}

impl Gamma {
    /// `ln P(D ≤ x)` by `x^s·e^(−x)/Γ(s+1)·Σ xⁿ/((s+1)…(s+n))`.
    fn ln_lower_series(self, x: f64) -> f64 {
        let mut term = 1.0;
        let mut sum = 1.0;
        let mut at = self.shape;
        for _ in 0..TERMS_MAX {
            at += 1.0;
            term *= x / at;
            sum += term;
            if term < 1e-17 * sum {
                break;
            }
        }
        ln_poisson(self.shape, x) + sum.ln()
    }

    /// `ln P(D > x)` by Legendre's continued fraction, `x ≥ s + 1` (modified Lentz).
    fn ln_upper_fraction(self, x: f64) -> f64 {
        const TINY: f64 = 1e-300;
        let s = self.shape;
        let mut b = x + 1.0 - s;
        let mut c = 1.0 / TINY;
        let mut d = 1.0 / b;
        let mut h = d;
        let mut i = 1.0;
        for _ in 0..TERMS_MAX {
            let a = -i * (i - s);
            b += 2.0;
            d = 1.0 / nonzero(a * d + b);
            c = nonzero(b + a / c);
            let factor = c * d;
            h *= factor;
            if (factor - 1.0).abs() < 1e-16 {
                break;
            }
            i += 1.0;
        }
        ln_poisson(s, x) + s.ln() + h.ln()
    }
}

fn nonzero(x: f64) -> f64 {
    if x.abs() < 1e-300 { 1e-300 } else { x }
}

impl Density for Gamma {
    fn ln_pdf(&self, x: f64) -> f64 {
        let s = self.shape;
        if x < 0.0 || x == f64::INFINITY {
            return f64::NEG_INFINITY;
        }
        if x == 0.0 {
            return match s.total_cmp(&1.0) {
                std::cmp::Ordering::Less => f64::INFINITY,
                std::cmp::Ordering::Equal => 0.0,
                std::cmp::Ordering::Greater => f64::NEG_INFINITY,
            };
        }
        if s >= 1.0 { ln_poisson(s - 1.0, x) } else { ln_poisson(s, x) + s.ln() - x.ln() }
    }

    fn change(&self, x: f64, d: f64) -> f64 {
        let u = d / x;
        let power = self.shape - 1.0;
        if power.abs() < 8.0 { power * u.ln_1p() - d } else { power * ln_1p_minus(u) + (power - x) * u }
    }

    fn step(&self, x: f64) -> f64 {
        let power = self.shape - 1.0;
        let slope = (power / x - 1.0).abs();
        let bend = power.abs().sqrt() / x;
        1.0 / (0.5 * slope).max(bend).max(2.0 / x)
    }

    fn mode(&self) -> f64 {
        (self.shape - 1.0).max(0.0)
    }

    fn tails(&self, x: f64) -> Tails {
        let s = self.shape;
        if x <= 0.0 {
            return Tails::NONE;
        }
        if x == f64::INFINITY {
            return Tails::ALL;
        }
        if s > SERIES_SHAPE_MAX {
            return if x < s {
                Tails::from_lower(march(self, x, 0.0))
            } else {
                Tails::from_upper(march(self, x, f64::INFINITY))
            };
        }
        if x >= s + 1.0 {
            return Tails::from_upper(self.ln_upper_fraction(x));
        }
        let lower = self.ln_lower_series(x).min(0.0);
        if s < 1.0 && lower > -0.35 {
            // 1 − P would lose what a small shape puts near 0.
            return Tails { lower, upper: ln_add(march(self, x, 2.0), self.ln_upper_fraction(2.0)) };
        }
        Tails::from_lower(lower)
    }
}
