//! The median of all values.

use super::{Context, Estimate, Rule};

/// The middle value, or the middle of the two middle ones.
#[derive(Clone, Copy, Debug)]
pub struct Median;

/// The two middle values of `sorted` (the same one twice where their number is odd), which is not empty.
pub(crate) fn middle(sorted: &[f64]) -> (f64, f64) {
    (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

/// Median of `sorted`, which is not empty.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let (low, high) = middle(sorted);
    f64::midpoint(low, high)
}

impl Rule for Median {
    fn name(&self) -> &'static str {
        "median"
    }

    fn of_sorted(&self, values: &[f64], _: &Context) -> Estimate {
        Estimate::of(median(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_odd_and_even_numbers() {
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
    }
}
