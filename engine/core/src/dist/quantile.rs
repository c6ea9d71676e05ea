//! Quantiles, by bisection on the representable numbers.

use super::atoms::atom_at_or_below;
use super::logs::ln_1m_exp;
use super::{Distribution, Family};

/// The smallest `x` with `P(D ≤ x) ≥ p`, to the rounding of the tails.
pub(super) fn quantile(of: &Distribution, p: f64) -> f64 {
    if p.is_nan() {
        return f64::NAN;
    }
    let (low, high) = of.support();
    if p <= 0.0 {
        return low;
    }
    if p >= 1.0 {
        return high;
    }
    // Whether P(D ≤ x) reaches p, on the side where that is accurate. A tail that equals p but for rounding
    // has reached it: else the median of a fair coin would depend on the last bit.
    let slack = if of.has_atoms() { 1e-13 } else { 0.0 };
    let reached = |x: f64| {
        let tails = of.tails(x);
        if p < 0.5 { tails.lower >= p.ln() - slack } else { tails.upper <= ln_1m_exp(-p.ln()) + slack }
    };
    if of.is_discrete() && !matches!(of.family(), Family::Mixture { .. }) {
        return first_atom(of, &reached, low, high);
    }
    let found = first_float(&reached, low, high);
    if of.has_atoms() { snap(of, found) } else { found }
}

/// Bisects the integers.
fn first_atom(of: &Distribution, reached: &impl Fn(f64) -> bool, low: f64, high: f64) -> f64 {
    let offset = of.offset();
    let (mut below, mut above) = (-1.0, 1.0);
    let last = high - offset;
    while !reached(above + offset) && above < last {
        below = above;
        above = (above * 2.0).min(last);
    }
    if reached(low) {
        return low;
    }
    for _ in 0..1100 {
        let middle = (below + 0.5 * (above - below)).floor();
        if middle <= below || middle >= above {
            break;
        }
        if reached(middle + offset) { above = middle } else { below = middle }
    }
    above + offset
}

/// Bisects the bit patterns in their numeric order: at most 64 steps, whatever the scale.
fn first_float(reached: &impl Fn(f64) -> bool, low: f64, high: f64) -> f64 {
    let (mut below, mut above) = (rank(low), rank(high));
    while above.saturating_sub(below) > 1 {
        let middle = below + (above - below) / 2;
        if reached(unrank(middle)) { above = middle } else { below = middle }
    }
    unrank(above)
}

/// Position of a number among all `f64`.
fn rank(x: f64) -> i128 {
    let bits = i128::from(x.abs().to_bits());
    if x.is_sign_negative() { -bits } else { bits }
}

fn unrank(rank: i128) -> f64 {
    let x = f64::from_bits(u64::try_from(rank.unsigned_abs()).unwrap_or(0));
    if rank < 0 { -x } else { x }
}

/// An atom counts from a little below itself; this moves an `x` where one begins to count onto it.
fn snap(of: &Distribution, x: f64) -> f64 {
    match of.family() {
        Family::Mixture { .. } => {
            let inner = x - of.offset();
            let moved = of.parts().map(|(_, part)| snap(part, inner)).find(|&to| to != inner);
            moved.map_or(x, |to| to + of.offset())
        }
        _ if of.is_discrete() => {
            let atom_before = |x: f64| atom_at_or_below(x - of.offset());
            let k = atom_before(x);
            if atom_before(x.next_down()) < k { k + of.offset() } else { x }
        }
        _ => x,
    }
}
