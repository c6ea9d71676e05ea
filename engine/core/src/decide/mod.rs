//! One round, step by step: the law that every backend follows.

mod coalition;
mod large;
mod marginal;
mod quorums;

use crate::batch::Entry;
use crate::compile::CompiledModel;
use crate::decision::{Decision, Decisions, Quorum, Region, Status, Summary};
use crate::limits::HONEST_TIE;
use crate::spec::Objective;
use coalition::Coalition;
use marginal::{Marginal, Tails};
use quorums::{Criteria, Found, Search, score_of};

/// Decides rounds one after the other and keeps its memory from round to round.
#[derive(Debug, Default)]
pub(crate) struct Decider {
    evidence: Evidence,
    marginal: Marginal,
    tails: Tails,
    coalition: Coalition,
    search: Search,
    honest: Vec<f64>,
    reported: Vec<f64>,
}

/// What the round's observations say: the units of fault that are left (replicas, or groups of them that fail together), and
/// their likelihoods.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// The units that no equivocation proved faulty, each as the positions of its replicas in the model.
    pub(crate) members: Vec<Quorum>,
    /// How many of these may still be faulty.
    pub(crate) faults: usize,
    /// `L_i(x)`, a row of `points` for each unit that is left: the sum over its replicas.
    pub(crate) ln_likelihood: Vec<f64>,
    /// `ln u_i` for each unit that is left.
    pub(crate) ln_faulty: Vec<f64>,
    /// `ln P(x)`.
    pub(crate) ln_prior: Vec<f64>,
    /// The row of one replica of a unit of several.
    row: Vec<f64>,
}

impl Evidence {
    fn collect(&mut self, model: &CompiledModel, entry: &Entry<'_>) {
        self.members.clear();
        self.members.extend(model.units_left(entry.observations));
        let equivocated = model.unit_count() - self.members.len();
        self.faults = model.faults().saturating_sub(equivocated);
        self.ln_prior.clear();
        self.ln_prior.extend_from_slice(entry.ln_prior.unwrap_or(model.ln_prior()));
        self.load(model, entry);
    }

    /// The same as if the replica at `position` in the model were not in the set. As many of the other units may be faulty as
    /// before, but one of them at least is honest.
    fn collect_without(&mut self, model: &CompiledModel, entry: &Entry<'_>, position: usize) {
        self.collect(model, entry);
        let Some(i) = self.members.iter().position(|unit| unit.contains(position)) else { return };
        self.members[i] = self.members[i].without(position);
        self.members.retain(|unit| !unit.is_empty());
        self.faults = self.faults.min(self.members.len().saturating_sub(1));
        self.load(model, entry);
    }

    /// Likelihoods of the units that are left.
    fn load(&mut self, model: &CompiledModel, entry: &Entry<'_>) {
        let points = self.points();
        self.ln_likelihood.resize(self.members.len() * points, 0.0);
        self.row.resize(points, 0.0);
        self.ln_faulty.clear();
        for (sum, unit) in self.ln_likelihood.chunks_exact_mut(points).zip(&self.members) {
            let mut ln_faulty = 0.0;
            for (nth, position) in unit.positions().enumerate() {
                let observation = entry.observations[position];
                ln_faulty += model.ln_faulty(observation);
                if nth == 0 {
                    model.likelihood(position, observation, sum);
                } else {
                    model.likelihood(position, observation, &mut self.row);
                    sum.iter_mut().zip(&self.row).for_each(|(sum, ln)| *sum += ln);
                }
            }
            self.ln_faulty.push(ln_faulty);
        }
    }

    /// Units that are left, n'.
    pub(crate) fn units(&self) -> usize {
        self.members.len()
    }

    /// Size of a quorum, n' − f'; 0 where there can be none.
    pub(crate) fn quorum_size(&self) -> usize {
        self.units().saturating_sub(self.faults)
    }

    pub(crate) fn points(&self) -> usize {
        self.ln_prior.len()
    }

    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.ln_likelihood[i * self.points()..(i + 1) * self.points()]
    }
}

impl Decider {
    /// Decides the round of `entry`, which fits `model`, and adds the decision to `decisions`.
    pub(crate) fn decide(&mut self, model: &CompiledModel, entry: &Entry<'_>, decisions: &mut Decisions) {
        self.evidence.collect(model, entry);
        let decision = self.of_evidence(model, entry, entry.wants_region);
        let keep = match decision.status {
            _ if !entry.wants_marginal => &[],
            Status::NoQuorum => self.evidence.ln_prior.as_slice(),
            Status::Decided if objective_of(model, entry) == Objective::Coalition => {
                self.coalition.ln_posterior()
            }
            Status::Decided => self.marginal.ln_posterior(),
        };
        decisions.push(decision, &self.honest, keep);
    }

    /// The decision on the round of `entry` if the replica at `position` were not in the set; it has no region.
    pub(crate) fn decide_without(
        &mut self,
        model: &CompiledModel,
        entry: &Entry<'_>,
        position: usize,
    ) -> Decision {
        self.evidence.collect_without(model, entry, position);
        self.of_evidence(model, entry, false)
    }

    /// Hull of the most probable points over all possible quorums; none where there is none, or too many.
    pub(crate) fn hull(&mut self, model: &CompiledModel, entry: &Entry<'_>) -> Option<(usize, usize)> {
        self.evidence.collect(model, entry);
        self.search.run(&self.evidence, Criteria::None, Quorum::EMPTY).hull
    }

    /// Fills in those of `ln_marginal`, which is normalised, that are −∞: what has underflowed elsewhere, not what is
    /// impossible. `ln_sum` is the logarithm of the sum that the distribution was divided by.
    pub(crate) fn fill_tails(
        &mut self,
        model: &CompiledModel,
        entry: &Entry<'_>,
        ln_sum: f64,
        ln_marginal: &mut [f64],
    ) {
        self.evidence.collect(model, entry);
        for (x, ln) in ln_marginal.iter_mut().enumerate().filter(|(_, ln)| **ln == f64::NEG_INFINITY) {
            *ln = self.tails.ln_total(&self.evidence, x) - ln_sum;
        }
    }

    fn of_evidence(&mut self, model: &CompiledModel, entry: &Entry<'_>, wants_region: bool) -> Decision {
        let possible = self.evidence.quorum_size() > 0;
        match possible.then(|| self.decided(model, entry, wants_region)).flatten() {
            Some(decision) => decision,
            None => self.no_quorum(model),
        }
    }

    fn decided(&mut self, model: &CompiledModel, entry: &Entry<'_>, wants_region: bool) -> Option<Decision> {
        let (evidence, objective) = (&self.evidence, objective_of(model, entry));
        let possible = if objective == Objective::Coalition {
            self.coalition.run(evidence, model, entry.observations)
        } else {
            self.marginal.run(evidence)
        };
        if !possible {
            return None;
        }
        let (honest, averaged, criteria) = match objective {
            Objective::Coalition => {
                (self.coalition.honest(), Some(self.coalition.ln_posterior()), Criteria::None)
            }
            Objective::Marginal => {
                (self.marginal.honest(), Some(self.marginal.ln_posterior()), Criteria::None)
            }
            Objective::Posterior => (self.marginal.honest(), None, Criteria::Posterior),
            Objective::Joint => (self.marginal.honest(), None, Criteria::Joint),
            Objective::Evidence => (self.marginal.honest(), None, Criteria::Evidence),
        };
        self.honest.clear();
        self.honest.resize(model.replicas(), 0.0);
        for (unit, &p) in evidence.members.iter().zip(honest) {
            unit.positions().for_each(|position| self.honest[position] = p);
        }
        let most_honest = most_honest(honest, evidence.quorum_size());
        let found = if wants_region || criteria != Criteria::None {
            self.search.run(evidence, criteria, most_honest)
        } else {
            Found { quorum: None, hull: None, exhaustive: true }
        };
        let chosen = if averaged.is_some() { most_honest } else { found.quorum? };
        let ln_evidence = score_of(evidence, chosen, &mut self.reported);
        if let Some(averaged) = averaged {
            self.reported.clear();
            self.reported.extend_from_slice(averaged);
        } else {
            self.reported.iter_mut().for_each(|score| *score -= ln_evidence);
        }
        let support = model.support();
        let summary = Summary::of(&self.reported, support, model.credible());
        Some(Decision {
            status: Status::Decided,
            quorum: chosen.positions().map(|i| evidence.members[i]).fold(Quorum::EMPTY, Quorum::union),
            log_evidence: (ln_evidence > f64::NEG_INFINITY).then_some(ln_evidence),
            region: found
                .hull
                .filter(|_| wants_region)
                .map(|(low, high)| Region { low: support.point(low), high: support.point(high) }),
            exhaustive: found.exhaustive,
            ..summary.decision(support)
        })
    }

    fn no_quorum(&mut self, model: &CompiledModel) -> Decision {
        self.honest.clear();
        Summary::of(&self.evidence.ln_prior, model.support(), model.credible()).decision(model.support())
    }
}

/// The objective by which the round is decided.
fn objective_of(model: &CompiledModel, entry: &Entry<'_>) -> Objective {
    entry.objective.unwrap_or(model.objective())
}

impl Summary {
    /// A decision that says no more than this summary.
    pub(crate) fn decision(self, support: &crate::support::Support) -> Decision {
        Decision {
            status: Status::NoQuorum,
            value: support.point(self.point),
            point: self.point,
            confidence: self.confidence,
            mean: self.mean,
            sd: self.sd,
            low: self.low,
            high: self.high,
            quorum: Quorum::EMPTY,
            log_evidence: None,
            region: None,
            exhaustive: true,
        }
    }
}

/// `size` times the earliest of those left whose probability is within a tie of the largest left.
fn most_honest(honest: &[f64], size: usize) -> Quorum {
    let mut chosen = Quorum::EMPTY;
    for _ in 0..size {
        let left = || (0..honest.len()).filter(|&i| !chosen.contains(i));
        let top = left().map(|i| honest[i]).fold(f64::NEG_INFINITY, f64::max);
        if let Some(next) = left().find(|&i| honest[i] >= top - HONEST_TIE) {
            chosen = chosen.with(next);
        }
    }
    chosen
}
