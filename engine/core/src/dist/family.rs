//! The families of distributions and their parameters.

use super::Distribution;

/// A family with its parameters; [`Distribution::new`] says which parameters are legal.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// Density `exp(−(x−mean)²/2sd²)/(sd·√2π)`.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation, positive.
        sd: f64,
    },
    /// `exp(Z)` where `Z` is normal.
    Lognormal {
        /// Mean of the logarithm.
        mu: f64,
        /// Standard deviation of the logarithm, positive.
        sigma: f64,
    },
    /// Density `exp(−x/mean)/mean` for `x ≥ 0`.
    Exponential {
        /// Mean, positive.
        mean: f64,
    },
    /// Density `x^(shape−1)·exp(−x/scale)/(Γ(shape)·scale^shape)` for `x > 0`.
    Gamma {
        /// Shape, positive.
        shape: f64,
        /// Scale, positive.
        scale: f64,
    },
    /// `P(D > x) = exp(−(x/scale)^shape)` for `x ≥ 0`.
    Weibull {
        /// Shape, positive.
        shape: f64,
        /// Scale, positive.
        scale: f64,
    },
    /// Flat between `low` and `high`.
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end, above `low`.
        high: f64,
    },
    /// Density `exp(−|x−mean|/scale)/(2·scale)`.
    Laplace {
        /// Mean.
        mean: f64,
        /// Scale, positive; the standard deviation is `√2·scale`.
        scale: f64,
    },
    /// `P(D ≤ x) = 1/(1 + exp(−(x−mean)/scale))`.
    Logistic {
        /// Mean.
        mean: f64,
        /// Scale, positive; the standard deviation is `π·scale/√3`.
        scale: f64,
    },
    /// Student's t, moved and scaled: density `∝ (1 + t²/df)^(−(df+1)/2)`, `t = (x−mean)/scale`.
    StudentT {
        /// Degrees of freedom, positive, not necessarily an integer.
        df: f64,
        /// Centre.
        mean: f64,
        /// Scale, positive.
        scale: f64,
    },
    /// `P(k) = e^(−mean)·mean^k/k!`.
    Poisson {
        /// Mean, not negative; 0 is a sure zero.
        mean: f64,
    },
    /// Successes among `trials` independent ones.
    Binomial {
        /// Number of trials, at most [`TRIALS_MAX`](super::TRIALS_MAX); 0 is legal.
        trials: u64,
        /// Probability of success in `[0, 1]`.
        p: f64,
    },
    /// Failures before the first success: `P(k) = p·(1−p)^k`.
    Geometric {
        /// Probability of success in `(0, 1]`.
        p: f64,
    },
    /// Failures before the `r`-th success: `P(k) = Γ(k+r)/(k!·Γ(r))·p^r·(1−p)^k`.
    NegativeBinomial {
        /// Number of successes, any positive real.
        r: f64,
        /// Probability of success in `(0, 1]`.
        p: f64,
    },
    /// A histogram, flat within each bin: bin `i` lies between `edges[i]` and `edges[i+1]` and has
    /// the share `counts[i]/Σ counts` of the mass.
    Empirical {
        /// Strictly increasing, one more than `counts`.
        edges: Vec<f64>,
        /// Not negative, with a positive sum; need not be integers.
        counts: Vec<f64>,
    },
    /// Component `i` with probability `weights[i]/Σ weights`.
    Mixture {
        /// Not negative, with a positive sum.
        weights: Vec<f64>,
        /// As many as there are weights; continuous and discrete ones may be mixed.
        components: Vec<Distribution>,
    },
}

impl Family {
    /// The name used in model files, such as `student_t`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Normal { .. } => "normal",
            Self::Lognormal { .. } => "lognormal",
            Self::Exponential { .. } => "exponential",
            Self::Gamma { .. } => "gamma",
            Self::Weibull { .. } => "weibull",
            Self::Uniform { .. } => "uniform",
            Self::Laplace { .. } => "laplace",
            Self::Logistic { .. } => "logistic",
            Self::StudentT { .. } => "student_t",
            Self::Poisson { .. } => "poisson",
            Self::Binomial { .. } => "binomial",
            Self::Geometric { .. } => "geometric",
            Self::NegativeBinomial { .. } => "negative_binomial",
            Self::Empirical { .. } => "empirical",
            Self::Mixture { .. } => "mixture",
        }
    }
}
