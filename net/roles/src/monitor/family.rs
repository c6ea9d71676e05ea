//! From samples to the parameters of a family.

use centauri_engine::{Distribution, DistributionError};
use centauri_fit::FamilyName;

use super::Monitored;
use super::estimate::{deviation, median, quantile};
use super::fit::has_centre;
use crate::ConfigError;

/// A family that the monitor can estimate, and how it does: by each sender's quantiles, which costs next to nothing and of which the
/// median sender's parameters are taken, or by a fit of all senders together ([`crate::Combination`]), which takes milliseconds and
/// knows every family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Estimated {
    /// Median, and 1.4826 times the median absolute deviation (MAD).
    Normal,
    /// Median, and MAD/ln 2.
    Laplace,
    /// Median/ln 2; values below 0 are left out.
    Exponential,
    /// Median and 1.4826·MAD of the logarithms; values that are not positive are left out.
    Lognormal,
    /// The shape whose upper quartile is as many times the lower one, the scale by the median; values that
    /// are not positive are left out.
    Gamma,
    /// Median, and MAD over the upper quartile of the standard t; the degrees of freedom are given.
    StudentT {
        /// Degrees of freedom, at least 0.1.
        df: f64,
    },
    /// This family, fitted.
    Fitted(FamilyName),
    /// The family that fits best, looked for each time.
    Auto,
}

impl Estimated {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Laplace => "laplace",
            Self::Exponential => "exponential",
            Self::Lognormal => "lognormal",
            Self::Gamma => "gamma",
            Self::StudentT { .. } => "student_t",
            Self::Fitted(family) => family.name(),
            Self::Auto => "auto",
        }
    }

    /// Whether its centre can be forced to 0.
    fn has_centre(self) -> bool {
        match self {
            Self::Exponential | Self::Lognormal | Self::Gamma | Self::Auto => false,
            Self::Normal | Self::Laplace | Self::StudentT { .. } => true,
            Self::Fitted(family) => has_centre(family),
        }
    }

    /// What is fitted; `None` where quantiles are enough.
    pub(super) fn fitted(self) -> Option<Option<FamilyName>> {
        match self {
            Self::Fitted(family) => Some(Some(family)),
            Self::Auto => Some(None),
            _ => None,
        }
    }
}

/// MAD of the standard normal is 0.6745, the upper quartile; this is its inverse.
const SD_PER_MAD: f64 = 1.482_602_218_505_602;
/// No lognormal narrower than this is published.
const SIGMA_MIN: f64 = 1e-6;
const SHAPE_LN_MIN: f64 = -3.0;
const SHAPE_LN_MAX: f64 = 9.0;
const SHAPES: usize = 121;

/// One sender's parameters: centre and scale (for gamma, the logarithm of the shape and the median).
pub(super) type Parameters = [f64; 2];

/// What estimating a family takes, prepared once.
#[derive(Debug)]
pub(super) struct Estimator {
    family: Estimated,
    /// The scale for a MAD of 1.
    per_mad: f64,
    /// For gamma: the logarithm of the shape, of the ratio of the quartiles (falling) and of the median.
    shapes: Vec<[f64; 3]>,
}

impl Estimator {
    pub(super) fn new(monitored: &Monitored) -> Result<Self, ConfigError> {
        let family = monitored.family;
        let scale_min = monitored.scale_min;
        if !(scale_min.is_finite() && scale_min > 0.0) {
            let expected = "a finite number above 0";
            return Err(ConfigError::Real { key: "scale_min", found: scale_min, expected });
        }
        if monitored.centred && !family.has_centre() {
            return Err(ConfigError::Centred { name: monitored.name.clone(), family: family.name() });
        }
        let per_mad = match family {
            Estimated::Laplace => std::f64::consts::LN_2.recip(),
            Estimated::StudentT { df } => {
                let expected = "at least 0.1 degrees of freedom";
                let wrong = ConfigError::Real { key: "df", found: df, expected };
                let standard =
                    Distribution::student_t(df, 0.0, 1.0).ok().filter(|_| df >= 0.1).ok_or(wrong)?;
                standard.quantile(0.75).recip()
            }
            _ => SD_PER_MAD,
        };
        let shapes = if family == Estimated::Gamma { gamma_shapes() } else { Vec::new() };
        Ok(Self { family, per_mad, shapes })
    }

    /// What one sender's values say; `None` where too few are possible ones. The values are used up.
    pub(super) fn of_sender(&self, values: &mut Vec<f64>, monitored: &Monitored) -> Option<Parameters> {
        match self.family {
            Estimated::Exponential => values.retain(|&value| value >= 0.0),
            Estimated::Lognormal | Estimated::Gamma => values.retain(|&value| value > 0.0),
            _ => {}
        }
        if values.is_empty() || values.len() < monitored.samples_min {
            return None;
        }
        if self.family == Estimated::Lognormal {
            for value in values.iter_mut() {
                *value = value.ln();
            }
        }
        match self.family {
            Estimated::Exponential => Some([0.0, median(values)? * std::f64::consts::LN_2.recip()]),
            Estimated::Gamma => self.of_quartiles(values),
            _ => {
                let centre = if monitored.centred { 0.0 } else { median(values)? };
                Some([centre, self.per_mad * deviation(values, centre)?])
            }
        }
    }

    fn of_quartiles(&self, values: &mut [f64]) -> Option<Parameters> {
        let median = median(values)?;
        let ratio = quantile(values, 0.75)?.ln() - quantile(values, 0.25)?.ln();
        // The ratio falls as the shape grows.
        let above = self.shapes.partition_point(|[_, ln_ratio, _]| *ln_ratio > ratio);
        let ln_shape = match (self.shapes.get(above.wrapping_sub(1)), self.shapes.get(above)) {
            (Some(low), Some(high)) => {
                let share = (low[1] - ratio) / (low[1] - high[1]);
                low[0] + share * (high[0] - low[0])
            }
            (Some(last), None) => last[0],
            (None, first) => first?[0],
        };
        Some([ln_shape, median])
    }

    /// The distribution of the median sender; `None` with too few senders whose values are possible ones.
    pub(super) fn of_senders(
        &self,
        estimates: &mut [Parameters],
        monitored: &Monitored,
    ) -> Option<Distribution> {
        monitored.faults_of(estimates.len())?;
        let mut of = |at: usize| {
            estimates.sort_unstable_by(|a, b| a[at].total_cmp(&b[at]));
            let column: Vec<f64> = estimates.iter().map(|parameters| parameters[at]).collect();
            quantile(&column, 0.5)
        };
        let (centre, scale) = (of(0)?, of(1)?);
        self.distribution(centre, scale, monitored.scale_min).ok()
    }

    fn distribution(
        &self,
        centre: f64,
        scale: f64,
        scale_min: f64,
    ) -> Result<Distribution, DistributionError> {
        let scale_or_min = scale.max(scale_min);
        match self.family {
            // Fitted families do not come here.
            Estimated::Normal | Estimated::Fitted(_) | Estimated::Auto => {
                Distribution::normal(centre, scale_or_min)
            }
            Estimated::Laplace => Distribution::laplace(centre, scale_or_min),
            Estimated::StudentT { df } => Distribution::student_t(df, centre, scale_or_min),
            Estimated::Exponential => Distribution::exponential(scale_or_min),
            Estimated::Lognormal => Distribution::lognormal(centre.max(scale_min.ln()), scale.max(SIGMA_MIN)),
            Estimated::Gamma => {
                let shape = centre.clamp(SHAPE_LN_MIN, SHAPE_LN_MAX).exp();
                let ln_median = self.ln_median_of(centre);
                // For the median sender's shape the scale that has the median sender's median.
                let of_median = (scale.max(f64::MIN_POSITIVE).ln() - ln_median).exp();
                Distribution::gamma(shape, of_median.max(scale_min / shape))
            }
        }
    }

    /// The logarithm of the median of a gamma of this shape and scale 1.
    fn ln_median_of(&self, ln_shape: f64) -> f64 {
        let above = self.shapes.partition_point(|[known, ..]| *known <= ln_shape);
        match (self.shapes.get(above.wrapping_sub(1)), self.shapes.get(above)) {
            (Some(low), Some(high)) => {
                let share = (ln_shape - low[0]) / (high[0] - low[0]);
                low[2] + share * (high[2] - low[2])
            }
            (Some(edge), None) | (None, Some(edge)) => edge[2],
            (None, None) => 0.0,
        }
    }
}

/// Quartiles of gammas of scale 1 over shapes evenly spaced in the logarithm.
fn gamma_shapes() -> Vec<[f64; 3]> {
    let step = (SHAPE_LN_MAX - SHAPE_LN_MIN) / (SHAPES - 1) as f64;
    let shapes = (0..SHAPES).map(|at| SHAPE_LN_MIN + at as f64 * step);
    let row = |ln_shape: f64| {
        let gamma = Distribution::gamma(ln_shape.exp(), 1.0).ok()?;
        let [low, mid, high] = [0.25, 0.5, 0.75].map(|p| gamma.quantile(p).ln());
        (low.is_finite() && high > low).then_some([ln_shape, high - low, mid])
    };
    shapes.filter_map(row).collect()
}
