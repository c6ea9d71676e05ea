//! `count`: the number of successes among the messages that arrived.

use super::mixture_moments;
use crate::arrivals::Arrivals;
use crate::number::{Mass, Scaled};
use crate::support::Support;

/// `g(v | x)`: of m messages x are successes, any x of them alike; v of these arrive in time.
///
/// By a recurrence over messages: given that x of the first j + 1 are successes, message j + 1 is one of them with
/// probability x/(j + 1), whatever the probability of a success. All terms are positive.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    support: Support,
    messages: usize,
    /// `ln g(v | x)`, row v, column x, both 0 … m.
    table: Vec<f64>,
}

/// A value this close to an integer is one.
const INTEGER_SLACK: f64 = 1e-9;

impl Count {
    pub(crate) fn new(support: Support, arrivals: &Arrivals) -> Self {
        Self { support, messages: arrivals.len(), table: ln_given_successes(arrivals) }
    }

    pub(crate) fn row(&self, i: i64, row: &mut [f64]) {
        let reported = self.whole(self.support.centre(i));
        for (s, cell) in row.iter_mut().enumerate() {
            *cell = match (reported, self.whole(self.support.point(s))) {
                (Some(v), Some(x)) => self.table[v * (self.messages + 1) + x],
                _ => f64::NEG_INFINITY,
            };
        }
    }

    /// Mean and variance of the report when `X` is grid point `s`; none where that is no number of messages.
    pub(crate) fn moments(&self, s: usize) -> Option<(f64, f64)> {
        let (x, width) = (self.whole(self.support.point(s))?, self.messages + 1);
        mixture_moments((0..=x).map(|v| (self.table[v * width + x].exp(), v as f64, 0.0)))
    }

    /// `value` as a number of messages, where it is one.
    fn whole(&self, value: f64) -> Option<usize> {
        let nearest = value.round();
        let fits =
            (value - nearest).abs() <= INTEGER_SLACK && nearest >= 0.0 && nearest <= self.messages as f64;
        fits.then_some(nearest as usize)
    }
}

/// `ln g(v | x)` in float64 where that holds every entry, with a wider exponent where it does not.
fn ln_given_successes(arrivals: &Arrivals) -> Vec<f64> {
    let plain = given_successes::<f64>(arrivals);
    let underflows =
        plain.iter().zip(possible(arrivals)).any(|(&g, possible)| possible && g < f64::MIN_POSITIVE * 1e16);
    if underflows {
        given_successes::<Scaled>(arrivals).into_iter().map(Mass::ln).collect()
    } else {
        plain.into_iter().map(Mass::ln).collect()
    }
}

/// Whether v of x successes can arrive at all, in the order of the table.
fn possible(arrivals: &Arrivals) -> impl Iterator<Item = bool> {
    let m = arrivals.len();
    let certain = arrivals.oldest_first().iter().filter(|a| a.ln_late == f64::NEG_INFINITY).count();
    let never = arrivals.oldest_first().iter().filter(|a| a.ln_in_time == f64::NEG_INFINITY).count();
    // Of x successes at least x − (m − certain) are certain to arrive, and at most m − never can.
    (0..=m).flat_map(move |v| (0..=m).map(move |x| v <= x && v <= m - never && v + (m - certain) >= x))
}

fn given_successes<N: Mass>(arrivals: &Arrivals) -> Vec<N> {
    let width = arrivals.len() + 1;
    let mut table = vec![N::ZERO; width * width];
    table[0] = N::ONE;
    for (seen, message) in arrivals.oldest_first().iter().enumerate() {
        let (p, q) = (N::from_ln(message.ln_in_time), N::from_ln(message.ln_late));
        let total = (seen + 1) as f64;
        // From large to small v and x, so that what a cell reads is still of the step before.
        for v in (0..=seen + 1).rev() {
            for x in (v..=seen + 1).rev() {
                let success = N::from_f64(x as f64 / total);
                let failure = N::from_f64((total - x as f64) / total);
                let mut g = table[v * width + x].times(failure);
                if x > 0 {
                    g = g.plus(success.times(q).times(table[v * width + x - 1]));
                    if v > 0 {
                        g = g.plus(success.times(p).times(table[(v - 1) * width + x - 1]));
                    }
                }
                table[v * width + x] = g;
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::Distribution;

    /// Every choice of successes and every choice of arrivals, one by one.
    fn by_enumeration(arrivals: &Arrivals) -> Vec<f64> {
        let m = arrivals.len();
        let mut table = vec![0.0; (m + 1) * (m + 1)];
        let mut ways = vec![0.0; m + 1];
        for successes in 0u32..1 << m {
            let x = successes.count_ones() as usize;
            ways[x] += 1.0;
            for arrived in 0u32..1 << m {
                let p: f64 = (0..m)
                    .map(|j| {
                        let a = arrivals.oldest_first()[j];
                        if arrived >> j & 1 == 1 { a.ln_in_time.exp() } else { a.ln_late.exp() }
                    })
                    .product();
                table[(successes & arrived).count_ones() as usize * (m + 1) + x] += p;
            }
        }
        for v in 0..=m {
            for x in 0..=m {
                table[v * (m + 1) + x] /= ways[x];
            }
        }
        table
    }

    #[test]
    fn the_recurrence_is_the_sum_over_all_successes_and_arrivals() {
        let hop = Distribution::exponential(0.02).unwrap();
        let arrivals = Arrivals::new(&[0.0, 0.01, 0.02, 0.045, 0.07, 0.03], Some(&hop), Some(0.05));
        let expected = by_enumeration(&arrivals);
        for (found, expected) in ln_given_successes(&arrivals).iter().zip(expected) {
            assert!((found.exp() - expected).abs() < 1e-14, "{found} {expected}");
        }
    }

    #[test]
    fn both_kinds_of_numbers_agree_and_the_wide_one_goes_on() {
        let hop = Distribution::exponential(0.02).unwrap();
        let offsets: Vec<f64> = (0..50).map(|j| f64::from(j) * 0.001).collect();
        let arrivals = Arrivals::new(&offsets, Some(&hop), Some(0.5));
        let plain = given_successes::<f64>(&arrivals);
        let wide = given_successes::<Scaled>(&arrivals);
        for (p, w) in plain.iter().zip(&wide) {
            if *p > 1e-290 {
                assert!((Mass::ln(*p) - w.ln()).abs() < 1e-10);
            }
        }
        let nothing_of_fifty: f64 = arrivals.ln_none();
        assert!(nothing_of_fifty < -1000.0);
        assert!((wide[50].ln() - nothing_of_fifty).abs() < 1e-6);
    }
}
