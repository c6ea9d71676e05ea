//! Families fitted to what the senders say together.

use centauri_engine::{Distribution, Family};
use centauri_fit::{FamilyName, FitOptions, Fitted, fit_distribution};

use super::combine::combine;
use super::estimate::Profile;
use super::{Combination, Monitored};

/// No fit has fewer values.
const VALUES_MIN: usize = 10;
/// A family that is farther from the sample than the nearest one by more than this is not picked: Cramér and von Mises's statistic, of
/// which chance makes a sixth.
const FARTHER_MAX: f64 = 0.1;

/// The distribution of the family (`None` picks one) that the senders' values fit best; `None` where there is none.
pub(super) fn fitted(
    profiles: &[Profile],
    (faults, values): (usize, usize),
    family: Option<FamilyName>,
    monitored: &Monitored,
) -> Option<Distribution> {
    let mut combined = combine(profiles, faults, values.max(VALUES_MIN), monitored.combination);
    if monitored.centred {
        let mirrored: Vec<f64> = combined.values.iter().map(|value| -value).collect();
        combined.values.extend(mirrored);
    }
    let options = FitOptions { contamination: combined.contamination, family };
    let found = fit_distribution(&combined.values, &options).ok()?;
    let found = match (family, monitored.combination) {
        (None, Combination::Trimmed) => picked(found, combined.values),
        _ => found.distribution,
    };
    let found = if monitored.centred { about_zero(&found)? } else { found };
    let width = 0.5 * (found.quantile(0.84) - found.quantile(0.16));
    (width >= monitored.scale_min && width.is_finite() || found.is_discrete()).then_some(found)
}

/// The best family of those that are as near to the sample as the nearest.
///
/// The order of fits does not mind much where a sample has too many values, for they may be lies. In a trimmed sample nothing lies
/// outside the honest range, and what all families must do is to be near it. Without this one constant near a quartile makes a normal
/// sample look like a uniform one with lies in its tails.
fn picked(found: Fitted, mut values: Vec<f64>) -> Distribution {
    values.sort_unstable_by(f64::total_cmp);
    let all =
        found.alternatives.iter().map(|tried| (&tried.distribution, misfit(&tried.distribution, &values)));
    let all: Vec<_> = all.collect();
    let least = all.iter().map(|(_, misfit)| *misfit).fold(f64::INFINITY, f64::min);
    let near = all.iter().find(|(_, misfit)| *misfit <= least + FARTHER_MAX);
    near.map_or(found.distribution, |(distribution, _)| (*distribution).clone())
}

/// Cramér and von Mises's statistic of sorted values: the sum of the squared differences of the two distribution functions, both
/// taken in the middle of a step where values are equal.
fn misfit(of: &Distribution, sorted: &[f64]) -> f64 {
    let (mut before, mut sum) = (0, 0.0);
    for run in sorted.chunk_by(|a, b| a == b) {
        let Some(&x) = run.first() else { continue };
        let middle = (before as f64 + 0.5 * run.len() as f64) / sorted.len() as f64;
        let atom = if of.is_discrete() { of.ln_density(x).exp() } else { 0.0 };
        sum += run.len() as f64 * (of.cdf(x) - 0.5 * atom - middle).powi(2);
        before += run.len();
    }
    sum
}

/// Whether its centre can be forced to 0.
pub(super) fn has_centre(family: FamilyName) -> bool {
    use FamilyName as Name;
    matches!(family, Name::Normal | Name::Laplace | Name::Logistic | Name::StudentT)
}

/// The fit of a mirrored sample, whose centre is 0 but for the search's accuracy.
fn about_zero(found: &Distribution) -> Option<Distribution> {
    let family = match *found.family() {
        Family::Normal { sd, .. } => Family::Normal { mean: 0.0, sd },
        Family::Laplace { scale, .. } => Family::Laplace { mean: 0.0, scale },
        Family::Logistic { scale, .. } => Family::Logistic { mean: 0.0, scale },
        Family::StudentT { df, scale, .. } => Family::StudentT { df, mean: 0.0, scale },
        _ => return None,
    };
    Distribution::new(family, 0.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misfit_is_the_statistic_of_the_books() {
        // Without the constant 1/(12n), which is the same for all families.
        let unit = Distribution::uniform(0.0, 1.0).unwrap();
        assert_eq!(misfit(&unit, &[0.5]), 0.0);
        let expected = (0.1_f64 - 0.25).powi(2) + (0.9_f64 - 0.75).powi(2);
        assert!((misfit(&unit, &[0.1, 0.9]) - expected).abs() < 1e-15);
        // Counts: P(0) = ½, P(1) = ¼ …; a sample of nearly these shares is a small misfit.
        let counts = Distribution::geometric(0.5).unwrap();
        assert!(misfit(&counts, &[0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0]) < 0.05);
        assert!(misfit(&counts, &[5.0, 5.0, 6.0]) > 0.5);
    }
}
