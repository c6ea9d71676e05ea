//! Our objectives, as the engine decides them.

use super::{Decided, Estimate, Estimator};
use crate::fleet::model::{Mover, Told};
use crate::measure::distribution::OnGrid;
use centauri_engine::coalition::tempering;
use centauri_engine::{
    Backend as _, Batch, Decision, Decisions, Entry, ModelId, Objective, Report, SimdBackend, Status,
};
use std::sync::Arc;

/// One of our objectives. What is judged is the mean of the reported distribution, which has the least squared error of
/// all that could be said of it; the most probable value is kept beside it.
#[derive(Debug)]
pub struct OfObjective {
    objective: Objective,
    told: Arc<Told>,
    backend: SimdBackend,
    batch: Batch,
    decisions: Decisions,
    /// The chain's prior for its next round, where that is not the model's.
    ln_prior: Option<Vec<f64>>,
}

const MODEL: ModelId = ModelId(0);

impl OfObjective {
    /// `objective` on the model that is `told`.
    #[must_use]
    pub fn new(objective: Objective, told: Arc<Told>) -> Self {
        Self {
            objective,
            told,
            backend: SimdBackend::new().with_threads(1),
            batch: Batch::new(),
            decisions: Decisions::new(),
            ln_prior: None,
        }
    }

    fn prior(&self) -> &[f64] {
        self.ln_prior.as_deref().unwrap_or(self.told.model().ln_prior())
    }

    /// P(x | q) ∝ P(x)·(Π_{i∈q} P(report of i | x))^τ; none where that is impossible. τ is 1, but for `coalition` what so many
    /// replicas are worth that err together.
    fn given(&self, reports: &[Report], quorum: impl Iterator<Item = usize>) -> Option<OnGrid> {
        let model = self.told.model();
        let support = model.support();
        let mut ln = self.prior().to_vec();
        let mut row = vec![0.0; ln.len()];
        let quorum: Vec<usize> = quorum.collect();
        let tau = match self.objective {
            Objective::Coalition => tempering(model.correlation(), quorum.len(), 0),
            _ => 1.0,
        };
        for i in quorum {
            model.likelihood(i, reports[i].quantise(support), &mut row);
            ln.iter_mut().zip(&row).for_each(|(sum, l)| *sum += tau * l);
        }
        OnGrid::from_ln(support.min(), support.step(), &ln)
    }

    fn reported(&self, reports: &[Report], decision: &Decision) -> Option<OnGrid> {
        let support = self.told.model().support();
        let on_grid = |ln: &[f64]| OnGrid::from_ln(support.min(), support.step(), ln);
        if decision.status == Status::NoQuorum {
            on_grid(self.prior())
        } else if matches!(self.objective, Objective::Marginal | Objective::Coalition) {
            on_grid(self.decisions.ln_marginal(0))
        } else {
            self.given(reports, decision.quorum.positions())
        }
    }
}

impl Estimator for OfObjective {
    fn name(&self) -> &'static str {
        self.objective.name()
    }

    fn estimate(&mut self, reports: &[Report]) -> anyhow::Result<Estimate> {
        let support = *self.told.model().support();
        let observations: Vec<_> = reports.iter().map(|r| r.quantise(&support)).collect();
        self.batch.clear();
        self.batch.push(Entry {
            model: MODEL,
            objective: Some(self.objective),
            wants_marginal: true,
            wants_region: true,
            observations: &observations,
            ln_prior: self.ln_prior.as_deref(),
        });
        self.backend.evaluate(self.told.fleet(), &self.batch, &mut self.decisions)?;
        let decision = *self.decisions.decision(0);
        let distribution = self
            .reported(reports, &decision)
            .ok_or_else(|| anyhow::anyhow!("{}: found a decision without a distribution", self.name()))?;
        let decided = Decided {
            mode: decision.value,
            distribution,
            region: decision.region.map(|r| (r.low, r.high)),
            honest: self.decisions.honest(0).map(<[f64]>::to_vec),
            ln_marginal: self.decisions.ln_marginal(0).to_vec(),
        };
        Ok(Estimate { value: decision.mean, interval: None, decided: Some(decided) })
    }

    fn given_only(&self, reports: &[Report], honest: &[bool]) -> Option<OnGrid> {
        self.given(reports, (0..reports.len()).filter(|&i| honest.get(i) == Some(&true)))
    }

    fn commit(&mut self, estimate: &Estimate) {
        if let (Some(mover), Some(decided)) = (self.told.mover(), &estimate.decided) {
            self.ln_prior = Some(Mover::advance(mover, &decided.ln_marginal));
        }
    }

    fn restart(&mut self) {
        self.ln_prior = None;
    }
}
