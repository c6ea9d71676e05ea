//! Marzullo's algorithm (1984), as the Network Time Protocol's predecessor used it.

use super::{Context, Estimate, Rule, intervals, stretches};

/// The middle of the first interval that as many sources as possible agree on; the interval itself comes with it.
#[derive(Clone, Copy, Debug)]
pub struct Marzullo;

/// The first of the intervals that are held by the most of `intervals`.
#[must_use]
pub fn agreement(intervals: &[(f64, f64)]) -> Option<(f64, f64)> {
    let stretches = stretches(intervals);
    let most = stretches.iter().map(|s| s.2).max()?;
    let first = stretches.iter().find(|s| s.2 == most)?;
    Some((first.0, first.1))
}

impl Rule for Marzullo {
    fn name(&self) -> &'static str {
        "marzullo"
    }

    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate {
        match agreement(&intervals(values, context)) {
            Some((low, high)) => {
                Estimate { interval: Some((low, high)), ..Estimate::of(f64::midpoint(low, high)) }
            }
            None => Estimate::of(values[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples() {
        assert_eq!(agreement(&[(8.0, 12.0), (11.0, 13.0), (10.0, 12.0)]), Some((11.0, 12.0)));
        assert_eq!(agreement(&[(8.0, 12.0), (11.0, 13.0), (14.0, 15.0)]), Some((11.0, 12.0)));
        assert_eq!(agreement(&[(8.0, 9.0), (8.0, 12.0), (10.0, 12.0)]), Some((8.0, 9.0)));
    }

    #[test]
    fn intervals_that_only_touch_agree_in_a_point() {
        assert_eq!(agreement(&[(1.0, 2.0), (2.0, 3.0)]), Some((2.0, 2.0)));
    }

    #[test]
    fn a_value_alone_is_its_own_estimate() {
        assert_eq!(Marzullo.of_sorted(&[5.0], &Context { f: 0, noise_sd: 1.0 }).value, 5.0);
    }
}
