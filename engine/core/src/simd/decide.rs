//! One round, on the first of three rungs that is sure of value, status and quorum: float32 lanes, float64 lanes, the
//! scalar code.

use super::choose::{TIE_RATIO, best, choose, most_honest, quorum};
use super::few::Few;
use super::few_hull::FewHull;
use super::lanes::{Aligned, Real, at};
use super::marginal::Marginal;
use super::ratios::{InCells, Ratios};
use super::region;
use super::round::Round;
use super::search::Search;
use super::summary::Masses;
use crate::batch::Entry;
use crate::compile::CompiledModel;
use crate::decide::Decider;
use crate::decision::{Decision, Decisions, Quorum, Region, Status};
use crate::limits::QUORUMS_MAX;
use crate::spec::Objective;
use fearless_simd::prelude::*;

/// How many rounds were decided on each rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rungs {
    /// In float32 lanes.
    pub single: u64,
    /// In float64 lanes.
    pub double: u64,
    /// By the scalar code.
    pub scalar: u64,
}

impl Rungs {
    pub(super) fn add(&mut self, other: Self) {
        self.single += other.single;
        self.double += other.double;
        self.scalar += other.scalar;
    }
}

/// Decides rounds one after the other and keeps its memory from round to round.
#[derive(Debug, Default)]
pub(super) struct Worker {
    round: Round,
    single: Kernels<f32>,
    double: Kernels<f64>,
    after: After,
    scalar: Decider,
    pub(super) rungs: Rungs,
}

/// The memory of one precision.
#[derive(Debug, Default)]
struct Kernels<T> {
    rows: Aligned<T>,
    marginal: Marginal<T>,
    search: Search<T>,
    few: Few<T>,
    few_hull: FewHull<T>,
    /// Whether the rows are those of the round that was taken in last.
    gathered: bool,
}

/// What is done in float64 whatever the search was done in.
#[derive(Debug, Default)]
struct After {
    masses: Masses,
    rival: Masses,
    rivals: Vec<(Quorum, f64, f64)>,
    sorted: Vec<f64>,
    honest: Vec<f64>,
    ln_marginal: Vec<f64>,
}

/// Rivals that float32 leaves open are decided one by one in float64 up to this many.
const RIVALS_MAX: usize = 16;

/// A round with everything that is known of it.
#[derive(Clone, Copy)]
struct Case<'a> {
    model: &'a CompiledModel,
    ratios: &'a Ratios,
    round: &'a Round,
    entry: &'a Entry<'a>,
    objective: Objective,
    quorums: usize,
}

impl Worker {
    /// Decides the round of `entry`, which fits `model`, and adds the decision to `decisions`.
    pub(super) fn decide<S: Simd>(
        &mut self,
        simd: S,
        model: &CompiledModel,
        ratios: &Ratios,
        entry: &Entry<'_>,
        decisions: &mut Decisions,
    ) {
        let objective = entry.objective.unwrap_or(model.objective());
        (self.single.gathered, self.double.gathered) = (false, false);
        // `coalition` sums over more than one story of the liars, and a fault group over its replicas, which no lanes do yet.
        let fits = objective != Objective::Coalition
            && !model.is_grouped()
            && self.round.collect(model, ratios, entry)
            && self.round.quorum_size() > 0;
        let quorums = if fits { choose(self.round.replicas(), self.round.faults) } else { 0 };
        let case = Case { model, ratios, round: &self.round, entry, objective, quorums };
        if !fits || (case.searches() && quorums as u64 > QUORUMS_MAX) {
            self.rungs.scalar += 1;
            self.scalar.decide(model, entry, decisions);
            return;
        }
        let after = &mut self.after;
        let mut decided = None;
        if ratios.fits_single && !entry.wants_marginal && objective != Objective::Posterior {
            decided = self.single.decide(simd, case, after);
            self.rungs.single += u64::from(decided.is_some());
        }
        if decided.is_none() {
            decided = self.double.decide(simd, case, after);
            self.rungs.double += u64::from(decided.is_some());
        }
        let Some(mut decision) = decided else {
            self.rungs.scalar += 1;
            self.scalar.decide(model, entry, decisions);
            return;
        };
        if entry.wants_region {
            let hull =
                if quorums as u64 > QUORUMS_MAX { None } else { self.hull(simd, model, ratios, entry) };
            let support = model.support();
            decision.region =
                hull.map(|(low, high)| Region { low: support.point(low), high: support.point(high) });
        }
        let after = &mut self.after;
        if entry.wants_marginal && after.ln_marginal.contains(&f64::NEG_INFINITY) {
            // The sum is in units of c for each replica, and of the faulty ones' likelihood.
            let round = &self.round;
            let ln_sum =
                self.double.marginal.sum.ln() + round.ln_faulty + round.replicas() as f64 * ratios.ln_unit;
            self.scalar.fill_tails(model, entry, ln_sum, &mut after.ln_marginal);
        }
        let keep = if entry.wants_marginal { after.ln_marginal.as_slice() } else { &[] };
        decisions.push(decision, &after.honest, keep);
    }
}

impl Worker {
    /// Hull of the most probable points over all possible quorums of the round that was taken in.
    fn hull<S: Simd>(
        &mut self,
        simd: S,
        model: &CompiledModel,
        ratios: &Ratios,
        entry: &Entry<'_>,
    ) -> Option<(usize, usize)> {
        let round = &self.round;
        if ratios.fits_single {
            let hull = self.single.hull(simd, ratios, round, false);
            if hull.is_some() {
                return hull;
            }
        }
        self.double
            .hull(simd, ratios, round, round.none_underflows())
            .or_else(|| self.scalar.hull(model, entry))
    }
}

impl Case<'_> {
    fn searches(self) -> bool {
        self.objective != Objective::Marginal
    }

    /// Whether [`Few`] gives all that is asked for.
    fn is_of_few<T: Real>(self) -> bool {
        T::UNIT > f64::UNIT
            && matches!(self.objective, Objective::Evidence | Objective::Marginal)
            && Few::<T>::fits(self.round.replicas(), self.round.faults)
    }

    /// Roundings that a product of rows sees, and a sum over the support.
    fn roundings<S: Simd, T: Real>(self) -> (f64, f64) {
        let sum = self.round.stride / T::Native::<S>::LEN + 8;
        ((2 * self.round.replicas() + 4) as f64, sum as f64)
    }

    /// Bound on the error of the logarithm of a quorum's sum or peak, times two: of their distance.
    fn slack_of_quorums<S: Simd, T: Real>(self) -> f64 {
        let (product, sum) = self.roundings::<S, T>();
        (2.0 * (product + sum) * T::UNIT).max(T::SLACK_MIN)
    }

    /// The same for two grid points of the marginal distribution.
    fn slack_of_points<S: Simd, T: Real>(self) -> f64 {
        let (product, _) = self.roundings::<S, T>();
        let recurrence = 2.0 * product + self.round.faults as f64 + 4.0;
        (2.0 * recurrence * T::UNIT).max(T::SLACK_MIN)
    }

    /// Bound on the error of P(honest).
    fn slack_of_honest<S: Simd, T: Real>(self) -> f64 {
        let (product, sum) = self.roundings::<S, T>();
        let recurrence = 2.0 * product + self.round.faults as f64 + sum + 8.0;
        2.0 * recurrence * T::UNIT + 1e-2 * T::SLACK_MIN
    }
}

impl<T: InCells> Kernels<T> {
    /// The region's hull, as [`region::hull`] says.
    fn hull<S: Simd>(
        &mut self,
        simd: S,
        ratios: &Ratios,
        round: &Round,
        none_underflows: bool,
    ) -> Option<(usize, usize)> {
        let prior = round.prior::<T>(ratios);
        let shape = (round.replicas(), round.faults);
        if T::UNIT > f64::UNIT && Few::<T>::fits(shape.0, shape.1) && FewHull::<T>::fits(prior.len()) {
            let row = |i| round.row::<T>(ratios, i);
            return self.few_hull.run(simd, (prior, row), shape, region::tie());
        }
        if !self.gathered {
            round.gather(simd, ratios, &mut self.rows);
        }
        let rows = self.rows.as_slice();
        let ready = self.gathered && self.search.whole;
        region::hull(simd, &mut self.search.walk, prior, rows, round.faults, (ready, none_underflows))
    }

    /// The decision without its region; `None` where this precision is not sure.
    fn decide<S: Simd>(&mut self, simd: S, case: Case<'_>, after: &mut After) -> Option<Decision> {
        let Case { model, ratios, round, entry, .. } = case;
        let prior = round.prior::<T>(ratios);
        let few = case.is_of_few::<T>();
        (self.gathered, self.search.whole) = (!few, false);
        if few {
            let (shape, row) = ((round.replicas(), round.faults), |i| round.row::<T>(ratios, i));
            let marginal = &mut self.marginal;
            marginal.weigh(shape.0, shape.1, ratios.ln_unit);
            marginal.sum = if case.searches() {
                self.few.run(simd, (prior, row), shape);
                self.few.honest(&marginal.weights, &mut marginal.honest)
            } else {
                let out = (&mut marginal.total, &mut marginal.honest);
                self.few.marginal(simd, (prior, row), shape, &marginal.weights, out)
            };
        } else {
            round.gather(simd, ratios, &mut self.rows);
            let whole = entry.wants_marginal;
            self.marginal.run(simd, prior, self.rows.as_slice(), round.faults, ratios.ln_unit, whole);
        }
        if self.marginal.sum < T::SAFE {
            return None;
        }
        let chosen = if case.searches() {
            self.searched(simd, case, after)?
        } else {
            most_honest(
                &self.marginal.honest,
                round.quorum_size(),
                case.slack_of_honest::<S, T>(),
                &mut after.sorted,
                |a, b| round.alike(a, b),
            )?
        };
        after.masses.of_quorum(simd, round, ratios, chosen);
        if after.masses.sum < f64::SAFE {
            return None;
        }
        let ln_scale = round.ln_faulty + round.quorum_size() as f64 * ratios.ln_unit;
        let ln_evidence = after.masses.sum.ln() + ln_scale;
        let slack = if case.searches() {
            f64::SLACK_MIN
        } else {
            after.masses.of_cells(simd, self.marginal.total.as_slice());
            case.slack_of_points::<S, T>()
        };
        if entry.wants_marginal {
            self.keep_marginal(model.support().points(), &mut after.ln_marginal);
        }
        let summary = after.masses.summary(simd, model.support(), model.credible(), slack)?;
        after.honest.clear();
        after.honest.resize(model.replicas(), 0.0);
        for (&position, &p) in round.replicas.iter().zip(&self.marginal.honest) {
            after.honest[usize::from(position)] = p;
        }
        Some(Decision {
            status: Status::Decided,
            quorum: round.of_model(chosen),
            log_evidence: Some(ln_evidence),
            ..summary.decision(model.support())
        })
    }

    /// The natural logarithm of the marginal distribution; −∞ where a mass has underflowed.
    fn keep_marginal(&self, points: usize, ln_marginal: &mut Vec<f64>) {
        ln_marginal.clear();
        let per_sum = 1.0 / self.marginal.sum;
        ln_marginal.extend(self.marginal.total.as_slice()[..points].iter().map(|mass| {
            if mass.wide() < T::SAFE { f64::NEG_INFINITY } else { (mass.wide() * per_sum).ln() }
        }));
    }

    /// The best quorum by the objective.
    fn searched<S: Simd>(&mut self, simd: S, case: Case<'_>, after: &mut After) -> Option<Quorum> {
        let Case { ratios, round, quorums, .. } = case;
        let slack = case.slack_of_quorums::<S, T>();
        if case.is_of_few::<T>() {
            return nearest(simd, case, self.few.quorums(), slack, after);
        }
        let (prior, rows) = (round.prior::<T>(ratios), self.rows.as_slice());
        let evidence = case.objective == Objective::Evidence;
        if T::UNIT > f64::UNIT && evidence {
            self.search.run::<S, false>(simd, prior, rows, round.faults, quorums);
        } else {
            self.search.run::<S, true>(simd, prior, rows, round.faults, quorums);
        }
        if T::UNIT > f64::UNIT {
            let first = if evidence { &self.search.sums } else { &self.search.peaks };
            return nearest(simd, case, first, slack, after);
        }
        let (sums, peaks) = (&self.search.sums[..quorums], &self.search.peaks[..quorums]);
        if case.objective == Objective::Posterior
            && !round.none_underflows()
            && sums.iter().any(|sum| sum.wide() < T::SAFE)
        {
            return None;
        }
        if peaks.iter().fold(0.0, |top, peak| f64::max(top, peak.wide())) < T::SAFE {
            return None;
        }
        let criteria = |q: usize| {
            let (sum, peak) = (sums[q].wide(), peaks[q].wide());
            (sum >= T::SAFE).then(|| criteria_of(case.objective, sum, peak))
        };
        best(quorums, slack, criteria).map(|q| quorum(round.replicas(), round.faults, q))
    }
}

/// First and second criterion of a quorum with this sum and peak.
fn criteria_of(objective: Objective, sum: f64, peak: f64) -> (f64, f64) {
    match objective {
        Objective::Evidence => (sum, peak / sum),
        Objective::Joint => (peak, sum),
        Objective::Posterior | Objective::Marginal | Objective::Coalition => (peak / sum, sum),
    }
}

/// The best of the quorums whose first criterion, which is `first` up to `slack`, may tie with the largest, decided in float64.
fn nearest<S: Simd, T: Real>(
    simd: S,
    case: Case<'_>,
    first: &[T],
    slack: f64,
    after: &mut After,
) -> Option<Quorum> {
    let Case { ratios, round, .. } = case;
    let (n, faults) = (round.replicas(), round.faults);
    let rivals = &mut after.rivals;
    rivals.clear();
    let few = simd.vectorize(
        #[inline(always)]
        || {
            let vectors = first.len() / T::Native::<S>::LEN;
            let mut top = at::<S, T>(simd, first, 0);
            for v in 1..vectors {
                top = top.max(at::<S, T>(simd, first, v));
            }
            let top = top.reduce_max().wide();
            if top < T::SAFE {
                return false;
            }
            let least = T::Native::<S>::splat(simd, T::of(top * TIE_RATIO * (1.0 - slack - 2.0 * T::UNIT)));
            for v in 0..vectors {
                let mut bits = at::<S, T>(simd, first, v).simd_ge(least).to_bitmask();
                while bits != 0 {
                    if rivals.len() == RIVALS_MAX {
                        return false;
                    }
                    let q = v * T::Native::<S>::LEN + bits.trailing_zeros() as usize;
                    rivals.push((quorum(n, faults, q), 0.0, 0.0));
                    bits &= bits - 1;
                }
            }
            true
        },
    );
    if !few {
        return None;
    }
    if let [only] = after.rivals.as_slice() {
        return Some(only.0);
    }
    for (quorum, sum, peak) in &mut after.rivals {
        after.rival.of_quorum(simd, round, ratios, *quorum);
        (*sum, *peak) = (after.rival.sum, after.rival.peak);
    }
    let rivals = &after.rivals;
    best(rivals.len(), f64::SLACK_MIN, |k| Some(criteria_of(case.objective, rivals[k].1, rivals[k].2)))
        .map(|k| rivals[k].0)
}
