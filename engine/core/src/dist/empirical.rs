//! Histograms, flat within each bin.

use super::logs::Tails;

/// A checked histogram and the sum of its counts.
#[derive(Clone, Copy)]
pub(super) struct Histogram<'a> {
    pub(super) edges: &'a [f64],
    pub(super) counts: &'a [f64],
    pub(super) total: f64,
}

impl Histogram<'_> {
    /// Count between `a` and `b`.
    fn count(&self, a: f64, b: f64) -> f64 {
        let first = self.edges.partition_point(|&edge| edge <= a).saturating_sub(1);
        let bins = self.edges.windows(2).zip(self.counts).skip(first);
        let mut sum = 0.0;
        for (bin, &count) in bins {
            let &[low, high] = bin else { break };
            if low >= b {
                break;
            }
            let overlap = high.min(b) - low.max(a);
            if overlap > 0.0 {
                sum += if a <= low && high <= b { count } else { count * (overlap / (high - low)) };
            }
        }
        sum
    }

    pub(super) fn ln_mass(&self, a: f64, b: f64) -> f64 {
        (self.count(a, b) / self.total).min(1.0).ln()
    }

    pub(super) fn tails(&self, x: f64) -> Tails {
        Tails { lower: self.ln_mass(f64::NEG_INFINITY, x), upper: self.ln_mass(x, f64::INFINITY) }
    }

    /// Logarithm of the density; at an edge that of the bin above, at the last edge that of the last bin.
    pub(super) fn ln_pdf(&self, x: f64) -> f64 {
        let after = self.edges.partition_point(|&edge| edge <= x);
        let at_end = self.edges.last() == Some(&x);
        let bin = if at_end { self.counts.len().checked_sub(1) } else { after.checked_sub(1) };
        let found = bin.and_then(|i| Some((self.counts.get(i)?, self.edges.get(i)?, self.edges.get(i + 1)?)));
        match found {
            Some((count, low, high)) => (count / self.total / (high - low)).ln(),
            None => f64::NEG_INFINITY,
        }
    }

    pub(super) fn mean(&self) -> f64 {
        self.average(|low, high| 0.5 * low + 0.5 * high)
    }

    pub(super) fn variance(&self) -> f64 {
        let mean = self.mean();
        self.average(|low, high| {
            let (from_mean, width) = (0.5 * low + 0.5 * high - mean, high - low);
            from_mean * from_mean + width * width / 12.0
        })
    }

    fn average(&self, of: impl Fn(f64, f64) -> f64) -> f64 {
        let bins = self.edges.windows(2).zip(self.counts);
        let terms = bins.filter_map(|(bin, &count)| match *bin {
            [low, high] if count > 0.0 => Some(count / self.total * of(low, high)),
            _ => None,
        });
        terms.sum()
    }

    /// Ends of the bins that are not empty.
    pub(super) fn support(&self) -> (f64, f64) {
        let full = |&(_, &count): &(&[f64], &f64)| count > 0.0;
        let low = self.edges.windows(2).zip(self.counts).find(full).and_then(|(bin, _)| bin.first());
        let high = self.edges.windows(2).zip(self.counts).rfind(full).and_then(|(bin, _)| bin.last());
        (low.copied().unwrap_or(0.0), high.copied().unwrap_or(0.0))
    }
}
