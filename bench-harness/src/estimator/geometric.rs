//! The geometric median on the line.

use super::mean::mean;
use super::median::middle;
use super::{Context, Estimate, Rule};

/// A point of least sum of distances to the values. On the line that is every point between the two middle values; of
/// these the one nearest to the mean, where Weiszfeld's iteration that starts at the mean ends. For an odd number of values it
/// is the median.
#[derive(Clone, Copy, Debug)]
pub struct GeometricMedian;

impl Rule for GeometricMedian {
    fn name(&self) -> &'static str {
        "geometric_median"
    }

    fn of_sorted(&self, values: &[f64], _: &Context) -> Estimate {
        let (low, high) = middle(values);
        Estimate::of(mean(values).clamp(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_point_has_a_smaller_sum_of_distances() {
        for values in [&[0.0, 1.0, 5.0, 40.0][..], &[0.0, 3.0, 4.0], &[-9.0, 1.0, 2.0, 2.5], &[3.0]] {
            let found = GeometricMedian.of_sorted(values, &Context { f: 1, noise_sd: 1.0 }).value;
            let cost = |m: f64| values.iter().map(|v| (v - m).abs()).sum::<f64>();
            let best = (-1000..5000).map(|i| cost(f64::from(i) / 100.0)).fold(f64::INFINITY, f64::min);
            assert!(cost(found) <= best + 1e-9, "{values:?} {found}");
        }
        let even = GeometricMedian.of_sorted(&[0.0, 1.0, 5.0, 40.0], &Context { f: 1, noise_sd: 1.0 });
        assert_eq!(even.value, 5.0, "the mean is 11.5, the nearest minimiser 5");
    }
}
