//! One sample out of those of several senders, each of whom counts once.

use super::Combination;
use super::estimate::Profile;

/// A sample to fit, and the share of it that may be an adversary's.
#[derive(Debug, PartialEq)]
pub(super) struct Combined {
    pub(super) values: Vec<f64>,
    pub(super) contamination: f64,
}

/// Combines the senders' values to `count` of them, or a few less; `faults` of the senders may lie, fewer than half.
pub(super) fn combine(
    profiles: &[Profile],
    faults: usize,
    count: usize,
    combination: Combination,
) -> Combined {
    match combination {
        Combination::Trimmed => Combined { values: trimmed(profiles, faults, count), contamination: 0.0 },
        Combination::Pooled => {
            let each = (count / profiles.len().max(1)).max(1);
            let values = profiles.iter().flat_map(|profile| profile.quantiles(each)).collect();
            Combined { values, contamination: faults as f64 / profiles.len().max(1) as f64 }
        }
    }
}

/// At each of `count` probabilities the mean of the senders' quantiles without the `faults` lowest and highest.
///
/// A quantile that is left in lies between those of two honest senders: were it above all of them, it would be a liar's, and
/// with it all that were taken away above it, one liar too many. So does the mean, and so does one that is rounded where most
/// are whole numbers.
fn trimmed(profiles: &[Profile], faults: usize, count: usize) -> Vec<f64> {
    let rows: Vec<Vec<f64>> = profiles.iter().map(|profile| profile.quantiles(count)).collect();
    let kept = profiles.len().saturating_sub(2 * faults);
    let mut column = Vec::with_capacity(rows.len());
    let of = |place: usize| {
        column.clear();
        column.extend(rows.iter().filter_map(|row| row.get(place)));
        column.sort_unstable_by(f64::total_cmp);
        let kept = column.get(faults..faults + kept)?;
        let whole = kept.iter().filter(|value| value.fract() == 0.0).count();
        // Shares first, so that huge values do not overflow.
        let mean: f64 = kept.iter().map(|value| value / kept.len() as f64).sum();
        let mean = mean.clamp(*kept.first()?, *kept.last()?);
        Some(if 2 * whole > kept.len() { mean.round() } else { mean })
    };
    (0..count).map_while(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;

    fn profile(values: impl IntoIterator<Item = f64>) -> Profile {
        Profile::new(values.into_iter().map(|value| (value, 1.0)).collect())
    }

    #[test]
    fn whatever_some_say_quantiles_stay_between_those_of_the_honest() {
        let mut rng = SplitMix64::new(3);
        for (senders, faults) in [(3, 1), (4, 1), (5, 2), (7, 2), (7, 3)] {
            for _ in 0..50 {
                let honest: Vec<Vec<f64>> =
                    (faults..senders).map(|_| (0..20).map(|_| rng.unit()).collect()).collect();
                let place = 3.0 * rng.unit() - 1.0;
                let lies = (0..faults).map(|_| (0..20).map(|_| place + 0.3 * rng.unit()).collect());
                let all: Vec<Profile> = honest.iter().cloned().chain(lies).map(profile).collect();
                let found = trimmed(&all, faults, 20);
                let rows: Vec<Vec<f64>> =
                    honest.into_iter().map(|values| profile(values).quantiles(20)).collect();
                for (at, value) in found.iter().enumerate() {
                    let column = || rows.iter().map(|row| row[at]);
                    let (low, high) =
                        (column().fold(2.0, f64::min) - 1e-12, column().fold(-1.0, f64::max) + 1e-12);
                    assert!((low..=high).contains(value), "{senders} {faults}: {value} {low} {high}");
                }
                assert!(found.is_sorted());
            }
        }
    }

    #[test]
    fn counts_stay_whole_and_huge_values_finite() {
        let counts = [profile([1.0, 2.0]), profile([2.0, 4.0]), profile([2.0, 9.0]), profile([0.5, 0.5])];
        assert_eq!(trimmed(&counts, 1, 2), [2.0, 3.0]);
        assert_eq!(trimmed(&[profile([f64::MAX]), profile([f64::MAX])], 0, 1), [f64::MAX]);
    }

    #[test]
    fn a_pool_has_equally_many_of_each() {
        let many = profile((0..1_000).map(f64::from));
        let found = combine(&[many, profile([-5.0]), profile([-7.0])], 1, 9, Combination::Pooled);
        assert_eq!(found.contamination, 1.0 / 3.0);
        assert_eq!(found.values.iter().filter(|value| **value < 0.0).count(), 6);
        assert_eq!(found.values.len(), 9);
    }
}
