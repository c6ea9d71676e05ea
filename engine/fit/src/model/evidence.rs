//! The most likely common width of the noises under the `marginal` model.

use super::noise::{Noise, apply};
use super::posterior::Posterior;
use super::{Round, with_prior};
use crate::minimise::minimise;
use centauri_engine::{ModelError, ModelSet, PriorSpec, StreamSpec};

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
    let looked: Vec<Round> = rounds.iter().step_by(rounds.len().div_ceil(ROUNDS).max(1)).cloned().collect();
    apply(&mut spec, noises, 1.0);
    Posterior::new(set, &spec)?;
    let mut loss = |free: &[f64]| {
        let factor = free.first().copied().unwrap_or(0.0).clamp(-2.5, 2.5).exp();
        apply(&mut spec, noises, factor);
        mean_evidence(set, &spec, &looked).map_or(f64::INFINITY, |evidence| -evidence)
    };
    let found = minimise(&mut loss, &[0.0], 0.3, 1e-4, 24);
    Ok(found.at.first().copied().unwrap_or(0.0).clamp(-2.5, 2.5).exp())
}

/// Mean of `ln P(everything observed)` of a round, with the rounds before it where the prior follows.
pub(super) fn mean_evidence(set: &ModelSet, spec: &StreamSpec, rounds: &[Round]) -> Result<f64, ModelError> {
    let mut sum = 0.0;
    Posterior::new(set, spec)?.follow(rounds, |_, ln_evidence, _| sum += ln_evidence);
    Ok(sum / rounds.len().max(1) as f64)
}
