//! The domain of every parameter, and the limits against hostile models.

use super::{Distribution, DistributionError, Family};

/// The most levels of mixtures within mixtures; a mixture of plain families is one level.
pub const MIXTURE_DEPTH_MAX: usize = 4;
/// The most components of a mixture, counted through all its levels.
pub const MIXTURE_COMPONENTS_MAX: usize = 64;
/// The most bins of an empirical distribution.
pub const EMPIRICAL_BINS_MAX: usize = 4096;
/// The most trials of a binomial: the integers up to here are exact in `f64`.
pub const TRIALS_MAX: u64 = 1 << 53;

/// Checks `family` and `offset`; the answer is what the counts or weights add up to (1 for other families).
pub(super) fn check(family: &Family, offset: f64) -> Result<f64, DistributionError> {
    let c = Checker { family: family.name() };
    c.finite("offset", offset)?;
    match *family {
        Family::Normal { mean, sd } => c.finite("mean", mean).and(c.positive("sd", sd))?,
        Family::Lognormal { mu, sigma } => c.finite("mu", mu).and(c.positive("sigma", sigma))?,
        Family::Exponential { mean } => c.positive("mean", mean)?,
        Family::Gamma { shape, scale } | Family::Weibull { shape, scale } => {
            c.positive("shape", shape).and(c.positive("scale", scale))?;
        }
        Family::Uniform { low, high } => c.interval(low, high)?,
        Family::Laplace { mean, scale } | Family::Logistic { mean, scale } => {
            c.finite("mean", mean).and(c.positive("scale", scale))?;
        }
        Family::StudentT { df, mean, scale } => {
            c.positive("df", df).and(c.finite("mean", mean)).and(c.positive("scale", scale))?;
        }
        Family::Poisson { mean } => {
            c.that("mean", mean, mean.is_finite() && mean >= 0.0, "a finite number, 0 or more")?;
        }
        Family::Binomial { trials, p } => {
            #[expect(clippy::cast_precision_loss, reason = "only shown in a message")]
            c.that("trials", trials as f64, trials <= TRIALS_MAX, "an integer of at most 2^53")?;
            c.that("p", p, (0.0..=1.0).contains(&p), "a probability in [0, 1]")?;
        }
        Family::Geometric { p } => c.success(p)?,
        Family::NegativeBinomial { r, p } => c.positive("r", r).and(c.success(p))?,
        Family::Empirical { ref edges, ref counts } => return c.empirical(edges, counts),
        Family::Mixture { ref weights, ref components } => return c.mixture(weights, components),
    }
    Ok(1.0)
}

struct Checker {
    family: &'static str,
}

impl Checker {
    fn that(
        &self,
        parameter: &str,
        found: f64,
        good: bool,
        expected: &'static str,
    ) -> Result<(), DistributionError> {
        if good {
            return Ok(());
        }
        Err(DistributionError::Parameter {
            family: self.family,
            parameter: parameter.to_owned(),
            found,
            expected,
        })
    }

    fn finite(&self, parameter: &str, x: f64) -> Result<(), DistributionError> {
        self.that(parameter, x, x.is_finite(), "a finite number")
    }

    fn positive(&self, parameter: &str, x: f64) -> Result<(), DistributionError> {
        self.that(parameter, x, x.is_finite() && x > 0.0, "a finite number above 0")
    }

    fn success(&self, p: f64) -> Result<(), DistributionError> {
        self.that("p", p, p > 0.0 && p <= 1.0, "a probability in (0, 1]")
    }

    fn interval(&self, low: f64, high: f64) -> Result<(), DistributionError> {
        self.finite("low", low)?;
        self.finite("high", high)?;
        self.that("high", high, high > low, "a number above low")?;
        self.that("high", high, (high - low).is_finite(), "a finite distance from low")
    }

    fn shares(&self, name: &'static str, shares: &[f64]) -> Result<f64, DistributionError> {
        for (i, &share) in shares.iter().enumerate() {
            if !(share.is_finite() && share >= 0.0) {
                self.that(&format!("{name}[{i}]"), share, false, "a finite number, 0 or more")?;
            }
        }
        let total: f64 = shares.iter().sum();
        let good = total.is_finite() && total > 0.0;
        self.that(&format!("the sum of {name}"), total, good, "a finite number above 0")?;
        Ok(total)
    }

    fn empirical(&self, edges: &[f64], counts: &[f64]) -> Result<f64, DistributionError> {
        let length = |parameter, found, expected| {
            Err(DistributionError::Length { family: self.family, parameter, found, expected })
        };
        if counts.is_empty() || counts.len() > EMPIRICAL_BINS_MAX {
            return length("counts", counts.len(), format!("between 1 and {EMPIRICAL_BINS_MAX}"));
        }
        if edges.len() != counts.len() + 1 {
            return length("edges", edges.len(), format!("{} (one more than counts)", counts.len() + 1));
        }
        let mut below = None;
        for (i, &edge) in edges.iter().enumerate() {
            let rises = below.is_none_or(|last| edge > last);
            if !(edge.is_finite() && rises) {
                let expected = "a finite number above the edge before it";
                self.that(&format!("edges[{i}]"), edge, false, expected)?;
            }
            below = Some(edge);
        }
        if let (Some(&low), Some(&high)) = (edges.first(), edges.last()) {
            let good = (high - low).is_finite();
            self.that("the last edge", high, good, "a finite distance from the first")?;
        }
        self.shares("counts", counts)
    }

    fn mixture(&self, weights: &[f64], components: &[Distribution]) -> Result<f64, DistributionError> {
        if components.is_empty() {
            let expected = "at least 1".to_owned();
            return Err(DistributionError::Length {
                family: self.family,
                parameter: "components",
                found: 0,
                expected,
            });
        }
        if weights.len() != components.len() {
            return Err(DistributionError::Length {
                family: self.family,
                parameter: "weights",
                found: weights.len(),
                expected: format!("{} (one for each component)", components.len()),
            });
        }
        let found = 1 + components.iter().map(|part| depth(part.family())).max().unwrap_or(0);
        if found > MIXTURE_DEPTH_MAX {
            return Err(DistributionError::Depth { found, limit: MIXTURE_DEPTH_MAX });
        }
        let found = components.iter().map(|part| 1 + nested(part.family())).sum();
        if found > MIXTURE_COMPONENTS_MAX {
            return Err(DistributionError::Components { found, limit: MIXTURE_COMPONENTS_MAX });
        }
        self.shares("weights", weights)
    }
}

/// Levels of mixtures; the recursion is bounded because components were checked when they were made.
fn depth(family: &Family) -> usize {
    match family {
        Family::Mixture { components, .. } => {
            1 + components.iter().map(|part| depth(part.family())).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn nested(family: &Family) -> usize {
    match family {
        Family::Mixture { components, .. } => components.iter().map(|part| 1 + nested(part.family())).sum(),
        _ => 0,
    }
}
