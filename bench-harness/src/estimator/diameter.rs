//! Minimum-diameter averaging (El Mhamdi, Guerraoui, Rouault 2018).

use super::mean::mean;
use super::{Context, Estimate, Rule, best_window};

/// The mean of the n − f values of the least diameter. On the line these are consecutive; the lowest of equals.
#[derive(Clone, Copy, Debug)]
pub struct MinimumDiameter;

impl Rule for MinimumDiameter {
    fn name(&self) -> &'static str {
        "minimum_diameter"
    }

    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate {
        let diameter = |w: &[f64]| w[w.len() - 1] - w[0];
        Estimate::of(mean(best_window(values, values.len() - context.f, diameter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let found = MinimumDiameter.of_sorted(&[0.0, 4.0, 5.0, 6.0, 10.0], &Context { f: 2, noise_sd: 1.0 });
        assert_eq!(found.value, 5.0);
        let tied = MinimumDiameter.of_sorted(&[0.0, 1.0, 2.0], &Context { f: 1, noise_sd: 1.0 });
        assert_eq!(tied.value, 0.5);
    }
}
