//! Which source messages of a window reach a replica in time.

use crate::dist::Distribution;
use crate::number::{Mass, Scaled};

/// One source message's chances: in time (p), or not (1 − p, as float64 has it: a chance below 2⁻⁵³ of being late is none).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arrival {
    pub(crate) ln_in_time: f64,
    pub(crate) ln_late: f64,
}

/// The window's messages in the order of their emission.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arrivals {
    messages: Vec<Arrival>,
}

impl Arrivals {
    /// From emission offsets, the source latency and the replica's deadline, all in seconds.
    ///
    /// Message j is in time with `p_j = F(deadline − t_j)`, 0 where the deadline has passed. Without a latency it is
    /// in time unless its offset is past the deadline; without both, always.
    pub(crate) fn new(offsets: &[f64], latency: Option<&Distribution>, deadline: Option<f64>) -> Self {
        let mut offsets = offsets.to_vec();
        offsets.sort_by(f64::total_cmp);
        let certain = Arrival { ln_in_time: 0.0, ln_late: f64::NEG_INFINITY };
        let never = Arrival { ln_in_time: f64::NEG_INFINITY, ln_late: 0.0 };
        let message = |t: f64| match (deadline.map(|d| d - t), latency) {
            (None, _) => certain,
            (Some(left), _) if left < 0.0 => never,
            (Some(_), None) => certain,
            (Some(left), Some(latency)) => {
                Arrival { ln_in_time: latency.ln_cdf(left), ln_late: (1.0 - latency.cdf(left)).ln() }
            }
        };
        Self { messages: offsets.into_iter().map(message).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The messages, oldest first.
    pub(crate) fn oldest_first(&self) -> &[Arrival] {
        &self.messages
    }

    /// `ln Π (1 − p_j)`: the probability that nothing arrived.
    pub(crate) fn ln_none(&self) -> f64 {
        self.messages.iter().map(|m| m.ln_late).sum()
    }

    /// `ln P(k messages arrived)` for k = 0 … m: the Poisson-binomial distribution.
    pub(crate) fn ln_number(&self) -> Vec<f64> {
        let mut number = vec![Scaled::ZERO; self.len() + 1];
        number[0] = Scaled::ONE;
        for (seen, message) in self.messages.iter().enumerate() {
            let (p, q) = (Scaled::from_ln(message.ln_in_time), Scaled::from_ln(message.ln_late));
            for k in (0..=seen + 1).rev() {
                let fewer = if k > 0 { number[k - 1].times(p) } else { Scaled::ZERO };
                number[k] = number[k].times(q).plus(fewer);
            }
        }
        number.into_iter().map(Mass::ln).collect()
    }

    /// `ln P(the newest message that arrived is `lag` messages older than the newest of all)` for lag = 0 … m − 1.
    pub(crate) fn ln_lag(&self) -> Vec<f64> {
        let mut none_newer = 0.0;
        let lag = |message: &Arrival| {
            let ln = none_newer + message.ln_in_time;
            none_newer += message.ln_late;
            ln
        };
        self.messages.iter().rev().map(lag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop() -> Distribution {
        Distribution::exponential(0.02).unwrap()
    }

    #[test]
    fn a_message_after_the_deadline_never_arrives_and_one_without_deadline_always_does() {
        let late = Arrivals::new(&[0.0, 2.0], Some(&hop()), Some(1.0));
        assert_eq!(late.oldest_first()[1].ln_in_time, f64::NEG_INFINITY);
        assert_eq!(late.oldest_first()[1].ln_late, 0.0);
        let sure = Arrivals::new(&[0.0, 2.0], None, None);
        assert_eq!(sure.ln_none(), f64::NEG_INFINITY);
        let edge = Arrivals::new(&[1.0], None, Some(1.0));
        assert_eq!(edge.oldest_first()[0].ln_in_time, 0.0);
    }

    #[test]
    fn the_number_that_arrives_is_the_sum_over_all_subsets() {
        let arrivals = Arrivals::new(&[0.0, 0.01, 0.03, 0.035, 0.04], Some(&hop()), Some(0.05));
        let mut expected = [0.0; 6];
        for subset in 0u32..32 {
            let term: f64 = (0..5)
                .map(|j| {
                    let m = arrivals.oldest_first()[j];
                    if subset >> j & 1 == 1 { m.ln_in_time.exp() } else { m.ln_late.exp() }
                })
                .product();
            expected[subset.count_ones() as usize] += term;
        }
        for (found, expected) in arrivals.ln_number().iter().zip(expected) {
            assert!((found - f64::ln(expected)).abs() < 1e-12, "{found} {expected}");
        }
        let all: f64 = arrivals.ln_lag().iter().map(|l| l.exp()).sum();
        assert!((all + arrivals.ln_none().exp() - 1.0).abs() < 1e-14);
    }

    #[test]
    fn probabilities_below_float64_stay_exact() {
        let arrivals = Arrivals::new(&vec![0.0; 60], Some(&hop()), Some(0.5));
        assert!((arrivals.ln_number()[0] + 60.0 * 25.0).abs() < 1e-3);
    }

    #[test]
    fn what_float64_cannot_tell_from_certain_is_certain() {
        let arrivals = Arrivals::new(&[0.0], Some(&hop()), Some(0.8));
        assert_eq!(arrivals.ln_none(), f64::NEG_INFINITY);
    }
}
