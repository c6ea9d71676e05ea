//! Each replica's noise, from its distances to the rounds' centres.

use super::centre::Centres;
use super::{ModelFitError, Round};
use crate::distribution::{FitOptions, Fitted, fit_distribution};
use crate::error::FitError;
use crate::family::FamilyName;
use centauri_engine::{Distribution, DistributionRef, Family, StreamSpec};

/// The families that a noise is chosen from.
const FAMILIES: [FamilyName; 4] =
    [FamilyName::Normal, FamilyName::Logistic, FamilyName::Laplace, FamilyName::StudentT];
/// What a better family must be better by in its criterion.
const MARGIN: f64 = 6.0;
/// Largest contamination that a replica's residuals are taken to have.
const CONTAMINATION_MAX: f64 = 0.4;

/// A noise of location, width and shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Noise {
    pub(super) family: Family,
}

impl Noise {
    /// The noise with its width multiplied by `factor`, around the same location.
    pub(super) fn scaled(&self, factor: f64) -> Option<Distribution> {
        let family = match self.family {
            Family::Normal { mean, sd } => Family::Normal { mean, sd: sd * factor },
            Family::Laplace { mean, scale } => Family::Laplace { mean, scale: scale * factor },
            Family::Logistic { mean, scale } => Family::Logistic { mean, scale: scale * factor },
            Family::StudentT { df, mean, scale } => Family::StudentT { df, mean, scale: scale * factor },
            _ => return None,
        };
        Distribution::new(family, 0.0).ok()
    }

    /// Half of the distance between the 16th and the 84th percentile.
    pub(super) fn width(&self) -> f64 {
        self.scaled(1.0).map_or(0.0, |noise| (noise.quantile(0.8413) - noise.quantile(0.1587)) / 2.0)
    }

    /// The same around a location that is farther by `shift`.
    fn moved(&self, shift: f64) -> Self {
        let mut own = self.clone();
        match &mut own.family {
            Family::Normal { mean, .. }
            | Family::Laplace { mean, .. }
            | Family::Logistic { mean, .. }
            | Family::StudentT { mean, .. } => *mean += shift,
            _ => {}
        }
        own
    }
}

/// The noise of each replica, biases included.
pub(super) fn fit(
    spec: &StreamSpec,
    rounds: &[Round],
    centres: &Centres,
) -> Result<Vec<Noise>, ModelFitError> {
    let n = spec.replicas.len();
    // Residuals from a centre of which a replica is a part are smaller than its errors.
    let part = n.saturating_sub(spec.faulty_replicas_max()).max(2) as f64;
    let larger = (part / (part - 1.0)).sqrt();
    let contamination = (spec.faulty_replicas_max() as f64 / n as f64).min(CONTAMINATION_MAX);
    let mut noises = Vec::with_capacity(n);
    for (at, replica) in spec.replicas.iter().enumerate() {
        let residuals = centres.residuals(rounds, at);
        let noise = one(&residuals, contamination).map_err(|error| ModelFitError::Noise {
            stream: spec.name.clone(),
            replica: replica.name.clone(),
            error,
        })?;
        let noise = noise.scaled(larger).map_or(noise, |d| Noise { family: d.family().clone() });
        noises.push(noise.moved(centres.bias(at)));
    }
    Ok(settled(noises))
}

/// The family that fits best, the simplest where several do.
fn one(residuals: &[f64], contamination: f64) -> Result<Noise, FitError> {
    let mut best: Option<Fitted> = None;
    let mut refused = FitError::NoFit(FamilyName::Normal);
    for family in FAMILIES {
        match fit_distribution(residuals, &FitOptions { contamination, family: Some(family) }) {
            Ok(fitted) => {
                let better = best.as_ref().is_none_or(|b| fitted.criterion < b.criterion - MARGIN);
                if better {
                    best = Some(fitted);
                }
            }
            Err(error) => refused = error,
        }
    }
    match best {
        Some(fitted) => Ok(Noise { family: fitted.distribution.family().clone() }),
        None => almost_silent(residuals).ok_or(refused),
    }
}

/// Residuals of which nearly all are the same: a Laplace noise of their mean distance from their median.
fn almost_silent(residuals: &[f64]) -> Option<Noise> {
    let mut sorted = residuals.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = crate::bins::quantile(&sorted, 0.5);
    let scale = sorted.iter().map(|x| (x - median).abs()).sum::<f64>() / sorted.len() as f64;
    (scale > 0.0 && scale.is_finite()).then_some(Noise { family: Family::Laplace { mean: median, scale } })
}

/// Moves all locations so that they add up to 0: the ideal output is what the replicas say on average.
fn settled(mut noises: Vec<Noise>) -> Vec<Noise> {
    let location = |noise: &Noise| noise.scaled(1.0).map_or(0.0, |noise| noise.median());
    let mean = noises.iter().map(location).sum::<f64>() / noises.len().max(1) as f64;
    noises.iter_mut().for_each(|noise| *noise = noise.moved(-mean));
    noises
}

/// The form of a noise of two widths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// Weight of the wider component.
    pub(super) share: f64,
    /// Its width over that of the narrower one.
    pub(super) ratio: f64,
}

/// Noises of two widths around each replica's own location: normals as wide as the noise itself or, `pooled`, as the one in
/// the middle of all, times `factor`, with a share of a wider one.
pub(super) fn widened(
    noises: &[Noise],
    pooled: bool,
    shape: Shape,
    factor: f64,
) -> Vec<Option<Distribution>> {
    let widths: Vec<f64> = noises.iter().map(Noise::width).collect();
    let mut sorted = widths.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = crate::bins::quantile(&sorted, 0.5);
    let of = |(noise, own): (&Noise, f64)| {
        let location = noise.scaled(1.0)?.median();
        let width = factor * if pooled { middle } else { own };
        let narrow = Distribution::normal(location, width).ok()?;
        if shape.share <= 0.0 {
            return Some(narrow);
        }
        let wide = Distribution::normal(location, width * shape.ratio).ok()?;
        let (weights, components) = (vec![1.0 - shape.share, shape.share], vec![narrow, wide]);
        Distribution::new(Family::Mixture { weights, components }, 0.0).ok()
    };
    noises.iter().zip(widths).map(of).collect()
}

/// Writes the noises into the model, as each replica's own.
pub(super) fn apply(spec: &mut StreamSpec, noises: &[Noise], factor: f64) {
    for (replica, noise) in spec.replicas.iter_mut().zip(noises) {
        replica.noise = noise.scaled(factor).map(DistributionRef::Inline);
    }
}
