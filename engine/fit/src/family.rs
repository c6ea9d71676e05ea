//! The families that can be fitted, and their parameters as free numbers.

use centauri_engine::{Distribution, DistributionError, Family};

/// A family of distributions that [`crate::fit_distribution`] can fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FamilyName {
    /// `normal {mean, sd}`.
    Normal,
    /// `lognormal {mu, sigma}`.
    Lognormal,
    /// `exponential {mean}`.
    Exponential,
    /// `gamma {shape, scale}`.
    Gamma,
    /// `weibull {shape, scale}`.
    Weibull,
    /// `uniform {low, high}`.
    Uniform,
    /// `laplace {mean, scale}`.
    Laplace,
    /// `logistic {mean, scale}`.
    Logistic,
    /// `student_t {df, mean, scale}`.
    StudentT,
    /// `poisson {mean}`.
    Poisson,
    /// `binomial {trials, p}`.
    Binomial,
    /// `geometric {p}`.
    Geometric,
    /// `negative_binomial {r, p}`.
    NegativeBinomial,
    /// `empirical {edges, counts}`: a histogram of everything, lies included. Never picked by itself.
    Empirical,
}

/// Bounds of shapes: beyond them a family cannot be told from its limit.
const LN_SHAPE_MAX: f64 = 11.5;
const LN_DF: (f64, f64) = (-0.7, 5.3);

impl FamilyName {
    /// All families that can be fitted.
    pub const ALL: [Self; 14] = [
        Self::Normal,
        Self::Lognormal,
        Self::Exponential,
        Self::Gamma,
        Self::Weibull,
        Self::Uniform,
        Self::Laplace,
        Self::Logistic,
        Self::StudentT,
        Self::Poisson,
        Self::Binomial,
        Self::Geometric,
        Self::NegativeBinomial,
        Self::Empirical,
    ];

    /// The name in model files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Lognormal => "lognormal",
            Self::Exponential => "exponential",
            Self::Gamma => "gamma",
            Self::Weibull => "weibull",
            Self::Uniform => "uniform",
            Self::Laplace => "laplace",
            Self::Logistic => "logistic",
            Self::StudentT => "student_t",
            Self::Poisson => "poisson",
            Self::Binomial => "binomial",
            Self::Geometric => "geometric",
            Self::NegativeBinomial => "negative_binomial",
            Self::Empirical => "empirical",
        }
    }

    /// Whether it gives non-negative integers only.
    #[must_use]
    pub fn is_discrete(self) -> bool {
        matches!(self, Self::Poisson | Self::Binomial | Self::Geometric | Self::NegativeBinomial)
    }

    /// Whether it gives no value below 0.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.is_discrete()
            || matches!(self, Self::Lognormal | Self::Exponential | Self::Gamma | Self::Weibull)
    }

    /// Whether it can give `x`, or at least a value that is rounded to it.
    pub(crate) fn admits(self, x: f64) -> bool {
        match self {
            _ if self.is_discrete() => x >= 0.0 && x.fract() == 0.0,
            _ if self.is_positive() => x >= 0.0,
            _ => true,
        }
    }

    /// What it gives, in words.
    pub(crate) fn gives(self) -> &'static str {
        match self {
            _ if self.is_discrete() => "non-negative integers",
            _ if self.is_positive() => "non-negative numbers",
            _ => "numbers",
        }
    }

    /// The number of its parameters; 0 for `empirical`.
    #[must_use]
    pub fn parameters(self) -> usize {
        match self {
            Self::Empirical => 0,
            Self::Exponential | Self::Poisson | Self::Geometric => 1,
            Self::StudentT => 3,
            _ => 2,
        }
    }
}

impl std::fmt::Display for FamilyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for FamilyName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|family| family.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|family| family.name()).collect();
            format!("found {text:?}, expected one of {}", names.join(", "))
        })
    }
}

/// Where the sample lies, so that a location is a number near 0 and a change of 1 is a large one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) centre: f64,
    pub(crate) scale: f64,
    /// Number of trials of a binomial, which is searched for apart.
    pub(crate) trials: u64,
}

/// The distribution that free numbers stand for: locations in the frame, logarithms of what is positive (gamma,
/// Weibull and negative binomial by mean or scale, and shape), the log-odds of a probability.
pub(crate) fn decode(
    family: FamilyName,
    free: &[f64],
    frame: &Frame,
) -> Result<Distribution, DistributionError> {
    let at = |i: usize| free.get(i).copied().unwrap_or(0.0);
    let location = frame.centre + at(0) * frame.scale;
    let spread = frame.scale * at(1).exp();
    let family = match family {
        FamilyName::Normal => Family::Normal { mean: location, sd: spread },
        FamilyName::Lognormal => Family::Lognormal { mu: at(0), sigma: at(1).exp() },
        FamilyName::Exponential => Family::Exponential { mean: at(0).exp() },
        FamilyName::Gamma => {
            let shape = at(1).clamp(-LN_SHAPE_MAX, LN_SHAPE_MAX).exp();
            Family::Gamma { shape, scale: at(0).exp() / shape }
        }
        FamilyName::Weibull => {
            Family::Weibull { shape: at(1).clamp(-LN_SHAPE_MAX, LN_SHAPE_MAX).exp(), scale: at(0).exp() }
        }
        FamilyName::Uniform => {
            Family::Uniform { low: location - spread / 2.0, high: location + spread / 2.0 }
        }
        FamilyName::Laplace => Family::Laplace { mean: location, scale: spread },
        FamilyName::Logistic => Family::Logistic { mean: location, scale: spread },
        FamilyName::StudentT => {
            Family::StudentT { df: at(2).clamp(LN_DF.0, LN_DF.1).exp(), mean: location, scale: spread }
        }
        FamilyName::Poisson => Family::Poisson { mean: at(0).exp() },
        FamilyName::Binomial => Family::Binomial { trials: frame.trials, p: 1.0 / (1.0 + (-at(0)).exp()) },
        FamilyName::Geometric => Family::Geometric { p: 1.0 / (1.0 + at(0).exp()) },
        FamilyName::NegativeBinomial => {
            let r = at(1).clamp(-LN_SHAPE_MAX, LN_SHAPE_MAX).exp();
            Family::NegativeBinomial { r, p: r / (r + at(0).exp()) }
        }
        FamilyName::Empirical => Family::Uniform { low: location, high: location + spread },
    };
    Distribution::new(family, 0.0)
}

/// The parameters of a distribution that can be fitted, by their names in model files.
pub(crate) fn parameters(of: &Distribution) -> Vec<(&'static str, f64)> {
    match *of.family() {
        Family::Normal { mean, sd } => vec![("mean", mean), ("sd", sd)],
        Family::Lognormal { mu, sigma } => vec![("mu", mu), ("sigma", sigma)],
        Family::Exponential { mean } | Family::Poisson { mean } => vec![("mean", mean)],
        Family::Gamma { shape, scale } | Family::Weibull { shape, scale } => {
            vec![("shape", shape), ("scale", scale)]
        }
        Family::Uniform { low, high } => vec![("low", low), ("high", high)],
        Family::Laplace { mean, scale } | Family::Logistic { mean, scale } => {
            vec![("mean", mean), ("scale", scale)]
        }
        Family::StudentT { df, mean, scale } => vec![("df", df), ("mean", mean), ("scale", scale)],
        // The number of trials is searched among the integers: it has no standard error.
        Family::Binomial { p, .. } | Family::Geometric { p } => vec![("p", p)],
        Family::NegativeBinomial { r, p } => vec![("r", r), ("p", p)],
        _ => Vec::new(),
    }
}
