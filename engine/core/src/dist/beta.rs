//! The regularised incomplete beta function in log space.

use super::logs::{Tails, deviance, ln_1p_minus, stirling_error};
use super::quadrature::{Density, march};
use std::f64::consts::PI;

const FRACTION_TERMS_MAX: usize = 400;

/// Logarithm of `Γ(n+1)/(Γ(k+1)·Γ(j+1))·x^k·y^j` with `n = k + j`, for real `k, j ≥ 0` and `x + y = 1`
/// (Loader's saddle point form).
pub(super) fn ln_binomial(k: f64, j: f64, x: f64, y: f64) -> f64 {
    let n = k + j;
    if k == 0.0 {
        return if j == 0.0 { 0.0 } else { j * ln_of_one_minus(y, x) };
    }
    if j == 0.0 {
        return k * ln_of_one_minus(x, y);
    }
    if x == 0.0 || y == 0.0 {
        return f64::NEG_INFINITY;
    }
    stirling_error(n) - stirling_error(k) - stirling_error(j) - deviance(k, n * x) - deviance(j, n * y)
        + 0.5 * (n.ln() - (2.0 * PI).ln() - k.ln() - j.ln())
}

/// `ln y` where `other = 1 − y` may know it better.
fn ln_of_one_minus(y: f64, other: f64) -> f64 {
    if other < 0.5 { (-other).ln_1p() } else { y.ln() }
}

/// The beta distribution on `(0, 1)`, density `∝ x^(a−1)·(1−x)^(b−1)`.
#[derive(Clone, Copy)]
struct Beta {
    a: f64,
    b: f64,
}

impl Density for Beta {
    fn ln_pdf(&self, x: f64) -> f64 {
        let y = 1.0 - x;
        ln_binomial(self.a, self.b, x, y) + ln_harmonic(self.a, self.b) - x.ln() - (-x).ln_1p()
    }

    fn change(&self, x: f64, d: f64) -> f64 {
        let y = 1.0 - x;
        let (p, q) = (self.a - 1.0, self.b - 1.0);
        p * ln_1p_minus(d / x) + q * ln_1p_minus(-d / y) + d * ((p * y - q * x) / (x * y))
    }

    fn step(&self, x: f64) -> f64 {
        let y = 1.0 - x;
        let (p, q) = (self.a - 1.0, self.b - 1.0);
        let slope = ((p * y - q * x) / (x * y)).abs();
        let bend = (p.abs() / (x * x) + q.abs() / (y * y)).sqrt();
        1.0 / (0.5 * slope).max(bend).max(2.0 / x).max(2.0 / y)
    }

    fn mode(&self) -> f64 {
        self.a / (self.a + self.b)
    }

    fn tails(&self, x: f64) -> Tails {
        tails(self.a, self.b, x, 1.0 - x)
    }
}

/// `ln(a·b/(a+b))`.
fn ln_harmonic(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    small.ln() - (small / large).ln_1p()
}

/// Logarithms of `I_x(a, b)` and `I_y(b, a) = 1 − I_x(a, b)`, `x + y = 1` (both given, as one of them may be tiny).
pub(super) fn tails(a: f64, b: f64, x: f64, y: f64) -> Tails {
    if x <= 0.0 {
        return Tails::NONE;
    }
    if y <= 0.0 {
        return Tails::ALL;
    }
    // x against (a+1)/(a+b+2), without subtracting.
    if x * (b + 1.0) > y * (a + 1.0) {
        return tails_near_zero(b, a, y, x).mirrored();
    }
    tails_near_zero(a, b, x, y)
}

fn tails_near_zero(a: f64, b: f64, x: f64, y: f64) -> Tails {
    if let Some(fraction) = fraction(a, b, x, y) {
        let lower = (ln_prefactor(a, b, x, y) + fraction).min(0.0);
        if lower < -0.35 {
            return Tails::from_lower(lower);
        }
        // Little is left above: take that from its own fraction where it still converges.
        if let Some(other) = self::fraction(b, a, y, x) {
            return Tails { lower, upper: (ln_prefactor(b, a, y, x) + other).min(0.0) };
        }
        return Tails::from_lower(lower);
    }
    // Slow only where a and b are both large, so the density is smooth; x ≤ ½ is the precise coordinate.
    if x > y {
        return march_tails(b, a, y).mirrored();
    }
    march_tails(a, b, x)
}

fn march_tails(a: f64, b: f64, x: f64) -> Tails {
    let beta = Beta { a, b };
    if x < beta.mode() {
        Tails::from_lower(march(&beta, x, 0.0))
    } else {
        Tails::from_upper(march(&beta, x, 1.0))
    }
}

/// `ln(x^a·y^b/(a·B(a, b)))`.
fn ln_prefactor(a: f64, b: f64, x: f64, y: f64) -> f64 {
    ln_binomial(a, b, x, y) - (a / b).ln_1p()
}

/// Logarithm of `I_x(a, b)·a·B(a, b)/(x^a·y^b)` by a continued fraction (modified Lentz); none if it converges slowly.
///
/// The even part of the usual fraction, in a form where `x` near 1 does not cancel: what is small there is
/// `λ = a − (a+b)·x = a·y − b·x` (Didonato and Morris, ACM TOMS 18, 1992).
fn fraction(a: f64, b: f64, x: f64, y: f64) -> Option<f64> {
    let nonzero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let lambda = a * y - b * x;
    let mut h = nonzero(a / (a + 1.0) * (lambda + 1.0));
    let mut c = h;
    let mut d = 0.0;
    let mut n = 1.0;
    for _ in 0..FRACTION_TERMS_MAX {
        let odd = a + 2.0 * n - 1.0;
        let common = n * (b - n) * x / odd;
        let alpha = (a + n - 1.0) / odd * (a + b + n - 1.0) * x * common;
        let beta = n + common + (a + n) / (odd + 2.0) * (lambda + 1.0 + n * (1.0 + y));
        d = 1.0 / nonzero(beta + alpha * d);
        c = nonzero(beta + alpha / c);
        let factor = c * d;
        h *= factor;
        if (factor - 1.0).abs() <= 2.3e-16 {
            return (h > 0.0).then(|| a.ln() - h.ln());
        }
        n += 1.0;
    }
    None
}
