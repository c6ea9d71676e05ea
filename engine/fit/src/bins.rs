//! The sample as counts in bins of about equal numbers.

/// Bins that cover the line, by the edges between them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bins {
    /// The edges between neighbouring bins, ascending; the first bin starts at −∞ and the last ends at ∞.
    pub(crate) edges: Vec<f64>,
    /// How many samples lie in each bin; one more than there are edges.
    pub(crate) counts: Vec<f64>,
}

/// Samples aimed at in a bin, where there are enough for `BINS_MIN` such bins: chance moves it by a seventh.
const PER_BIN: usize = 50;
/// Samples aimed at in a bin of a small sample.
const PER_BIN_MIN: usize = 8;
/// Bins aimed at before bins become larger than the least.
const BINS_MIN: usize = 40;
/// Most bins, or so.
const BINS_MAX: usize = 200;

impl Bins {
    /// Of `sorted` samples (ascending, not empty). An edge lies halfway between two neighbouring values; a value that
    /// is frequent enough to be a bin has one of its own.
    pub(crate) fn of(sorted: &[f64]) -> Self {
        let aim = (sorted.len() / BINS_MIN).clamp(PER_BIN_MIN, PER_BIN).max(sorted.len() / BINS_MAX);
        let (mut edges, mut counts) = (Vec::new(), Vec::new());
        let mut open = 0;
        let mut before = f64::NEG_INFINITY;
        for run in sorted.chunk_by(|a, b| a == b) {
            let Some(&value) = run.first() else { continue };
            if open >= aim || (open > 0 && run.len() >= aim) {
                edges.push(before + (value - before) / 2.0);
                counts.push(open as f64);
                open = 0;
            }
            open += run.len();
            before = value;
        }
        counts.push(open as f64);
        Self { edges, counts }
    }

    /// The bin of `x`.
    pub(crate) fn index(&self, x: f64) -> usize {
        self.edges.partition_point(|&edge| edge <= x)
    }
}

/// The `p`-quantile of `sorted`, interpolated between neighbours; NaN of nothing.
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = p.clamp(0.0, 1.0) * last as f64;
    let (low, share) = (at.floor() as usize, at.fract());
    let from = sorted.get(low).copied().unwrap_or(f64::NAN);
    let to = sorted.get((low + 1).min(last)).copied().unwrap_or(from);
    from + share * (to - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_a_clump_stands_alone() {
        let mut sample: Vec<f64> = (0..500).map(|i| f64::from(i) * 0.01).collect();
        sample.extend([7.0; 90]);
        sample.push(9.0);
        let bins = Bins::of(&sample);
        assert_eq!(bins.counts.iter().sum::<f64>(), 591.0);
        assert_eq!(bins.counts.len(), bins.edges.len() + 1);
        assert!(bins.edges.is_sorted_by(|a, b| a < b));
        assert_eq!(bins.counts[bins.index(7.0)], 90.0);
        for (i, count) in bins.counts.iter().enumerate() {
            let inside = sample.iter().filter(|&&x| bins.index(x) == i).count();
            assert_eq!(inside as f64, *count);
        }
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[1.0], 0.3), 1.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
