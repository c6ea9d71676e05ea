//! The most likely common width of the noises under the engine's `marginal` model.

use super::noise::{Noise, apply};
use super::{Round, alone, with_prior};
use crate::minimise::minimise;
use centauri_engine::{Fleet, ModelError, ModelId, ModelSet, Observation, PriorSpec, StreamSpec};

/// Rounds that are looked at: every so manieth of a longer history.
const ROUNDS: usize = 250;

/// What to multiply the widths of `noises` by.
pub(super) fn best_factor(
    set: &ModelSet,
    spec: &StreamSpec,
    noises: &[Noise],
    rounds: &[Round],
) -> Result<f64, ModelError> {
    // What replicas say of each other does not depend on the prior, so that the simplest will do.
    let mut spec = with_prior(spec, PriorSpec::Uniform);
    apply(&mut spec, noises, 1.0);
    Fleet::compile(&alone(set, &spec))?;
    let mut loss = |free: &[f64]| {
        let factor = free.first().copied().unwrap_or(0.0).clamp(-2.5, 2.5).exp();
        apply(&mut spec, noises, factor);
        mean_evidence(set, &spec, rounds).map_or(f64::INFINITY, |evidence| -evidence)
    };
    let found = minimise(&mut loss, &[0.0], 0.3, 1e-4, 24);
    Ok(found.at.first().copied().unwrap_or(0.0).clamp(-2.5, 2.5).exp())
}

/// Mean of `ln P(everything observed)` under the `marginal` model with a uniform prior.
fn mean_evidence(set: &ModelSet, spec: &StreamSpec, rounds: &[Round]) -> Option<f64> {
    let fleet = Fleet::compile(&alone(set, spec)).ok()?;
    let model = fleet.model(ModelId(0))?;
    let points = model.support().points();
    let mut row = vec![0.0; points];
    let stride = rounds.len().div_ceil(ROUNDS).max(1);
    let (mut sum, mut count) = (0.0, 0.0);
    for round in rounds.iter().step_by(stride) {
        // Cell x·(f + 1) + b: E_b(x), relative to exp(top) so that it does not underflow.
        let width = spec.faults + 1;
        let mut cells = vec![0.0_f64; points * width];
        cells.iter_mut().step_by(width).for_each(|cell| *cell = 1.0);
        let mut ln_scale = 0.0;
        let mut replicas = 0;
        for (at, report) in round.reports.iter().enumerate() {
            let observation = report.quantise(model.support());
            if observation == Observation::Equivocated {
                continue;
            }
            replicas += 1;
            model.likelihood(at, observation, &mut row);
            let ln_faulty = model.ln_faulty(observation);
            let top = row.iter().copied().fold(ln_faulty, f64::max);
            let faulty = (ln_faulty - top).exp();
            for (cell, ln) in cells.chunks_exact_mut(width).zip(&row) {
                let honest = (ln - top).exp();
                let mut one_fewer = 0.0;
                for e in cell {
                    let next = *e * honest + one_fewer * faulty;
                    one_fewer = std::mem::replace(e, next);
                }
            }
            ln_scale += top;
        }
        let weights: Vec<f64> = (0..width).map(|b| 1.0 / (choose(replicas, b) * width as f64)).collect();
        let total: f64 = cells
            .chunks_exact(width)
            .map(|cell| cell.iter().zip(&weights).map(|(e, w)| e * w).sum::<f64>())
            .sum();
        // A round that no width explains says nothing about the width.
        if total > 0.0 {
            sum += ln_scale + (total / points as f64).ln();
        } else {
            sum -= 1000.0;
        }
        count += 1.0;
    }
    Some(sum / f64::max(count, 1.0))
}

/// Number of ways to choose `b` of `n`; infinite where there is none, so that its weight is 0.
fn choose(n: usize, b: usize) -> f64 {
    if b > n {
        return f64::INFINITY;
    }
    (0..b).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}
