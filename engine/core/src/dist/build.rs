//! Short constructors, one for each family, without offset.

use super::{Distribution, DistributionError, Family};

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $family:ident { $($parameter:ident: $kind:ty),* };)*) => {
        impl Distribution {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// A parameter outside its domain, see [`Family`].
                pub fn $name($($parameter: $kind),*) -> Result<Self, DistributionError> {
                    Self::new(Family::$family { $($parameter),* }, 0.0)
                }
            )*
        }
    };
}

constructors! {
    /// [`Family::Normal`] without offset.
    normal => Normal { mean: f64, sd: f64 };
    /// [`Family::Lognormal`] without offset.
    lognormal => Lognormal { mu: f64, sigma: f64 };
    /// [`Family::Exponential`] without offset.
    exponential => Exponential { mean: f64 };
    /// [`Family::Gamma`] without offset.
    gamma => Gamma { shape: f64, scale: f64 };
    /// [`Family::Weibull`] without offset.
    weibull => Weibull { shape: f64, scale: f64 };
    /// [`Family::Uniform`] without offset.
    uniform => Uniform { low: f64, high: f64 };
    /// [`Family::Laplace`] without offset.
    laplace => Laplace { mean: f64, scale: f64 };
    /// [`Family::Logistic`] without offset.
    logistic => Logistic { mean: f64, scale: f64 };
    /// [`Family::StudentT`] without offset.
    student_t => StudentT { df: f64, mean: f64, scale: f64 };
    /// [`Family::Poisson`] without offset.
    poisson => Poisson { mean: f64 };
    /// [`Family::Binomial`] without offset.
    binomial => Binomial { trials: u64, p: f64 };
    /// [`Family::Geometric`] without offset.
    geometric => Geometric { p: f64 };
    /// [`Family::NegativeBinomial`] without offset.
    negative_binomial => NegativeBinomial { r: f64, p: f64 };
    /// [`Family::Empirical`] without offset.
    empirical => Empirical { edges: Vec<f64>, counts: Vec<f64> };
    /// [`Family::Mixture`] without offset of its own.
    mixture => Mixture { weights: Vec<f64>, components: Vec<Distribution> };
}
