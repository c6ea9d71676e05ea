//! The trimmed mean.

use super::mean::mean;
use super::{Context, Estimate, Rule};

/// The mean of what is left when the f smallest and the f largest values are dropped; where that would leave nothing, as
/// many on each side as leave one or two (the median).
#[derive(Clone, Copy, Debug)]
pub struct TrimmedMean;

impl Rule for TrimmedMean {
    fn name(&self) -> &'static str {
        "trimmed_mean"
    }

    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate {
        let drop = context.f.min((values.len() - 1) / 2);
        Estimate::of(mean(&values[drop..values.len() - drop]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let of = |values: &[f64], f| TrimmedMean.of_sorted(values, &Context { f, noise_sd: 1.0 }).value;
        assert_eq!(of(&[-90.0, 1.0, 2.0, 6.0, 50.0], 1), 3.0);
        assert_eq!(of(&[-90.0, 1.0, 2.0, 6.0, 50.0], 2), 2.0);
        assert_eq!(of(&[1.0, 2.0], 1), 1.5);
    }
}
