//! Krum (Blanchard, El Mhamdi, Guerraoui, Stainer, NeurIPS 2017).

use super::{Context, Estimate, Rule};

/// The value whose n − f − 2 nearest other values are nearest in the sum of squared distances; the smallest of equals.
///
/// Where n − f − 2 is below 1 (Krum asks for n ≥ 2f + 3), one neighbour is taken.
#[derive(Clone, Copy, Debug)]
pub struct Krum;

impl Rule for Krum {
    fn name(&self) -> &'static str {
        "krum"
    }

    fn of_sorted(&self, values: &[f64], context: &Context) -> Estimate {
        let neighbours = values.len().saturating_sub(context.f + 2).max(1);
        let mut best = (f64::INFINITY, values[0]);
        let mut distances = Vec::with_capacity(values.len());
        for (i, v) in values.iter().enumerate() {
            distances.clear();
            distances
                .extend(values.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, w)| (v - w) * (v - w)));
            distances.sort_by(f64::total_cmp);
            let score: f64 = distances.iter().take(neighbours).sum();
            if score < best.0 {
                best = (score, *v);
            }
        }
        Estimate::of(best.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // n = 5, f = 1: two neighbours. Scores: 0 → 1 + 4, 1 → 1 + 1, 2 → 1 + 4, 4 → 4 + 9, 10 → 36 + 64.
        let found = Krum.of_sorted(&[0.0, 1.0, 2.0, 4.0, 10.0], &Context { f: 1, noise_sd: 1.0 });
        assert_eq!(found.value, 1.0);
        assert_eq!(Krum.of_sorted(&[3.0], &Context { f: 0, noise_sd: 1.0 }).value, 3.0);
    }
}
