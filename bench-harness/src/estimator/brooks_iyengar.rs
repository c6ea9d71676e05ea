//! The algorithm of Brooks and Iyengar (*Robust Distributed Computing and Sensing Algorithm*, 1996).

use super::{Context, Estimate, Rule, intervals, stretches};

/// The mean of the middles of the stretches that at least n − f intervals hold, weighted by how many hold them, with
/// the hull of the stretches.
///
/// Where no stretch is held by that many, which more than f faults or noise beyond the intervals can bring about, the most that
/// hold any are taken instead of n − f.
#[derive(Clone, Copy, Debug)]
pub struct BrooksIyengar;

/// The estimate and the interval.
#[must_use]
pub fn fuse(intervals: &[(f64, f64)], f: usize) -> Option<(f64, (f64, f64))> {
    let stretches = stretches(intervals);
    let most = stretches.iter().map(|s| s.2).max()?;
    let needed = intervals.len().saturating_sub(f).min(most);
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut hull = (f64::INFINITY, f64::NEG_INFINITY);
    for &(low, high, count) in stretches.iter().filter(|s| s.2 >= needed) {
        sum += count as f64 * f64::midpoint(low, high);
        weight += count as f64;
        hull = (hull.0.min(low), hull.1.max(high));
    }
    (weight > 0.0).then(|| (sum / weight, hull))
}

impl Rule for BrooksIyengar {
    fn name(&self) -> &'static str {
        "brooks_iyengar"
    }

    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate {
        match fuse(&intervals(values, context), context.f) {
            Some((value, hull)) => Estimate { interval: Some(hull), ..Estimate::of(value) },
            None => Estimate::of(values[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_example_of_five_sensors() {
        let sensors = [(2.7, 6.7), (0.0, 3.2), (1.5, 4.5), (0.8, 2.8), (1.4, 4.6)];
        let (value, hull) = fuse(&sensors, 1).unwrap();
        // (4·2.1 + 5·2.75 + 4·3.0)/13
        assert!((value - 34.15 / 13.0).abs() < 1e-12 && (value - 2.627).abs() < 5e-4, "{value}");
        assert_eq!(hull, (1.5, 3.2));
    }

    #[test]
    fn without_enough_agreement_the_largest_counts() {
        let (value, hull) = fuse(&[(0.0, 2.0), (1.0, 3.0), (9.0, 10.0), (20.0, 21.0)], 1).unwrap();
        assert_eq!((value, hull), (1.5, (1.0, 2.0)));
    }
}
