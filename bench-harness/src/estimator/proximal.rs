//! The proximal Byzantine agreement of Shadmon and Arden (DISC 2025).

use super::median::median;
use super::{Context, Estimate, Rule, best_window};

/// For each subset of n − f values its geometric median (on the line: its median), scored by its similarity to the subset's
/// values; the best is taken.
///
/// Similarity is taken as the negated sum of distances, −Σ |v − m|, which the geometric median itself makes largest. On
/// the line a subset of the least sum can be chosen among consecutive values, so that no enumeration is needed (a test compares
/// with one); the lowest of equals.
#[derive(Clone, Copy, Debug)]
pub struct ProximalAgreement;

/// Sum of the distances of `sorted` to its median.
fn distances(sorted: &[f64]) -> f64 {
    let centre = median(sorted);
    sorted.iter().map(|v| (v - centre).abs()).sum()
}

impl Rule for ProximalAgreement {
    fn name(&self) -> &'static str {
        "proximal_agreement"
    }

    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate {
        Estimate::of(median(best_window(values, values.len() - context.f, distances)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The subset without `f` of `sorted` that has the least cost, by enumeration.
    pub(crate) fn best_subset(sorted: &[f64], f: usize, cost: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let mut best = (f64::INFINITY, Vec::new());
        for bits in 0u32..1 << sorted.len() {
            if bits.count_ones() as usize == sorted.len() - f {
                let subset: Vec<f64> =
                    (0..sorted.len()).filter(|i| bits >> i & 1 == 1).map(|i| sorted[i]).collect();
                let cost = cost(&subset);
                if cost < best.0 - 1e-12 {
                    best = (cost, subset);
                }
            }
        }
        best.1
    }

    #[test]
    fn by_hand() {
        // n = 4, f = 1: {0, 1, 2} has distances 2, {1, 2, 9} 8, {0, 1, 9} 9, {0, 2, 9} 9.
        let found = ProximalAgreement.of_sorted(&[0.0, 1.0, 2.0, 9.0], &Context { f: 1, noise_sd: 1.0 });
        assert_eq!(found.value, 1.0);
    }

    #[test]
    fn consecutive_values_are_best_of_all_subsets() {
        for values in [&[0.0, 2.0, 2.1, 5.0, 5.3, 5.5][..], &[-4.0, -1.0, 0.0, 7.0, 8.5, 9.25, 30.0]] {
            for f in 1..=3 {
                let found = ProximalAgreement.of_sorted(values, &Context { f, noise_sd: 1.0 }).value;
                let best = best_subset(values, f, distances);
                let window = best_window(values, values.len() - f, distances);
                assert!((distances(&best) - distances(window)).abs() < 1e-12);
                assert_eq!(found, median(window));
            }
        }
    }
}
