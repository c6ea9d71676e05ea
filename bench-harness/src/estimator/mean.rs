//! The mean of all values.

use super::{Context, Estimate, Rule};

/// The arithmetic mean: best for Gaussian noise without liars, and helpless against one.
#[derive(Clone, Copy, Debug)]
pub struct Mean;

/// Mean of `values`, which are not empty.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl Rule for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn of_sorted(&self, values: &[f64], _: &Context) -> Estimate {
        Estimate::of(mean(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(Mean.of_sorted(&[1.0, 2.0, 6.0], &Context { f: 1, noise_sd: 1.0 }).value, 3.0);
    }
}
