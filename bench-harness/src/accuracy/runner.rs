//! Measures every estimator in one cell, on the same rounds.

use super::cells::Plan;
use crate::attack::{Attack, omniscient};
use crate::estimator::objective::OfObjective;
use crate::estimator::{Estimate, Estimator};
use crate::fleet::model::Told;
use crate::fleet::{Chain, seed};
use crate::measure::{Circumstances, Tally};
use crate::result::Accuracy;
use centauri_engine::{Objective, Report};
use std::sync::Arc;

/// How long a cell is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Rounds of a cell.
    pub rounds: usize,
    /// Rounds of a cell whose attack searches.
    pub searched: usize,
    /// Elementary steps that deciding the rounds of a cell may take for one objective, beyond which it gets fewer
    /// rounds (see [`ROUNDS_MIN`]).
    pub steps: f64,
}

impl Effort {
    /// Of a short run.
    pub const QUICK: Self = Self { rounds: 200, searched: 25, steps: 1e8 };
    /// Of a full run.
    pub const FULL: Self = Self { rounds: 1_000, searched: 75, steps: 2.5e7 };
}

/// Rounds of a chain.
pub const CHAIN: usize = 25;
/// Least rounds of a cell, however costly (less only where [`Effort`] itself asks for less).
pub const ROUNDS_MIN: usize = 250;
/// All objectives, in the order in which they are told.
pub const OBJECTIVES: [Objective; 5] =
    [Objective::Marginal, Objective::Coalition, Objective::Evidence, Objective::Joint, Objective::Posterior];
/// Objectives that search quorums are measured up to so many quorums.
const QUORUMS_MAX: f64 = 130.0;
/// Reports that an omniscient search tries, at most.
const TRIES: f64 = 64.0;

/// Whether an objective averages over quorums rather than search them.
fn averages(objective: Objective) -> bool {
    matches!(objective, Objective::Marginal | Objective::Coalition)
}

/// The name in results of an averaging objective judged by its most probable value.
fn mode_name(objective: Objective) -> &'static str {
    if objective == Objective::Coalition { "coalition_mode" } else { "marginal_mode" }
}

/// `n` choose `f`.
fn quorums(n: usize, f: usize) -> f64 {
    (1..=f).map(|b| (n - b + 1) as f64 / b as f64).product()
}

fn rounds(plan: &Plan, effort: &Effort, points: usize) -> usize {
    let (n, f) = (plan.scenario.n, plan.scenario.f);
    let searched = quorums(n, f);
    let region = if searched <= centauri_engine::limits::QUORUMS_MAX as f64 { searched } else { 0.0 };
    let per_round = points as f64 * (n as f64 * (f as f64 + 3.0) + region);
    let (wanted, per_round, least) = match plan.attack {
        Attack::Omniscient => (effort.searched, per_round * TRIES, CHAIN * 2),
        _ => (effort.rounds, per_round, ROUNDS_MIN),
    };
    let affordable = (effort.steps / per_round) as usize;
    let rounds = wanted.min(affordable.max(least));
    rounds.div_ceil(CHAIN) * CHAIN
}

/// The lines of one cell, an estimator each.
///
/// # Errors
/// A model or a round that the engine refuses.
pub fn measure(plan: &Plan, effort: &Effort, run_seed: u64) -> anyhow::Result<Vec<Accuracy>> {
    let scenario = plan.scenario;
    let told = Arc::new(Told::new(&scenario)?);
    let seed = seed::of(run_seed, &plan.rounds_name());
    let count = rounds(plan, effort, told.model().support().points());
    let chains = scenario.generate(&mut seed::generator(seed), count / CHAIN, CHAIN);
    let mut rng = seed::generator(seed::of(seed, &plan.attack.name()));
    let reports: Vec<Vec<Vec<Report>>> = chains
        .iter()
        .map(|c| (0..c.rounds.len()).map(|t| plan.attack.reports(&scenario, c, t, &mut rng)).collect())
        .collect();
    let cell = Stage { plan, chains: &chains, reports: &reports, unit: told.ground().unit, seed };
    let mut lines = Vec::new();
    for objective in OBJECTIVES {
        if averages(objective) || quorums(scenario.n, scenario.f) <= QUORUMS_MAX {
            cell.play(&mut OfObjective::new(objective, Arc::clone(&told)), &mut lines)?;
        }
    }
    for mut rival in told.rivals() {
        cell.play(&mut rival, &mut lines)?;
    }
    Ok(lines)
}

/// The rounds of a cell, on which the estimators play one after the other.
struct Stage<'a> {
    plan: &'a Plan,
    chains: &'a [Chain],
    reports: &'a [Vec<Vec<Report>>],
    unit: f64,
    seed: u64,
}

impl Stage<'_> {
    fn play(&self, estimator: &mut dyn Estimator, lines: &mut Vec<Accuracy>) -> anyhow::Result<()> {
        let scenario = &self.plan.scenario;
        let tally = || Tally::new(scenario.n, scenario.f, self.unit);
        let (mut judged, mut mode) = (tally(), None);
        let name = estimator.name();
        let mode_name = OBJECTIVES.into_iter().find(|o| averages(*o) && o.name() == name).map(mode_name);
        if mode_name.is_some() {
            mode = Some(tally());
        }
        for (chain, reports) in self.chains.iter().zip(self.reports) {
            estimator.restart();
            judged.restart();
            mode.iter_mut().for_each(Tally::restart);
            let liars = self.plan.attack.liars(&chain.held);
            for (round, reports) in chain.rounds.iter().zip(reports) {
                let (reports, estimate) = self.answered(estimator, reports, &liars, round.truth)?;
                let about = Circumstances {
                    truth: round.truth,
                    honest_mean: honest_mean(&reports, &liars),
                    side: self.side(chain),
                    liars: &liars,
                    region: region(estimator, &estimate, &reports, &liars),
                };
                judged.round(estimate.value, &estimate, &about);
                if let (Some(mode), Some(decided)) = (&mut mode, &estimate.decided) {
                    mode.round(decided.mode, &estimate, &about);
                }
                estimator.commit(&estimate);
            }
        }
        let cell = self.plan.cell();
        lines.push(judged.line(&cell, estimator.name(), self.seed));
        lines.extend(mode.zip(mode_name).map(|(m, name)| m.line(&cell, name, self.seed)));
        Ok(())
    }

    /// The reports that the estimator gets, and what it says.
    fn answered(
        &self,
        estimator: &mut dyn Estimator,
        reports: &[Report],
        liars: &[bool],
        truth: f64,
    ) -> anyhow::Result<(Vec<Report>, Estimate)> {
        if self.plan.attack == Attack::Omniscient {
            let found = omniscient::search(estimator, |e| e.value, reports, liars, truth, self.unit)?;
            return Ok((found.reports, found.estimate));
        }
        Ok((reports.to_vec(), estimator.estimate(reports)?))
    }

    fn side(&self, chain: &Chain) -> f64 {
        match self.plan.attack {
            Attack::Omniscient => f64::NAN,
            attack if attack.pushes() => chain.side,
            _ => 0.0,
        }
    }
}

fn honest_mean(reports: &[Report], liars: &[bool]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0usize);
    for (report, liar) in reports.iter().zip(liars) {
        if let (Report::Value(v), false) = (report, liar) {
            sum += v;
            count += 1;
        }
    }
    (count > 0).then(|| sum / count as f64)
}

/// The region of a decision, widened on each side by as much as the 95 % interval given the honest replicas alone
/// reaches beyond its peak; the interval of a rival that has one.
fn region(
    estimator: &dyn Estimator,
    estimate: &Estimate,
    reports: &[Report],
    liars: &[bool],
) -> Option<(f64, f64)> {
    let Some(decided) = &estimate.decided else { return estimate.interval };
    let (low, high) = decided.region?;
    let honest: Vec<bool> = liars.iter().map(|l| !l).collect();
    let alone = estimator.given_only(reports, &honest)?;
    let (peak, (alone_low, alone_high)) = (alone.mode(), alone.interval(0.95));
    Some((low - (peak - alone_low), high + (alone_high - peak)))
}
