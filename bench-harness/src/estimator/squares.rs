//! Least trimmed squares (Rousseeuw 1984).

use super::mean::mean;
use super::{Context, Estimate, Rule, best_window};

/// The mean of the n − f values of the least sum of squared residuals. On the line these are consecutive; the lowest of
/// equals.
#[derive(Clone, Copy, Debug)]
pub struct LeastTrimmedSquares;

impl Rule for LeastTrimmedSquares {
    fn name(&self) -> &'static str {
        "least_trimmed_squares"
    }

    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate {
        let squares = |w: &[f64]| {
            let centre = mean(w);
            w.iter().map(|v| (v - centre).powi(2)).sum::<f64>()
        };
        Estimate::of(mean(best_window(values, values.len() - context.f, squares)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimator::proximal::tests::best_subset;

    #[test]
    fn consecutive_values_are_best_of_all_subsets() {
        let squares = |s: &[f64]| s.iter().map(|v| (v - mean(s)).powi(2)).sum::<f64>();
        for values in [&[0.0, 2.0, 2.1, 5.0, 5.3, 5.5][..], &[-4.0, -1.0, 0.0, 7.0, 8.0]] {
            for f in 1..3 {
                let found = LeastTrimmedSquares.of_sorted(values, &Context { f, noise_sd: 1.0 }).value;
                assert!((found - mean(&best_subset(values, f, squares))).abs() < 1e-12);
            }
        }
    }
}
