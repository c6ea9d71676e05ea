//! A robust centre of each round, and each replica's bias.

use super::{Round, value};
use crate::bins::quantile;
use centauri_engine::StreamSpec;

/// Sweeps of the alternation between centres and biases.
const SWEEPS: usize = 12;

/// What the rounds' closest quorums say.
#[derive(Clone, Debug)]
pub(super) struct Centres {
    /// For each round, `None` where no quorum reported.
    of: Vec<Option<f64>>,
    biases: Vec<f64>,
}

impl Centres {
    /// Alternates: a round's centre is the mean of its closest `n − f` reports, biases taken away; a replica's bias is
    /// the median of its distances from the centres. Biases add up to 0. With `biased` false there are none.
    pub(super) fn of(spec: &StreamSpec, rounds: &[Round], biased: bool) -> Self {
        let quorum = spec.replicas.len().saturating_sub(spec.faulty_replicas_max()).max(1);
        let mut own = Self { of: Vec::new(), biases: vec![0.0; spec.replicas.len()] };
        own.of = rounds.iter().map(|round| own.centre(round, quorum)).collect();
        for _ in 0..if biased { SWEEPS } else { 0 } {
            let medians: Vec<f64> = (0..own.biases.len())
                .map(|at| {
                    let mut distances = own.residuals(rounds, at);
                    distances.sort_unstable_by(f64::total_cmp);
                    let median = quantile(&distances, 0.5);
                    own.bias(at) + if median.is_finite() { median } else { 0.0 }
                })
                .collect();
            own.biases = medians;
            own.settle();
            own.of = rounds.iter().map(|round| own.centre(round, quorum)).collect();
        }
        own
    }

    /// Moves the biases so that they add up to 0.
    fn settle(&mut self) {
        let mean = self.biases.iter().sum::<f64>() / self.biases.len().max(1) as f64;
        self.biases.iter_mut().for_each(|bias| *bias -= mean);
    }

    fn centre(&self, round: &Round, quorum: usize) -> Option<f64> {
        let reports = round.reports.iter().zip(&self.biases);
        let mut values: Vec<f64> = reports.filter_map(|(report, bias)| Some(value(report)? - bias)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let spread = |window: &&[f64]| match (window.first(), window.last()) {
            (Some(low), Some(high)) => high - low,
            _ => f64::INFINITY,
        };
        let closest = values.windows(quorum).min_by(|a, b| spread(a).total_cmp(&spread(b)))?;
        Some(closest.iter().sum::<f64>() / quorum as f64)
    }

    /// The number of rounds with a centre.
    pub(super) fn count(&self) -> usize {
        self.of.iter().flatten().count()
    }

    /// The centres there are, ascending.
    pub(super) fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.of.iter().flatten().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }

    /// Differences between the centres of rounds with neighbouring numbers, ascending.
    pub(super) fn steps(&self, rounds: &[Round]) -> Vec<f64> {
        let numbered: Vec<(i64, Option<f64>)> =
            rounds.iter().map(|r| r.number).zip(self.of.iter().copied()).collect();
        let mut steps: Vec<f64> = numbered
            .windows(2)
            .filter_map(|pair| match *pair {
                [(a, Some(from)), (b, Some(to))] if b.abs_diff(a) == 1 => Some(to - from),
                _ => None,
            })
            .collect();
        steps.sort_unstable_by(f64::total_cmp);
        steps
    }

    pub(super) fn bias(&self, at: usize) -> f64 {
        self.biases.get(at).copied().unwrap_or(0.0)
    }

    /// Distances of a replica's reports from centre and bias.
    pub(super) fn residuals(&self, rounds: &[Round], at: usize) -> Vec<f64> {
        let bias = self.bias(at);
        let distance = |(round, centre): (&Round, &Option<f64>)| {
            Some(round.reports.get(at).and_then(value)? - (*centre)? - bias)
        };
        rounds.iter().zip(&self.of).filter_map(distance).collect()
    }
}
