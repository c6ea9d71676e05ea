//! The `coalition` model: `marginal` with liars who lie where it pays and may say the same thing.
//!
//! `P(x | Q) ∝ P(x)·(Σ_t π_t Σ_b w_b E_b^t(x))^τ`. In each story t of the liars a faulty replica i shows what was observed
//! with probability `u_i^t(x)`, and `E_b^t` obeys the recurrence of `marginal` with that in place of `u_i`. See
//! `docs/NUMERICS.md`, section "The coalition model".

use super::Evidence;
use super::marginal::{Columns, average, columns, ln_weights, trusted};
use crate::coalition::{ECHO_PROBABILITY, LEADERS_MAX, tempered};
use crate::compile::CompiledModel;
use crate::number::{Mass, Scaled, ln_sum_exp};
use crate::observation::Observation;

#[derive(Debug, Default)]
pub(crate) struct Coalition {
    ln_posterior: Vec<f64>,
    honest: Vec<f64>,
    ln_weights: Vec<f64>,
    /// The replicas that are left, by position in the model, and the units that they belong to.
    replicas: Vec<(usize, usize)>,
    /// The bin that each of them reported.
    bins: Vec<Option<i64>>,
    /// `ln c_i(x)` of a lie told alone, a row for each of them.
    ln_lies: Vec<f64>,
    /// Which of them others may echo.
    leaders: Vec<usize>,
}

impl Coalition {
    /// Natural log-probability of each grid point, normalised.
    pub(crate) fn ln_posterior(&self) -> &[f64] {
        &self.ln_posterior
    }

    /// P(honest) of each unit that is left.
    pub(crate) fn honest(&self) -> &[f64] {
        &self.honest
    }

    /// Computes both; `false` where everything is impossible.
    pub(crate) fn run(
        &mut self,
        evidence: &Evidence,
        model: &CompiledModel,
        observations: &[Observation],
    ) -> bool {
        self.collect(evidence, model, observations);
        let tau = tempered(model.correlation(), self.mean_honest(evidence));
        let posterior = |ln: &[f64]| -> Vec<f64> {
            evidence.ln_prior.iter().zip(ln).map(|(prior, ln)| prior + tau * ln).collect()
        };
        let mut told = self.told::<f64>(evidence, model);
        let mut ln_total = posterior(&told.ln_total);
        if !trusted(&ln_total, &posterior(&told.ln_bounds)) {
            told = self.told::<Scaled>(evidence, model);
            ln_total = posterior(&told.ln_total);
        }
        let total = ln_sum_exp(ln_total.iter().copied());
        if total == f64::NEG_INFINITY {
            return false;
        }
        self.ln_posterior.clear();
        self.ln_posterior.extend(ln_total.iter().map(|ln| ln - total));
        average(&self.ln_posterior, &told.honest, evidence.units(), &mut self.honest);
        true
    }

    fn collect(&mut self, evidence: &Evidence, model: &CompiledModel, observations: &[Observation]) {
        self.ln_weights = ln_weights(evidence.units(), evidence.faults);
        let points = evidence.points();
        self.replicas.clear();
        for (i, unit) in evidence.members.iter().enumerate() {
            self.replicas.extend(unit.positions().map(|position| (position, i)));
        }
        self.replicas.sort_unstable();
        self.bins.clear();
        self.ln_lies.resize(self.replicas.len() * points, 0.0);
        for (row, &(position, _)) in self.ln_lies.chunks_exact_mut(points).zip(&self.replicas) {
            let observation = observations[position];
            self.bins.push(if let Observation::Bin(i) = observation { Some(i) } else { None });
            model.lie(position, observation, row);
        }
        self.leaders.clear();
        let several = evidence.members.iter().any(|unit| unit.len() > 1);
        if model.echoes() && (evidence.faults >= 2 || evidence.faults == 1 && several) {
            let mut spoke: Vec<(i64, usize)> =
                self.bins.iter().enumerate().filter_map(|(i, bin)| bin.map(|bin| (bin, i))).collect();
            spoke.sort_unstable();
            let leaders = spoke.len().min(LEADERS_MAX);
            self.leaders.extend((0..leaders).map(|t| spoke[(2 * t + 1) * spoke.len() / (2 * leaders)].1));
        }
    }

    /// All stories: every liar on its own, or all after one leader.
    fn told<N: Mass>(&self, evidence: &Evidence, model: &CompiledModel) -> Columns {
        let points = evidence.points();
        let unknown = vec![0.0; points];
        let tell = |leader: Option<usize>| {
            let lies = self.lies_of_units(evidence, model, leader);
            columns::<N>(evidence, &unknown, &self.ln_weights, &|i, x| lies[i * points + x])
        };
        let mut told = tell(None);
        if self.leaders.is_empty() {
            return told;
        }
        told.scale((1.0 - ECHO_PROBABILITY).ln());
        let ln_story = (ECHO_PROBABILITY / self.leaders.len() as f64).ln();
        for &leader in &self.leaders {
            let mut story = tell(Some(leader));
            story.scale(ln_story);
            told.add(&story, evidence.units());
        }
        told
    }

    /// The log-probability of what each unit's replicas show as liars, a row for each unit: every one on its own, or those
    /// who spoke as echoes of `leader`.
    fn lies_of_units(&self, evidence: &Evidence, model: &CompiledModel, leader: Option<usize>) -> Vec<f64> {
        let points = evidence.points();
        let mut lies = vec![0.0; evidence.units() * points];
        for (i, (&(position, unit), alone)) in
            self.replicas.iter().zip(self.ln_lies.chunks_exact(points)).enumerate()
        {
            let sum = lies[unit * points..(unit + 1) * points].iter_mut();
            match leader.filter(|&leader| leader != i).and_then(|leader| self.bins[leader].zip(self.bins[i]))
            {
                Some((led, bin)) => {
                    let ln_echo = model.ln_echo(position, bin - led);
                    sum.for_each(|ln| *ln += ln_echo);
                }
                None => sum.zip(alone).for_each(|(ln, alone)| *ln += alone),
            }
        }
        lies
    }

    /// The mean number of honest replicas: each unit is faulty with probability f/(2n).
    fn mean_honest(&self, evidence: &Evidence) -> f64 {
        let replicas = self.replicas.len() as f64;
        replicas - evidence.faults as f64 / 2.0 * (replicas / evidence.units() as f64)
    }
}

impl Columns {
    fn scale(&mut self, ln: f64) {
        self.ln_total.iter_mut().for_each(|total| *total += ln);
        self.ln_bounds.iter_mut().for_each(|bound| *bound += ln);
    }

    /// Adds a story; each unit's share is the mean of the shares, weighted by the totals.
    fn add(&mut self, story: &Self, n: usize) {
        let columns = self.ln_total.iter_mut().zip(self.honest.chunks_exact_mut(n));
        let added = story.ln_total.iter().zip(story.honest.chunks_exact(n));
        for ((total, shares), (&ln, more)) in columns.zip(added) {
            let top = total.max(ln);
            if top == f64::NEG_INFINITY {
                continue;
            }
            let (old, new) = ((*total - top).exp(), (ln - top).exp());
            for (share, more) in shares.iter_mut().zip(more) {
                *share = (old * *share + new * more) / (old + new);
            }
            *total = top + (old + new).ln();
        }
        for (bound, &more) in self.ln_bounds.iter_mut().zip(&story.ln_bounds) {
            *bound = ln_sum_exp([*bound, more].into_iter());
        }
    }
}
