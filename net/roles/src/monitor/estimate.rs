//! Quantiles of samples: estimates that a few wild values cannot move far.

/// The `p`-quantile of sorted values by linear interpolation between order statistics; `None` for none.
pub(super) fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = p.clamp(0.0, 1.0) * last as f64;
    let below = at.floor();
    let low = *sorted.get(below as usize)?;
    let high = *sorted.get((below as usize + 1).min(last))?;
    // Halves first, so that two huge values of either sign do not overflow.
    let share = at - below;
    Some(low * (1.0 - share) + high * share)
}

/// Values in order with their weights.
#[derive(Debug)]
pub(super) struct Profile {
    /// Each value, and the weight of it and all below it.
    cumulated: Vec<(f64, f64)>,
}

impl Profile {
    pub(super) fn new(mut weighted: Vec<(f64, f64)>) -> Self {
        weighted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut below = 0.0;
        for (_, weight) in &mut weighted {
            below += *weight;
            *weight = below;
        }
        Self { cumulated: weighted }
    }

    /// `count` values that stand for all, in order: those at the probabilities `(i + ½)/count`. Of equal weights and as many
    /// as there are, all of them.
    pub(super) fn quantiles(&self, count: usize) -> Vec<f64> {
        let total = self.cumulated.last().map_or(0.0, |(_, total)| *total);
        let mut at = 0;
        let of = |place: usize| {
            let below = (place as f64 + 0.5) / count as f64 * total;
            while self.cumulated.get(at + 1).is_some() && self.cumulated.get(at)?.1 < below {
                at += 1;
            }
            Some(self.cumulated.get(at)?.0)
        };
        (0..count).map_while(of).collect()
    }
}

/// The median of values, which are sorted.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// The median absolute deviation from `centre`; the values become the deviations.
pub(super) fn deviation(values: &mut [f64], centre: f64) -> Option<f64> {
    for value in values.iter_mut() {
        *value = (*value - centre).abs();
    }
    median(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_move_quantiles() {
        let even = Profile::new([3.0, 1.0, 2.0, 5.0].map(|value| (value, 0.7)).to_vec());
        assert_eq!(even.quantiles(4), [1.0, 2.0, 3.0, 5.0]);
        assert_eq!(even.quantiles(2), [1.0, 3.0]);
        let heavy = Profile::new(vec![(9.0, 6.0), (1.0, 1.0), (2.0, 1.0)]);
        assert_eq!(heavy.quantiles(4), [1.0, 9.0, 9.0, 9.0]);
        assert!(Profile::new(Vec::new()).quantiles(3).is_empty());
    }

    #[test]
    fn quantiles_of_a_few_values() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[4.0], 0.9), Some(4.0));
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (p, expected) in [(0.0, 1.0), (0.5, 3.0), (0.75, 5.0), (1.0, 8.0)] {
            assert_eq!(quantile(&sorted, p), Some(expected));
        }
        assert_eq!(quantile(&[f64::MIN, f64::MAX], 0.5), Some(0.0));
        assert_eq!(median(&mut [9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(deviation(&mut [1.0, 5.0, 100.0], 5.0), Some(4.0));
    }
}
