//! What is learned of two routes from the first half of their readings.

use super::Options;
use super::data::{Routes, Sample};
use crate::fleet::model::Told;
use centauri_engine::{Computation, Distribution, Family, OutputSpec, PriorSpec, StreamSpec, Support};

/// Measurements of a window: a report older than this many steps is not expected.
pub const MESSAGES: usize = 7;
/// Points of a route's grid, about.
const POINTS: f64 = 600.0;
/// The grid reaches from this many times the least to this many times the largest travel time of the first half: an incident takes longer
/// than anything before it.
const REACH: (f64, f64) = (0.5, 3.0);
/// Share of a following prior that is spread evenly after each move.
const LEAK: f64 = 1e-4;

/// What was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// Seconds from one measurement to the next.
    pub period_s: f64,
    /// Standard deviation of a route's move from one measurement to the next, in seconds.
    pub step_sd: [f64; 2],
    /// Standard deviation of an honest report's error, in seconds: the route has moved since it was measured.
    pub report_sd: [f64; 2],
    /// Delays of publication, ascending.
    pub delays_s: Vec<f64>,
    /// Least and largest travel time of each route.
    pub range: [(f64, f64); 2],
    /// By how much the second route takes longer, in the median.
    pub handicap_s: f64,
}

impl Learned {
    /// Learns from `samples`.
    ///
    /// # Errors
    /// Fewer than ten measurements of both routes.
    pub fn from(samples: &[Sample]) -> anyhow::Result<Self> {
        let both: Vec<[f64; 2]> =
            samples.iter().filter_map(|s| Some([s.times_s[0]?, s.times_s[1]?])).collect();
        anyhow::ensure!(
            both.len() >= 10,
            "found {} measurements of both routes, expected at least 10",
            both.len()
        );
        let mut periods: Vec<f64> = samples.windows(2).map(|pair| pair[1].at_s - pair[0].at_s).collect();
        periods.sort_by(f64::total_cmp);
        let period_s = periods[periods.len() / 2];
        let mut delays_s: Vec<f64> = samples.iter().map(|s| s.delay_s).collect();
        delays_s.sort_by(f64::total_cmp);
        let step_sd = [0, 1].map(|route| step_sd(samples, period_s, route));
        // A measurement of k steps ago has k steps of error; k is the delay, in whole periods, rounded up.
        let lag =
            delays_s.iter().map(|d| (d / period_s).ceil().max(1.0)).sum::<f64>() / delays_s.len() as f64;
        let range = [0, 1].map(|route| {
            both.iter()
                .fold((f64::INFINITY, 0.0f64), |(low, high), t| (low.min(t[route]), high.max(t[route])))
        });
        let mut differences: Vec<f64> = both.iter().map(|t| t[1] - t[0]).collect();
        differences.sort_by(f64::total_cmp);
        let handicap_s = differences[differences.len() / 2];
        let report_sd = step_sd.map(|sd| sd * lag.sqrt());
        Ok(Self { period_s, step_sd, report_sd, delays_s, range, handicap_s })
    }

    /// The delays as a histogram of so many bins of equal counts, flat within each.
    fn arrival(&self) -> anyhow::Result<Distribution> {
        const BINS: usize = 20;
        let last = self.delays_s.len() - 1;
        let mut edges: Vec<f64> = (0..=BINS).map(|k| self.delays_s[k * last / BINS]).collect();
        edges.dedup();
        // All delays alike are a narrow bin.
        if edges.len() < 2 {
            edges = vec![edges[0] - 0.5, edges[0] + 0.5];
        }
        edges[0] -= 1e-3;
        let count = |pair: &[f64]| {
            let below = |x: f64| self.delays_s.partition_point(|d| *d <= x);
            (below(pair[1]) - below(pair[0])) as f64
        };
        let counts = edges.windows(2).map(count).collect();
        Ok(Distribution::new(Family::Empirical { edges, counts }, 0.0)?)
    }

    /// The model of a route: its newest measurement, of which the replicas have what has been published.
    ///
    /// # Errors
    /// What the engine refuses.
    pub fn told(
        &self,
        route: usize,
        follows: bool,
        routes: &Routes,
        options: &Options,
    ) -> anyhow::Result<Told> {
        Told::of_stream(self.stream(route, follows, routes, options)?)
    }

    /// The same as a stream of a model set.
    ///
    /// # Errors
    /// What the engine refuses.
    pub fn stream(
        &self,
        route: usize,
        follows: bool,
        routes: &Routes,
        options: &Options,
    ) -> anyhow::Result<StreamSpec> {
        let (least, largest) = self.range[route];
        let (low, high) = (REACH.0 * least, REACH.1 * largest);
        let step = ((high - low) / POINTS).max(1.0).ceil();
        let support = Support::new(low.floor(), step, ((high - low) / step).ceil() as usize + 1)?;
        let move_ = Distribution::normal(0.0, self.step_sd[route])?;
        let output = OutputSpec {
            messages: (0..MESSAGES).map(|j| j as f64 * self.period_s).collect(),
            arrival: Some(self.arrival()?.into()),
            deadline: Some((MESSAGES - 1) as f64 * self.period_s),
            source: Some(move_.clone().into()),
            ..OutputSpec::new(Computation::Last)
        };
        let prior = if follows {
            PriorSpec::Following { step: move_.into(), initial: None, leak: LEAK }
        } else {
            PriorSpec::Uniform
        };
        let names = (0..options.replicas).map(|i| format!("r{i}"));
        Ok(StreamSpec::builder(routes.names[route].clone(), names)
            .faults(options.faults)
            .support(support)
            .prior(prior)
            .output(output)
            .build())
    }
}

fn step_sd(samples: &[Sample], period_s: f64, route: usize) -> f64 {
    let moves: Vec<f64> = samples
        .windows(2)
        .filter(|pair| pair[1].at_s - pair[0].at_s <= 1.1 * period_s)
        .filter_map(|pair| Some(pair[1].times_s[route]? - pair[0].times_s[route]?))
        .collect();
    (moves.iter().map(|m| m * m).sum::<f64>() / moves.len().max(1) as f64).sqrt().max(1.0)
}
