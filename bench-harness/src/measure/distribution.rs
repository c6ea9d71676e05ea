//! A distribution on a grid, as our objectives report it.

/// Probabilities of the points `min + s·step`; each stands for its bin, in which it is taken as flat where a point between
/// grid points is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct OnGrid {
    /// The smallest point.
    pub min: f64,
    /// Distance of neighbouring points.
    pub step: f64,
    /// Probability of each point; they sum to 1.
    pub probability: Vec<f64>,
}

/// The least log-density that a log score counts.
pub const LN_DENSITY_FLOOR: f64 = -60.0;

impl OnGrid {
    /// From natural logarithms, which need not be normalised; none where all are −∞.
    #[must_use]
    pub fn from_ln(min: f64, step: f64, ln: &[f64]) -> Option<Self> {
        let top = ln.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if !top.is_finite() {
            return None;
        }
        let mut probability: Vec<f64> = ln.iter().map(|l| (l - top).exp()).collect();
        let total: f64 = probability.iter().sum();
        probability.iter_mut().for_each(|p| *p /= total);
        Some(Self { min, step, probability })
    }

    fn point(&self, s: usize) -> f64 {
        self.min + s as f64 * self.step
    }

    /// The equal-tailed interval of `level`, flat within each bin.
    ///
    /// Decisions give the grid points whose bins hold these ends. A truth between grid points is held by such an interval too
    /// seldom where it is no wider than some bins, and a truth on the grid too often; this one holds it as often as it says.
    #[must_use]
    pub fn interval(&self, level: f64) -> (f64, f64) {
        let tail = (1.0 - level) / 2.0;
        (self.quantile(tail), self.quantile(1.0 - tail))
    }

    fn quantile(&self, p: f64) -> f64 {
        let mut below = 0.0;
        for (s, share) in self.probability.iter().enumerate() {
            if below + share >= p && *share > 0.0 {
                return self.point(s) + self.step * ((p - below) / share - 0.5);
            }
            below += share;
        }
        self.point(self.probability.len()) - self.step / 2.0
    }

    /// The first point of the largest probability.
    #[must_use]
    pub fn mode(&self) -> f64 {
        let mut best = (0, f64::NEG_INFINITY);
        for (s, &p) in self.probability.iter().enumerate() {
            if p > best.1 {
                best = (s, p);
            }
        }
        self.point(best.0)
    }

    /// P(X ≤ x), flat within each bin.
    #[must_use]
    pub fn cdf(&self, x: f64) -> f64 {
        let at = (x - self.min) / self.step + 0.5;
        if at <= 0.0 {
            return 0.0;
        }
        let bin = at.floor() as usize;
        let below: f64 = self.probability.iter().take(bin).sum();
        let inside = self.probability.get(bin).map_or(0.0, |p| p * (at - at.floor()));
        (below + inside).min(1.0)
    }

    /// Natural logarithm of the density at `x`, at least [`LN_DENSITY_FLOOR`].
    #[must_use]
    pub fn ln_density(&self, x: f64) -> f64 {
        let at = ((x - self.min) / self.step + 0.5).floor();
        let p = if at < 0.0 { None } else { self.probability.get(at as usize) };
        p.map_or(LN_DENSITY_FLOOR, |p| (p / self.step).ln().max(LN_DENSITY_FLOOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> OnGrid {
        OnGrid { min: 1.0, step: 0.5, probability: vec![0.1, 0.4, 0.3, 0.2] }
    }

    #[test]
    fn intervals_by_hand() {
        let near = |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12;
        assert!(near(four().interval(0.5), (1.25 + 0.5 * 0.15 / 0.4, 1.75 + 0.5 * 0.25 / 0.3)));
        assert!(near(four().interval(0.8), (1.25, 2.5)));
        let sure = OnGrid { min: 0.0, step: 1.0, probability: vec![0.0, 1.0, 0.0] };
        assert!(near(sure.interval(0.5), (0.75, 1.25)));
        assert_eq!(four().mode(), 1.5);
    }

    #[test]
    fn cdf_and_density_are_flat_within_bins() {
        let d = four();
        assert_eq!((d.cdf(0.5), d.cdf(9.0)), (0.0, 1.0));
        assert!((d.cdf(1.5) - 0.3).abs() < 1e-12, "half of the second bin");
        assert!((d.ln_density(1.6) - 0.8f64.ln()).abs() < 1e-12);
        assert_eq!(d.ln_density(-3.0), LN_DENSITY_FLOOR);
    }

    #[test]
    fn logarithms_are_normalised() {
        let d = OnGrid::from_ln(0.0, 1.0, &[-1000.0, -1000.0 + 3f64.ln(), f64::NEG_INFINITY]).unwrap();
        assert!((d.probability[1] - 0.75).abs() < 1e-12 && d.probability[2] == 0.0);
        assert_eq!(OnGrid::from_ln(0.0, 1.0, &[f64::NEG_INFINITY]), None);
    }
}
