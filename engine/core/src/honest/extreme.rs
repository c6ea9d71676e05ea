//! `min` and `max`: the extreme of the readings that arrived.

use crate::arrivals::Arrivals;
use crate::dist::Distribution;
use crate::number::{Mass, Scaled, ln_add_exp, ln_sum_exp};
use crate::support::Support;

/// The extreme of m independent readings, of which late ones are not seen.
///
/// Given X = x, one reading J (any alike) is x itself and the others lie beyond it. If J arrives, the report is x: an
/// atom of mass `Σ p_J / m`. If not, the report is the extreme of what arrived of the others, each beyond u with
/// probability `S(u)/S(x)`: `P(beyond u) = Π_{j≠J} (q_j + p_j·S(u)/S(x))`.
///
/// The mass of a bin is the difference of two such products. Subtracted, it loses the tail; instead it is written as
/// a telescoping sum of positive terms, `Π a − Π b = Σ_i Π_{j<i} a_j · (a_i − b_i) · Π_{j>i} b_j`, in which
/// `a_i − b_i = p_i·(S(near) − S(far))/S(x)` is a mass of the source.
#[derive(Clone, Debug)]
pub(crate) struct Extreme {
    support: Support,
    side: Side,
    source: Distribution,
    messages: Vec<(Scaled, Scaled)>,
    ln_atom: f64,
}

/// Which extreme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Min,
    Max,
}

impl Extreme {
    pub(crate) fn new(support: Support, side: Side, arrivals: &Arrivals, source: Distribution) -> Self {
        let scaled = |ln: f64| Scaled::from_ln(ln);
        let messages = arrivals.oldest_first();
        let ln_in_time = ln_sum_exp(messages.iter().map(|a| a.ln_in_time));
        Self {
            support,
            side,
            source,
            ln_atom: ln_in_time - (messages.len() as f64).ln(),
            messages: messages.iter().map(|a| (scaled(a.ln_in_time), scaled(a.ln_late))).collect(),
        }
    }

    pub(crate) fn messages(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn row(&self, i: i64, row: &mut [f64]) {
        for (s, cell) in row.iter_mut().enumerate() {
            *cell = self.ln_mass(i, s);
        }
    }

    fn ln_mass(&self, i: i64, s: usize) -> f64 {
        let x = self.support.point(s);
        let ln_beyond_x = self.ln_beyond(x);
        if ln_beyond_x == f64::NEG_INFINITY {
            return f64::NEG_INFINITY;
        }
        let atom = if i == self.support.bin(x) { self.ln_atom } else { f64::NEG_INFINITY };
        ln_add_exp(atom, self.ln_spread(i, x, ln_beyond_x))
    }

    /// The part in which the extreme message itself was late.
    fn ln_spread(&self, i: i64, x: f64, ln_beyond_x: f64) -> f64 {
        let (centre, half) = (self.support.centre(i), self.support.step() / 2.0);
        // The end of the bin nearer to x, cut off at x, and the farther one.
        let (near, far, ln_source) = match self.side {
            Side::Min => {
                let (near, far) = ((centre - half).max(x), centre + half);
                (near, far, self.source.ln_mass(near, far))
            }
            Side::Max => {
                let (near, far) = ((centre + half).min(x), centre - half);
                (near, far, self.source.ln_mass(far, near))
            }
        };
        if ln_source == f64::NEG_INFINITY {
            return f64::NEG_INFINITY;
        }
        let beyond = |u: f64| Scaled::from_ln((self.ln_beyond(u) - ln_beyond_x).min(0.0));
        let ways = self.ways(beyond(near), beyond(far));
        ln_source - ln_beyond_x + ways.ln() - (self.messages.len() as f64).ln()
    }

    /// `ln S(u)` for the minimum, `ln F(u)` for the maximum: that a reading lies beyond u.
    fn ln_beyond(&self, u: f64) -> f64 {
        match self.side {
            Side::Min => self.source.ln_sf(u),
            Side::Max => self.source.ln_cdf(u),
        }
    }

    /// `Σ_J q_J Σ_{i≠J} p_i Π_{j<i} (q_j + p_j·near) Π_{j>i} (q_j + p_j·far)`, j ≠ J, in one pass over the messages:
    /// what has been chosen so far is neither, i only, J only, or both.
    fn ways(&self, near: Scaled, far: Scaled) -> Scaled {
        let (mut neither, mut i_only, mut j_only, mut both) =
            (Scaled::ONE, Scaled::ZERO, Scaled::ZERO, Scaled::ZERO);
        for &(p, q) in &self.messages {
            let a = q.plus(p.times(near));
            let b = q.plus(p.times(far));
            both = both.times(b).plus(j_only.times(p)).plus(i_only.times(q));
            i_only = i_only.times(b).plus(neither.times(p));
            j_only = j_only.times(a).plus(neither.times(q));
            neither = neither.times(a);
        }
        both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same mass by subtracting survival products, where those are far from cancelling.
    fn by_subtraction(p: &[f64], survival: impl Fn(f64) -> f64, x: f64, low: f64, high: f64) -> f64 {
        let beyond = |u: f64| {
            let m = p.len();
            (0..m)
                .map(|late| {
                    let others = (0..m).filter(|&j| j != late);
                    (1.0 - p[late])
                        * others.map(|j| 1.0 - p[j] + p[j] * survival(u) / survival(x)).product::<f64>()
                })
                .sum::<f64>()
                / m as f64
        };
        beyond(low.max(x)) - beyond(high)
    }

    #[test]
    fn the_telescoping_sum_is_the_difference_of_products() {
        let source = Distribution::exponential(2.0).unwrap();
        let hop = Distribution::exponential(0.02).unwrap();
        let arrivals = Arrivals::new(&[0.0, 0.01, 0.03, 0.04], Some(&hop), Some(0.05));
        let p: Vec<f64> = arrivals.oldest_first().iter().map(|a| a.ln_in_time.exp()).collect();
        let support = Support::new(0.0, 0.25, 20).unwrap();
        let model = Extreme::new(support, Side::Min, &arrivals, source);
        for (i, s) in [(4, 4), (5, 4), (9, 2), (19, 0), (3, 7)] {
            let (x, v) = (support.point(s as usize), support.centre(i));
            let atom = if i == s { p.iter().sum::<f64>() / 4.0 } else { 0.0 };
            let spread = by_subtraction(&p, |u| (-u / 2.0).exp(), x, v - 0.125, v + 0.125).max(0.0);
            let found = model.ln_mass(i, s as usize).exp();
            assert!((found - atom - spread).abs() < 1e-14, "{i} {s}: {found} {}", atom + spread);
        }
    }

    #[test]
    fn the_maximum_mirrors_the_minimum() {
        let hop = Distribution::exponential(0.02).unwrap();
        let arrivals = Arrivals::new(&[0.0, 0.01, 0.03, 0.04], Some(&hop), Some(0.05));
        let support = Support::new(-4.0, 0.5, 17).unwrap();
        let normal = Distribution::normal(0.0, 1.0).unwrap();
        let min = Extreme::new(support, Side::Min, &arrivals, normal.clone());
        let max = Extreme::new(support, Side::Max, &arrivals, normal);
        for i in -40..60 {
            for s in 0..17 {
                let (a, b) = (min.ln_mass(i, s), max.ln_mass(16 - i, 16 - s));
                assert!(a == b || (a - b).abs() < 1e-9 * a.abs(), "{i} {s}: {a} {b}");
            }
        }
    }
}
