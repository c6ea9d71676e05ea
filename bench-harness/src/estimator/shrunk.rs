//! A rival that is told the prior.

use super::{Context, Estimate, Estimator, Rule, apply};
use centauri_engine::Report;

/// What a rival is told of the ideal output before anybody reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Belief {
    /// Nothing; without any value the estimate is `centre`.
    Nothing {
        /// The middle of the support.
        centre: f64,
    },
    /// Mean and standard deviation, the same each round.
    Fixed {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
    },
    /// Of the chain's first round, and the standard deviation of the move from each round to the next.
    Following {
        /// Mean before the first round.
        mean: f64,
        /// Standard deviation before the first round.
        sd: f64,
        /// Standard deviation of a move.
        step: f64,
    },
}

/// A rule whose value is shrunk towards the prior's mean with the weight that is best without faults: τ²/(τ² + e²), τ² being the
/// prior's variance and e² the rule's own mean squared error without faults. Under a prior that follows, this is the
/// Kalman filter for a measurement with that error.
pub struct Shrunk {
    rule: Box<dyn Rule>,
    context: Context,
    belief: Belief,
    squared_error: f64,
    mean: f64,
    variance: f64,
    /// Whether the round last asked about had a value.
    heard: bool,
}

impl std::fmt::Debug for Shrunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shrunk").field("rule", &self.rule.name()).finish_non_exhaustive()
    }
}

impl Shrunk {
    /// `rule`, told `belief`; `squared_error` is its mean squared error without faults.
    #[must_use]
    pub fn new(rule: Box<dyn Rule>, context: Context, belief: Belief, squared_error: f64) -> Self {
        let mut shrunk =
            Self { rule, context, belief, squared_error, mean: 0.0, variance: 0.0, heard: false };
        shrunk.restart();
        shrunk
    }

    fn weight(&self) -> f64 {
        if self.variance.is_infinite() { 1.0 } else { self.variance / (self.variance + self.squared_error) }
    }
}

impl Estimator for Shrunk {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn estimate(&mut self, reports: &[Report]) -> anyhow::Result<Estimate> {
        let estimate = apply(self.rule.as_ref(), reports, &self.context);
        self.heard = estimate.is_some();
        let Some(estimate) = estimate else {
            return Ok(Estimate::of(self.mean));
        };
        let weight = self.weight();
        let shrink = |v: f64| if weight == 1.0 { v } else { self.mean + weight * (v - self.mean) };
        Ok(Estimate {
            value: shrink(estimate.value),
            interval: estimate.interval.map(|(low, high)| (shrink(low), shrink(high))),
            decided: None,
        })
    }

    fn commit(&mut self, estimate: &Estimate) {
        if let Belief::Following { step, .. } = self.belief {
            self.mean = estimate.value;
            let left = if self.heard { 1.0 - self.weight() } else { 1.0 };
            self.variance = left * self.variance + step * step;
        }
    }

    fn restart(&mut self) {
        (self.mean, self.variance) = match self.belief {
            Belief::Nothing { centre } => (centre, f64::INFINITY),
            Belief::Fixed { mean, sd } | Belief::Following { mean, sd, .. } => (mean, sd * sd),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimator::mean::Mean;

    const CONTEXT: Context = Context { f: 1, noise_sd: 1.0 };

    fn reports(values: &[f64]) -> Vec<Report> {
        values.iter().map(|&v| Report::Value(v)).collect()
    }

    #[test]
    fn a_fixed_prior_pulls_by_the_ratio_of_variances() {
        let mut shrunk = Shrunk::new(Box::new(Mean), CONTEXT, Belief::Fixed { mean: 2.0, sd: 1.0 }, 0.25);
        let estimate = shrunk.estimate(&reports(&[6.0, 8.0])).unwrap();
        assert!((estimate.value - (2.0 + 0.8 * 5.0)).abs() < 1e-12);
        assert_eq!(shrunk.estimate(&[Report::Missing; 3]).unwrap().value, 2.0);
    }

    #[test]
    fn without_a_prior_the_rule_stands_alone() {
        let mut shrunk = Shrunk::new(Box::new(Mean), CONTEXT, Belief::Nothing { centre: 3.0 }, 0.25);
        assert_eq!(shrunk.estimate(&reports(&[6.0, 8.0])).unwrap().value, 7.0);
        assert_eq!(shrunk.estimate(&[Report::Missing, Report::Equivocated]).unwrap().value, 3.0);
    }

    #[test]
    fn a_following_prior_is_a_kalman_filter() {
        let belief = Belief::Following { mean: 0.0, sd: 1.0, step: 0.5 };
        let mut shrunk = Shrunk::new(Box::new(Mean), CONTEXT, belief, 1.0);
        let first = shrunk.estimate(&reports(&[4.0])).unwrap();
        assert_eq!(first.value, 2.0);
        shrunk.commit(&first);
        // Variance ½ after the round, ¾ before the next: weight 3/7.
        let second = shrunk.estimate(&reports(&[9.0])).unwrap();
        assert!((second.value - 5.0).abs() < 1e-12);
        // A round without a value teaches nothing: ¾·4/7 + ¼ = 19/28 before it, 26/28 after it, weight 26/54.
        shrunk.commit(&second);
        shrunk.pass(3).unwrap();
        let third = shrunk.estimate(&reports(&[32.0])).unwrap();
        assert!((third.value - (5.0 + 27.0 * 26.0 / 54.0)).abs() < 1e-12, "{}", third.value);
        shrunk.restart();
        assert_eq!(shrunk.estimate(&reports(&[4.0])).unwrap().value, 2.0);
    }
}
