//! Integrals of smooth densities relative to the density itself, so that they cannot underflow.

use super::logs::{Tails, ln_add};

/// A density whose logarithm is known together with how fast it changes.
pub(super) trait Density {
    /// Logarithm of the density.
    fn ln_pdf(&self, x: f64) -> f64;
    /// `ln_pdf(x + d) − ln_pdf(x)` without cancellation.
    fn change(&self, x: f64, d: f64) -> f64;
    /// A step around `x` within which one Gauss–Legendre panel is exact to rounding: at most
    /// `2/|g′|`, `1/√|g″|` and half the distance to a singularity, `g` the logarithm of the density.
    fn step(&self, x: f64) -> f64;
    /// Where the density is largest (or the pole it falls from).
    fn mode(&self) -> f64;
    /// Both tails at `x`.
    fn tails(&self, x: f64) -> Tails;
}

/// Positive nodes and weights of the 8-point Gauss–Legendre rule on `[−1, 1]`.
const RULE: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_47),
    (0.960_289_856_497_536_2, 0.101_228_536_290_376_26),
];

/// Nodes of the rule on `[−half, half]`, with weights that sum to 1.
pub(crate) fn nodes(half: f64) -> impl Iterator<Item = (f64, f64)> {
    RULE.iter().flat_map(move |&(x, w)| [(-half * x, 0.5 * w), (half * x, 0.5 * w)])
}

/// Mean of `f` over `[−half, half]`.
pub(super) fn average(half: f64, f: impl Fn(f64) -> f64) -> f64 {
    0.5 * RULE.iter().map(|&(x, w)| w * (f(-half * x) + f(half * x))).sum::<f64>()
}

/// Panels of one integral: enough for 40 decades of steps that grow by half, a bound for anything else.
const PANELS_MAX: usize = 4000;

/// Logarithm of the integral from `from`, the end where the density is larger, to `to` on either side.
///
/// Stops when what is left cannot matter, which is when a panel's share falls below rounding: away from
/// the mode the panels' integrals fall.
pub(super) fn march(density: &impl Density, from: f64, to: f64) -> f64 {
    if from == to {
        return f64::NEG_INFINITY;
    }
    let sign = if to > from { 1.0 } else { -1.0 };
    let mut at = from;
    let mut total = f64::NEG_INFINITY;
    for _ in 0..PANELS_MAX {
        let left = (to - at).abs();
        let last = left <= density.step(at);
        let width = if last { left } else { density.step(at) };
        let middle = at + sign * 0.5 * width;
        let inner = average(0.5 * width, |d| density.change(middle, d).exp());
        let part = density.ln_pdf(middle) + width.ln() + inner.ln();
        if part.is_nan() {
            break;
        }
        total = ln_add(total, part);
        at += sign * width;
        if last || part < total - 42.0 || at == middle {
            break;
        }
    }
    total
}

/// `ln P(a ≤ D < b)`, `width` being `b − a` (given apart because it may be known better).
pub(super) fn ln_mass(density: &impl Density, a: f64, b: f64, width: f64) -> f64 {
    if width.is_nan() || width <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let middle = a + 0.5 * width;
    if middle.is_finite() && width <= density.step(middle) {
        let inner = average(0.5 * width, |d| density.change(middle, d).exp());
        return density.ln_pdf(middle) + width.ln() + inner.ln();
    }
    let (ln_mass, share) = Tails::between(density.tails(a), density.tails(b));
    if share > 1e-3 || !(a.is_finite() && b.is_finite()) {
        return ln_mass;
    }
    let mode = density.mode();
    if a >= mode {
        march(density, a, b)
    } else if b <= mode {
        march(density, b, a)
    } else {
        ln_add(march(density, mode, a), march(density, mode, b))
    }
}
