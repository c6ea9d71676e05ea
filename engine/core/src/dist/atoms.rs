//! Masses of ranges of atoms, for the families of counts.

use super::logs::Tails;
use super::quadrature::average;

/// A distribution on `0, 1, 2, …`; counts are `f64` because they may be beyond any integer type.
pub(super) trait Atoms {
    /// Logarithm of `P(D = k)`, also between the integers (where it interpolates smoothly).
    fn ln_pmf(&self, k: f64) -> f64;
    /// `P(D = k + 1)/P(D = k)`.
    fn ratio(&self, k: f64) -> f64;
    /// Where the mass function is largest, to within rounding.
    fn mode(&self) -> f64;
    /// The largest atom, or infinity.
    fn last(&self) -> f64;
    /// Logarithms of `P(D ≤ k)` and `P(D > k)` for an integer `k` in `0..last`.
    fn tails_inside(&self, k: f64) -> Tails;

    /// Logarithms of `P(D ≤ x)` and `P(D > x)`.
    fn tails(&self, x: f64) -> Tails {
        let k = atom_at_or_below(x);
        if k < 0.0 {
            Tails::NONE
        } else if k >= self.last() {
            Tails::ALL
        } else {
            self.tails_inside(k)
        }
    }
}

/// A number that rounding put this little below an integer counts as that integer.
const SLACK: f64 = 1e-12;

/// The first atom of a bin that starts at `x`.
pub(super) fn atom_at_or_above(x: f64) -> f64 {
    (x - SLACK).ceil()
}

/// The last atom that is not beyond `x`.
pub(super) fn atom_at_or_below(x: f64) -> f64 {
    (x + SLACK).floor()
}

/// `ln P(D = x)`: minus infinity between the atoms.
pub(super) fn ln_pmf(atoms: &impl Atoms, x: f64) -> f64 {
    let k = x.round();
    if (x - k).abs() <= SLACK && k >= 0.0 && k <= atoms.last() { atoms.ln_pmf(k) } else { f64::NEG_INFINITY }
}

/// Bins of at most so many atoms are summed, whatever their shape.
const SUMMED_MAX: f64 = 1024.0;
/// The most atoms looked at in a longer bin before its tails are taken instead.
const TERMS_MAX: usize = 2048;

/// `ln P(a ≤ D < b)`.
pub(super) fn ln_mass(atoms: &impl Atoms, a: f64, b: f64) -> f64 {
    let low = atom_at_or_above(a).max(0.0);
    let high = (atom_at_or_above(b) - 1.0).min(atoms.last());
    if low.is_nan() || high.is_nan() || low > high || low == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    if low == high {
        return atoms.ln_pmf(low);
    }
    let few = high - low < SUMMED_MAX;
    if (few || falls_quickly(atoms, low, high))
        && let Some(ln_mass) = sum(atoms, low, high)
    {
        return ln_mass;
    }
    let (ln_mass, share) = Tails::between(atoms.tails(low - 1.0), atoms.tails(high));
    if share > 1e-3 || high == f64::INFINITY { ln_mass } else { dense(atoms, low, high) }
}

/// Whether so little of the range matters that summing it is quicker than its tails.
fn falls_quickly(atoms: &impl Atoms, low: f64, high: f64) -> bool {
    let start = atoms.mode().clamp(low, high);
    let up = start >= high || atoms.ratio(start) < 0.9;
    let down = start <= low || atoms.ratio(start - 1.0) > 1.1;
    up && down
}

/// Sums from the largest atom outwards; none if that takes too long.
fn sum(atoms: &impl Atoms, low: f64, high: f64) -> Option<f64> {
    let start = atoms.mode().clamp(low, high);
    let mut total = 1.0;
    let mut left = TERMS_MAX;
    let negligible = |term: f64, total: f64| term * (high - low).min(1e6) < 1e-17 * total;
    let (mut k, mut term) = (start, 1.0);
    while k < high {
        left = left.checked_sub(1)?;
        term *= atoms.ratio(k);
        total += term;
        k += 1.0;
        if negligible(term, total) {
            break;
        }
    }
    (k, term) = (start, 1.0);
    while k > low {
        left = left.checked_sub(1)?;
        k -= 1.0;
        term /= atoms.ratio(k);
        total += term;
        if negligible(term, total) {
            break;
        }
    }
    Some(atoms.ln_pmf(start) + total.ln())
}

/// Many atoms that are together a small part of their tail: the mass function changes so little from one atom
/// to the next that its integral over `[low − ½, high + ½]` is their sum to rounding.
///
/// A mass function may have a pole just below 0 (negative binomial, `r < 1`): the first atoms are summed, and
/// the panels after them are no wider than half their distance from 0.
fn dense(atoms: &impl Atoms, low: f64, high: f64) -> f64 {
    let mut parts: Vec<f64> = Vec::new();
    let mut at = low - 0.5;
    if low < SUMMED_MAX {
        let until = (low + SUMMED_MAX).min(high);
        parts.extend(sum(atoms, low, until));
        at = until + 0.5;
    }
    let end = high + 0.5;
    while at < end {
        let width = (end - at).min(0.5 * at);
        let middle = at + 0.5 * width;
        let base = atoms.ln_pmf(middle);
        let inner = average(0.5 * width, |d| (atoms.ln_pmf(middle + d) - base).exp());
        parts.push(base + width.ln() + inner.ln());
        if at + width <= at {
            break;
        }
        at += width;
    }
    super::logs::ln_sum(parts.iter().copied())
}
