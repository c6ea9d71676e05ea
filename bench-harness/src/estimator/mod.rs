//! Estimators: our objectives and their rivals, behind one trait.
//!
//! The rivals are one small file each. They see values only; a missing report is left out, and a replica that equivocated
//! is left out together with one fault, as our objectives do.

pub mod brooks_iyengar;
pub mod diameter;
pub mod geometric;
pub mod krum;
pub mod marzullo;
pub mod mean;
pub mod median;
pub mod objective;
pub mod proximal;
pub mod pyth;
pub mod shrunk;
pub mod squares;
pub mod trimmed;

use crate::measure::distribution::OnGrid;
use centauri_engine::{Objective, Report};

/// What an estimator is told beside the reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context {
    /// Most replicas that may lie, of those whose reports are given.
    pub f: usize,
    /// Standard deviation of an honest replica's error, as it is believed to be.
    pub noise_sd: f64,
}

/// What an estimator says of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate that is judged.
    pub value: f64,
    /// An interval that comes with it and has no level.
    pub interval: Option<(f64, f64)>,
    /// What our objectives say beside the value.
    pub decided: Option<Decided>,
}

impl Estimate {
    /// Nothing but a value.
    #[must_use]
    pub fn of(value: f64) -> Self {
        Self { value, interval: None, decided: None }
    }
}

/// What one of our objectives says beside its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The decision's most probable value.
    pub mode: f64,
    /// The distribution that is reported.
    pub distribution: OnGrid,
    /// The region.
    pub region: Option<(f64, f64)>,
    /// P(honest) of each replica under the marginal model, in the model's order; none without a quorum.
    pub honest: Option<Vec<f64>>,
    /// Natural log-probabilities under the marginal model, which a following prior moves on.
    pub ln_marginal: Vec<f64>,
}

/// A rival: a rule that makes one value of the values that came.
pub trait Rule: Send + Sync {
    /// The name in results.
    fn name(&self) -> &'static str;

    /// The estimate; `values` is in ascending order and not empty, and `context.f` is below its length.
    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate;
}

/// Anything that can be measured: rounds of one chain come one after the other.
pub trait Estimator {
    /// The name in results.
    fn name(&self) -> &'static str;

    /// The estimate of one round, in the order of the model's replicas. Asking does not move the estimator on, so that an
    /// attacker may try many reports.
    fn estimate(&mut self, reports: &[Report]) -> anyhow::Result<Estimate>;

    /// The distribution given that exactly the `honest` replicas speak, where the estimator has distributions.
    fn given_only(&self, _reports: &[Report], _honest: &[bool]) -> Option<OnGrid> {
        None
    }

    /// Takes `estimate` as the decision on the round and moves on to the chain's next.
    fn commit(&mut self, estimate: &Estimate);

    /// Moves on over a round in which none of the `replicas` was heard.
    ///
    /// # Errors
    /// What the engine refuses.
    fn pass(&mut self, replicas: usize) -> anyhow::Result<()> {
        let estimate = self.estimate(&vec![Report::Missing; replicas])?;
        self.commit(&estimate);
        Ok(())
    }

    /// Begins a new chain.
    fn restart(&mut self);
}

/// Our objectives, in the order in which they are told: the engine's, the most robust first. Everything that is measured and
/// reported goes by this list.
pub fn objectives() -> impl DoubleEndedIterator<Item = Objective> {
    Objective::ALL.into_iter().rev()
}

/// Whether the objective chooses among all quorums, so that it is not measured where these are many.
#[must_use]
pub fn searches_quorums(objective: Objective) -> bool {
    matches!(objective, Objective::Evidence | Objective::Joint | Objective::Posterior)
}

/// Whether results of this name are of an objective that averages over quorums instead.
#[must_use]
pub fn averaging(name: &str) -> bool {
    objectives().any(|objective| objective.name() == name && !searches_quorums(objective))
}

/// What is added to an objective's name where its most probable value is judged instead of its mean.
pub const MODE_SUFFIX: &str = "_mode";

/// Whether results of this name are of an objective of ours.
#[must_use]
pub fn is_objective(name: &str) -> bool {
    let name = name.strip_suffix(MODE_SUFFIX).unwrap_or(name);
    objectives().any(|objective| objective.name() == name)
}

/// All rivals, in the order in which they are told.
#[must_use]
pub fn rivals() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(mean::Mean),
        Box::new(median::Median),
        Box::new(trimmed::TrimmedMean),
        Box::new(marzullo::Marzullo),
        Box::new(brooks_iyengar::BrooksIyengar),
        Box::new(geometric::GeometricMedian),
        Box::new(krum::Krum),
        Box::new(diameter::MinimumDiameter),
        Box::new(pyth::Pyth),
        Box::new(squares::LeastTrimmedSquares),
        Box::new(proximal::ProximalAgreement),
    ]
}

/// Applies `rule` to the values among `reports`, with as many faults left as equivocation leaves; none without a value.
#[must_use]
pub fn apply(rule: &dyn Rule, reports: &[Report], context: &Context) -> Option<Estimate> {
    let equivocated = reports.iter().filter(|r| **r == Report::Equivocated).count();
    let mut values: Vec<f64> =
        reports.iter().filter_map(|r| if let Report::Value(v) = r { Some(*v) } else { None }).collect();
    let most = values.len().checked_sub(1)?;
    values.sort_by(f64::total_cmp);
    let f = context.f.saturating_sub(equivocated).min(most);
    Some(rule.of_sorted(&values, &Context { f, ..*context }))
}

/// The window of `size` consecutive values whose `cost` is least; the first of equals.
pub(crate) fn best_window(values: &[f64], size: usize, cost: impl Fn(&[f64]) -> f64) -> &[f64] {
    let mut best = (f64::INFINITY, values);
    for window in values.windows(size.clamp(1, values.len().max(1))) {
        let cost = cost(window);
        if cost < best.0 {
            best = (cost, window);
        }
    }
    best.1
}

/// Half-width of the intervals given to interval-based rivals, in standard deviations of the noise.
pub const INTERVAL_SDS: f64 = 2.0;

/// A source's interval around each value: ± [`INTERVAL_SDS`] standard deviations.
pub(crate) fn intervals(values: &[f64], context: &Context) -> Vec<(f64, f64)> {
    let half = INTERVAL_SDS * context.noise_sd;
    values.iter().map(|v| (v - half, v + half)).collect()
}

/// The stretches between neighbouring ends of `intervals` with the number of intervals that hold each, ascending. An
/// end where intervals only touch is a stretch of no length.
pub(crate) fn stretches(intervals: &[(f64, f64)]) -> Vec<(f64, f64, usize)> {
    let mut ends: Vec<f64> = intervals.iter().flat_map(|&(low, high)| [low, high]).collect();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    let count = |a: f64, b: f64| intervals.iter().filter(|&&(low, high)| low <= a && b <= high).count();
    let points = ends.iter().map(|&e| (e, e, count(e, e)));
    let mut stretches: Vec<_> = ends.windows(2).map(|w| (w[0], w[1], count(w[0], w[1]))).collect();
    // A point counts on its own only where it is held by more intervals than what lies on either side.
    let beside = |e: f64| stretches.iter().filter(|s| s.0 == e || s.1 == e).map(|s| s.2).max().unwrap_or(0);
    let touching: Vec<_> = points.filter(|p| p.2 > beside(p.0)).collect();
    stretches.extend(touching);
    stretches.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    stretches
}
