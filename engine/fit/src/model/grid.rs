//! Range and resolution of the support.

use super::centre::Centres;
use super::noise::Noise;
use crate::bins::quantile;
use centauri_engine::{Computation, DistributionRef, ModelError, ModelSet, StreamSpec, Support};

/// Most points: a following prior takes a quadratic number of steps a round.
const POINTS_MAX: f64 = 600.0;
/// Fewest points.
const POINTS_MIN: f64 = 250.0;
/// Steps to the width of what a quorum resolves.
const STEPS_PER_WIDTH: f64 = 4.0;
/// Margin on both sides, as a part of the range of the centres.
const MARGIN: f64 = 0.15;

/// The grid of the ideal output: all counts for `count`, otherwise the range of the centres (but for the wildest
/// thousandth) with a margin, at a step of 1, 2 or 5 times a power of ten.
pub(super) fn support(
    set: &ModelSet,
    spec: &StreamSpec,
    centres: &Centres,
    noises: &[Noise],
) -> Result<Support, ModelError> {
    if spec.output.computation == Computation::Count {
        return Support::new(0.0, 1.0, spec.output.messages.len() + 1);
    }
    let sorted = centres.sorted();
    let (low, high) = (quantile(&sorted, 0.001), quantile(&sorted, 0.999));
    let width = resolved(set, spec, noises).filter(|width| *width > 0.0);
    let margin = MARGIN * (high - low) + 4.0 * width.unwrap_or(0.0);
    let (low, high) = if margin > 0.0 { (low - margin, high + margin) } else { (low - 1.0, high + 1.0) };
    let range = high - low;
    let wanted = width.map_or(range / 256.0, |width| width / STEPS_PER_WIDTH);
    let step = round_up(wanted.clamp(range / POINTS_MAX, range / POINTS_MIN));
    let first = (low / step).floor();
    let points = (high / step).ceil() - first + 1.0;
    Support::new(first * step, step, points as usize)
}

/// What a quorum can tell apart: the width of the narrower noises over the root of their number.
fn resolved(set: &ModelSet, spec: &StreamSpec, noises: &[Noise]) -> Option<f64> {
    let mut widths: Vec<f64> = noises.iter().map(Noise::width).collect();
    if widths.is_empty() {
        let given = match spec.output.noise.as_ref()? {
            DistributionRef::Inline(noise) => noise,
            DistributionRef::Named(name) => set.distributions.get(name)?,
        };
        widths = vec![given.variance().sqrt(); spec.replicas.len()];
    }
    widths.sort_unstable_by(f64::total_cmp);
    let quorum = spec.replicas.len().saturating_sub(spec.faulty_replicas_max()).max(1);
    Some(quantile(&widths, 0.25) / (quorum as f64).sqrt()).filter(|width| width.is_finite())
}

/// The least of 1, 2, 5 times a power of ten that is not below `x`.
fn round_up(x: f64) -> f64 {
    let decade = 10_f64.powf(x.log10().floor());
    let sizes = [1.0, 2.0, 5.0, 10.0].map(|size| size * decade);
    sizes.into_iter().find(|size| *size >= x * (1.0 - 1e-9)).unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::round_up;

    #[test]
    fn steps_are_round() {
        for (x, expected) in [(0.13, 0.2), (1.0, 1.0), (0.021, 0.05), (7.0, 10.0)] {
            assert!((round_up(x) / expected - 1.0).abs() < 1e-12);
        }
    }
}
