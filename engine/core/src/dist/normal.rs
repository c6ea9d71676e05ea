//! The standard normal distribution.

use super::logs::Tails;
use super::quadrature::average;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// Logarithm of the density.
pub(super) fn ln_pdf(z: f64) -> f64 {
    -0.5 * z * z - HALF_LN_TAU
}

/// `ln P(Z > z)` for `z ≥ 0`: `erfcx` carries the part that is not the exponential.
fn ln_upper(z: f64) -> f64 {
    if z == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    puruspe::erfcx(z * FRAC_1_SQRT_2).ln() - LN_2 - 0.5 * z * z
}

/// Both tails at `z`.
pub(super) fn tails(z: f64) -> Tails {
    if z >= 0.0 { Tails::from_upper(ln_upper(z)) } else { Tails::from_lower(ln_upper(-z)) }
}

/// `ln P(a ≤ Z < b)`, `width` being `b − a`.
pub(super) fn ln_mass(a: f64, b: f64, width: f64) -> f64 {
    if width.is_nan() || width <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // The half line where the mass is small: the nearer end is `a` from here on.
    let (a, b) = if a + b < 0.0 { (-b, -a) } else { (a, b) };
    let middle = a + 0.5 * width;
    if width * middle.max(1.0) <= 1.0 {
        let inner = average(0.5 * width, |d| (-d * (middle + 0.5 * d)).exp());
        return ln_pdf(middle) + width.ln() + inner.ln();
    }
    if a < 0.0 {
        let outside = libm::erfc(-a * FRAC_1_SQRT_2) + libm::erfc(b * FRAC_1_SQRT_2);
        return (-0.5 * outside).ln_1p();
    }
    if a == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    let near = puruspe::erfcx(a * FRAC_1_SQRT_2);
    let drop = (-width * (a + 0.5 * width)).exp();
    let rest = if drop > 0.0 { puruspe::erfcx(b * FRAC_1_SQRT_2) / near * drop } else { 0.0 };
    near.ln() - LN_2 - 0.5 * a * a + (-rest).ln_1p()
}
