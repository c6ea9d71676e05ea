//! Noises under which credible intervals cover the replicas' mean as often as they say.
//!
//! One factor on all widths can set one interval right, not three: where replicas mostly agree and now and then do not, the
//! inner interval is too wide before the outer one is wide enough. So a noise has two widths: a normal, and with a share of
//! the weight a wider one around the same location. Factor, share and ratio are those that cover best.

use super::coverage::{LEVELS, blocks, of_posteriors};
use super::noise::{Noise, Shape, widened};
use super::{ModelFitError, Round};
use centauri_engine::{DistributionRef, ModelSet, PriorSpec, StreamSpec};

/// Share and ratio of the wider component.
const SHAPES: [Shape; 6] = [
    Shape { share: 0.0, ratio: 1.0 },
    Shape { share: 0.2, ratio: 3.0 },
    Shape { share: 0.2, ratio: 8.0 },
    Shape { share: 0.4, ratio: 3.0 },
    Shape { share: 0.4, ratio: 8.0 },
    Shape { share: 0.6, ratio: 5.0 },
];
/// Factors that are tried first, evenly in logarithms.
const FACTORS: usize = 8;
const LN_FACTOR: (f64, f64) = (-2.0, 1.3);
/// Blocks that are looked at first, and for what was best then.
const FIRST_BLOCKS: usize = 8;
const BLOCKS: usize = 20;
/// How many are looked at again.
const AGAIN: usize = 8;
/// What a prior that follows must be better by, in the worst of the levels before the tail and on it together: inside the first halves of real readings what a
/// fixed one was calibrated to held more often on what came after.
const FOLLOWING_BETTER_BY: f64 = 0.1;

/// What was found.
pub(super) struct Calibrated {
    /// What the widths of the noises were multiplied by.
    pub(super) factor: f64,
    pub(super) shape: Shape,
    pooled: bool,
}

/// Sets the prior, one of `priors`, and the noises.
///
/// Which prior is told by holding back the last third of the history: under each the noises are set on what comes before;
/// that and the tail say how near to their levels the intervals then are. The noises are set anew on the whole history.
pub(super) fn calibrate(
    set: &ModelSet,
    spec: &mut StreamSpec,
    noises: &[Noise],
    priors: &[PriorSpec],
    rounds: &[Round],
) -> Result<Calibrated, ModelFitError> {
    let (before, tail) = rounds.split_at(rounds.len() - rounds.len() / 3);
    let mut chosen: Option<(f64, &PriorSpec)> = None;
    let follows = |prior: &&PriorSpec| matches!(prior, PriorSpec::Following { .. });
    for prior in priors.iter().filter(|prior| !follows(prior)).chain(priors.iter().filter(follows)) {
        if priors.len() > 1 {
            spec.prior = prior.clone();
            search(set, spec, noises, before)?;
            // A prior under which no noise covers the past well is no better for covering the tail by chance.
            let worst = of_posteriors(set, spec, &blocks(before, BLOCKS))?.worst()
                + of_posteriors(set, spec, &blocks(tail, BLOCKS))?.worst();
            if chosen.as_ref().is_none_or(|(least, _)| worst < least - FOLLOWING_BETTER_BY) {
                chosen = Some((worst, prior));
            }
        } else {
            chosen = Some((0.0, prior));
        }
    }
    if let Some((_, prior)) = chosen {
        spec.prior = prior.clone();
    }
    search(set, spec, noises, rounds)
}

/// Sets the noises that cover best on `rounds`.
fn search(
    set: &ModelSet,
    spec: &mut StreamSpec,
    noises: &[Noise],
    rounds: &[Round],
) -> Result<Calibrated, ModelFitError> {
    let first = blocks(rounds, FIRST_BLOCKS);
    let all = blocks(rounds, BLOCKS);
    let (low, high) = LN_FACTOR;
    let spacing = (high - low) / (FACTORS - 1) as f64;
    let mut tried: Vec<(f64, Calibrated)> = Vec::new();
    for pooled in [false, true] {
        for shape in SHAPES {
            for i in 0..FACTORS {
                let factor = (low + spacing * i as f64).exp();
                tried.push(attempt(set, spec, noises, (pooled, shape, factor), &first)?);
            }
        }
    }
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    tried.truncate(AGAIN);
    let mut again = Vec::new();
    for (_, found) in &tried {
        for part in [-0.4, 0.0, 0.4] {
            let factor = found.factor * (part * spacing).exp();
            again.push(attempt(set, spec, noises, (found.pooled, found.shape, factor), &all)?);
        }
    }
    let best = again.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, best)| best);
    let best =
        best.unwrap_or(Calibrated { factor: 1.0, shape: Shape { share: 0.0, ratio: 1.0 }, pooled: false });
    apply(spec, noises, (best.pooled, best.shape, best.factor));
    Ok(best)
}

fn attempt(
    set: &ModelSet,
    spec: &mut StreamSpec,
    noises: &[Noise],
    (pooled, shape, factor): (bool, Shape, f64),
    blocks: &[&[Round]],
) -> Result<(f64, Calibrated), ModelFitError> {
    apply(spec, noises, (pooled, shape, factor));
    let coverage = of_posteriors(set, spec, blocks)?;
    let squares = coverage.at.iter().zip(LEVELS).map(|(share, level)| (share - level).powi(2));
    Ok((squares.sum(), Calibrated { factor, shape, pooled }))
}

fn apply(spec: &mut StreamSpec, noises: &[Noise], (pooled, shape, factor): (bool, Shape, f64)) {
    for (replica, noise) in spec.replicas.iter_mut().zip(widened(noises, pooled, shape, factor)) {
        replica.noise = noise.map(DistributionRef::Inline);
    }
}
