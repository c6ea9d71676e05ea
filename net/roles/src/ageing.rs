//! Distributions that grow wider the longer nobody has renewed them.

use centauri_engine::{Distribution, DistributionError, Family};

use crate::ConfigError;
use crate::error::check_number;

/// Factors by which an old distribution is widened. Few and coarse, since each makes the models compile anew.
const STEPS: [f64; 3] = [1.25, 1.5, 2.0];

/// How a distribution that is not renewed grows wider.
///
/// After `age`, its width is taken to be `√(1 + (age − after)/per)` times what it was, as if it moved at random since: rounded down to
/// 1, 1.25, 1.5 or 2, and never more. With the defaults that is from 124, 165 and 270 seconds on.
///
/// ```
/// let ageing = centauri_roles::Ageing::default();
/// let noise = centauri_engine::Distribution::normal(3.0, 0.5)?;
/// assert_eq!(ageing.aged(&noise, 60_000_000_000), noise);
/// assert_eq!(ageing.aged(&noise, 300_000_000_000), centauri_engine::Distribution::normal(3.0, 1.0)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ageing {
    /// Until this age nothing happens, in nanoseconds. Several times the monitor's longest time between two publications.
    pub after_ns: i64,
    /// Over so much more its variance doubles, in nanoseconds.
    pub per_ns: i64,
}

impl Default for Ageing {
    /// 90 s, three times the monitor's default for its longest time between two publications; a minute.
    fn default() -> Self {
        Self { after_ns: 90_000_000_000, per_ns: 60_000_000_000 }
    }
}

impl Ageing {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_number("ageing.after_ns", self.after_ns, self.after_ns >= 0, "0 or more")?;
        check_number("ageing.per_ns", self.per_ns, self.per_ns > 0, "at least 1")
    }

    /// How many times as wide a distribution of this age is taken to be: 1, 1.25, 1.5 or 2.
    #[must_use]
    pub fn factor(&self, age_ns: i64) -> f64 {
        STEPS.into_iter().take_while(|step| self.begins_ns(*step) <= age_ns).last().unwrap_or(1.0)
    }

    /// The distribution at this age; the same where it cannot be widened.
    #[must_use]
    pub fn aged(&self, distribution: &Distribution, age_ns: i64) -> Distribution {
        widened(distribution, self.factor(age_ns))
    }

    /// The age at which the next step after this factor begins; `None` after the last.
    pub(crate) fn next_ns(&self, factor: f64) -> Option<i64> {
        STEPS.into_iter().find(|step| *step > factor).map(|step| self.begins_ns(step))
    }

    /// The age from which on it is a factor.
    fn begins_ns(&self, factor: f64) -> i64 {
        let more_ns = self.per_ns as f64 * (factor * factor - 1.0);
        self.after_ns.saturating_add(more_ns.ceil() as i64)
    }
}

/// A distribution `factor` times as wide (1 or more), and of the same family where that can be:
///
/// | family | becomes |
/// |---|---|
/// | normal, Laplace, logistic, Student's t, uniform | `factor` times the scale, around the same centre |
/// | exponential | `factor` times the mean: later, and the tail heavier |
/// | lognormal | `factor` times sigma, the same median |
/// | Weibull | the shape through `factor`, the same median: the logarithm's spread is `factor` times as large |
/// | gamma | the shape through `factor²`, the same mean, `factor²` times the variance |
/// | Poisson, geometric, negative binomial | a negative binomial of the same mean and `factor²` times the variance |
/// | binomial | two binomials in equal parts, of the same mean and, where 0 and 1 leave room, `factor²` times the variance |
/// | empirical | what lies above the median, `factor` times as far from it; below too, unless all values are positive |
/// | mixture | each component for itself |
///
/// Where numbers get too large it stays as it is.
#[must_use]
pub fn widened(distribution: &Distribution, factor: f64) -> Distribution {
    let is_wider = factor.is_finite() && factor > 1.0;
    let wide = if is_wider { wider(distribution, factor) } else { Ok(None) };
    wide.ok().flatten().unwrap_or_else(|| distribution.clone())
}

fn wider(distribution: &Distribution, by: f64) -> Result<Option<Distribution>, DistributionError> {
    let ln2 = std::f64::consts::LN_2;
    let family = match *distribution.family() {
        Family::Normal { mean, sd } => Family::Normal { mean, sd: by * sd },
        Family::Laplace { mean, scale } => Family::Laplace { mean, scale: by * scale },
        Family::Logistic { mean, scale } => Family::Logistic { mean, scale: by * scale },
        Family::StudentT { df, mean, scale } => Family::StudentT { df, mean, scale: by * scale },
        Family::Uniform { low, high } => {
            let more = 0.5 * (by - 1.0) * (high - low);
            Family::Uniform { low: low - more, high: high + more }
        }
        Family::Exponential { mean } => Family::Exponential { mean: by * mean },
        Family::Lognormal { mu, sigma } => Family::Lognormal { mu, sigma: by * sigma },
        Family::Weibull { shape, scale } => {
            Family::Weibull { shape: shape / by, scale: scale * ln2.powf((1.0 - by) / shape) }
        }
        Family::Gamma { shape, scale } => Family::Gamma { shape: shape / (by * by), scale: by * by * scale },
        Family::Poisson { mean } if mean > 0.0 => overdispersed(mean, (by * by).recip()),
        Family::Geometric { p } if p < 1.0 => overdispersed((1.0 - p) / p, p / (by * by)),
        Family::NegativeBinomial { r, p } if p < 1.0 => overdispersed(r * (1.0 - p) / p, p / (by * by)),
        Family::Binomial { trials, p } if trials > 1 => {
            let more = ((by * by - 1.0) * p * (1.0 - p) / (trials - 1) as f64).sqrt().min(p).min(1.0 - p);
            let parts = [p - more, p + more].map(|p| Distribution::binomial(trials, p));
            let components = parts.into_iter().collect::<Result<_, _>>()?;
            Family::Mixture { weights: vec![0.5, 0.5], components }
        }
        Family::Empirical { ref edges, ref counts } => {
            let edges = stretched(edges, distribution.median() - distribution.offset(), by);
            Family::Empirical { edges, counts: counts.clone() }
        }
        Family::Mixture { ref weights, ref components } => {
            let components = components.iter().map(|part| widened(part, by)).collect();
            Family::Mixture { weights: weights.clone(), components }
        }
        _ => return Ok(None),
    };
    Distribution::new(family, distribution.offset()).map(Some)
}

/// The negative binomial of this mean and the variance `mean/p`.
fn overdispersed(mean: f64, p: f64) -> Family {
    Family::NegativeBinomial { r: mean * p / (1.0 - p), p }
}

/// The edges of a histogram, stretched away from its median; positive ones stay positive.
fn stretched(edges: &[f64], median: f64, by: f64) -> Vec<f64> {
    let positive = edges.first().is_some_and(|low| *low >= 0.0);
    let moved = |edge: f64| if positive && edge < median { edge } else { median + by * (edge - median) };
    edges.iter().map(|edge| moved(*edge)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Distribution> {
        let made = [
            Distribution::normal(1.0, 2.0),
            Distribution::laplace(0.0, 0.7),
            Distribution::logistic(3.0, 0.1),
            Distribution::student_t(4.0, 1.0, 2.0),
            Distribution::uniform(-1.0, 1.0),
            Distribution::exponential(0.02),
            Distribution::lognormal(0.5, 0.25),
            Distribution::weibull(1.5, 2.0),
            Distribution::gamma(2.0, 0.03),
            Distribution::poisson(3.0),
            Distribution::geometric(0.3),
            Distribution::negative_binomial(2.5, 0.5),
            Distribution::binomial(20, 0.25),
            Distribution::empirical(vec![0.0, 1.0, 4.0], vec![2.0, 1.0]),
            Distribution::empirical(vec![-2.0, 1.0, 4.0], vec![2.0, 1.0]),
            Distribution::new(Family::Gamma { shape: 2.0, scale: 1.0 }, -3.5),
        ];
        let mut all: Vec<Distribution> = made.into_iter().map(Result::unwrap).collect();
        let parts = vec![all[0].clone(), all[5].clone()];
        all.push(Distribution::mixture(vec![1.0, 3.0], parts).unwrap());
        all
    }

    #[test]
    fn every_family_grows_wider_with_each_step_and_keeps_its_place() {
        for distribution in all() {
            let mut before = distribution.clone();
            for factor in STEPS {
                let wide = widened(&distribution, factor);
                assert!(wide.variance() > 1.02 * before.variance(), "{wide:?}");
                let beyond = distribution.quantile(0.995);
                assert!(wide.sf(beyond) > before.sf(beyond), "more beyond the tail: {wide:?}");
                let moved = (wide.median() - distribution.median()).abs();
                let is_later = matches!(distribution.family(), Family::Exponential { .. });
                assert!(is_later || moved <= 0.9 * distribution.variance().sqrt(), "{wide:?}");
                before = wide;
            }
        }
    }

    #[test]
    fn where_it_is_promised_the_variance_grows_by_the_square_and_the_centre_stays() {
        for distribution in all() {
            let name = distribution.name();
            let wide = widened(&distribution, 1.5);
            let ratio = wide.variance() / distribution.variance();
            match name {
                "exponential" => assert!((wide.mean() / distribution.mean() - 1.5).abs() < 1e-9),
                "lognormal" | "weibull" => {
                    assert!((wide.median() / distribution.median() - 1.0).abs() < 1e-9, "{wide:?}");
                    let spread = |of: &Distribution| (of.quantile(0.9) / of.quantile(0.2)).ln();
                    assert!((spread(&wide) / spread(&distribution) - 1.5).abs() < 1e-9, "{wide:?}");
                }
                "empirical" | "mixture" => {}
                _ => {
                    assert!((ratio - 2.25).abs() < 1e-6, "{name}: {ratio}");
                    assert!((wide.mean() - distribution.mean()).abs() < 1e-9, "{name}");
                }
            }
        }
    }

    #[test]
    fn steps_begin_when_they_should() {
        let ageing = Ageing { after_ns: 1_000, per_ns: 1_600 };
        let ages = [0, 1_000, 1_899, 1_900, 2_999, 3_000, 5_799, 5_800, i64::MAX];
        let factors = [1.0, 1.0, 1.0, 1.25, 1.25, 1.5, 1.5, 2.0, 2.0];
        assert_eq!(ages.map(|age| ageing.factor(age)), factors);
        for (age, factor) in ages.into_iter().zip(factors) {
            let exact = (1.0 + (age - 1_000) as f64 / 1_600.0).max(0.0).sqrt();
            assert!(factor <= exact.clamp(1.0, 2.0), "{age}");
            assert!(ageing.next_ns(factor).is_none_or(|next| next > age), "{age}");
        }
        let extreme = Ageing { after_ns: i64::MAX, per_ns: i64::MAX };
        assert_eq!((extreme.next_ns(1.0), extreme.factor(i64::MIN)), (Some(i64::MAX), 1.0));
    }

    #[test]
    fn what_cannot_be_widened_stays() {
        let huge = Distribution::normal(0.0, f64::MAX).unwrap();
        let sure = Distribution::poisson(0.0).unwrap();
        for distribution in [huge, sure, Distribution::binomial(1, 0.5).unwrap()] {
            assert_eq!(widened(&distribution, 2.0), distribution);
        }
        let noise = Distribution::normal(0.0, 1.0).unwrap();
        for factor in [1.0, 0.0, -3.0, f64::NAN, f64::INFINITY] {
            assert_eq!(widened(&noise, factor), noise);
        }
    }
}
