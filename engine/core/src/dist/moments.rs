//! Means and variances, without offset.

use super::{Distribution, Family};
use std::f64::consts::PI;

/// Mean of the family, infinite where it does not exist.
pub(super) fn mean(of: &Distribution) -> f64 {
    match *of.family() {
        Family::Normal { mean, .. }
        | Family::Exponential { mean }
        | Family::Laplace { mean, .. }
        | Family::Logistic { mean, .. }
        | Family::Poisson { mean } => mean,
        Family::Lognormal { mu, sigma } => (mu + 0.5 * sigma * sigma).exp(),
        Family::Gamma { shape, scale } => shape * scale,
        Family::Weibull { shape, scale } => scale * libm::lgamma(1.0 + 1.0 / shape).exp(),
        Family::Uniform { low, high } => 0.5 * low + 0.5 * high,
        Family::StudentT { df, mean, .. } => {
            if df > 1.0 {
                mean
            } else {
                f64::INFINITY
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "trials are at most 2^53")]
        Family::Binomial { trials, p } => trials as f64 * p,
        Family::Geometric { p } => (1.0 - p) / p,
        Family::NegativeBinomial { r, p } => r * ((1.0 - p) / p),
        Family::Empirical { .. } => of.histogram().map_or(0.0, |histogram| histogram.mean()),
        Family::Mixture { .. } => of.parts().map(|(share, part)| share * part.mean()).sum(),
    }
}

/// Variance of the family, infinite where it does not exist.
pub(super) fn variance(of: &Distribution) -> f64 {
    let found = match *of.family() {
        Family::Normal { sd, .. } => sd * sd,
        Family::Lognormal { mu, sigma } => lognormal_variance(mu, sigma * sigma),
        Family::Exponential { mean } => mean * mean,
        Family::Gamma { shape, scale } => shape * scale * scale,
        Family::Weibull { shape, scale } => weibull_variance(1.0 / shape) * scale * scale,
        Family::Uniform { low, high } => (high - low) * (high - low) / 12.0,
        Family::Laplace { scale, .. } => 2.0 * scale * scale,
        Family::Logistic { scale, .. } => PI * PI / 3.0 * scale * scale,
        Family::StudentT { df, scale, .. } => {
            if df > 2.0 {
                scale * scale * (df / (df - 2.0))
            } else {
                f64::INFINITY
            }
        }
        Family::Poisson { mean } => mean,
        #[expect(clippy::cast_precision_loss, reason = "trials are at most 2^53")]
        Family::Binomial { trials, p } => trials as f64 * p * (1.0 - p),
        Family::Geometric { p } => (1.0 - p) / p / p,
        Family::NegativeBinomial { r, p } => r * ((1.0 - p) / p / p),
        Family::Empirical { .. } => of.histogram().map_or(0.0, |histogram| histogram.variance()),
        Family::Mixture { .. } => mixture_variance(of),
    };
    if found.is_nan() { f64::INFINITY } else { found }
}

/// `e^(2mu+σ²)·(e^(σ²) − 1)`, multiplied as logarithms so that neither factor overflows alone.
fn lognormal_variance(mu: f64, sigma2: f64) -> f64 {
    let ln_factor = if sigma2 > 40.0 { sigma2 } else { sigma2.exp_m1().ln() };
    (2.0 * mu + sigma2 + ln_factor).exp()
}

/// `Γ(1+2e) − Γ(1+e)²` for `e = 1/shape`.
///
/// The difference of the logarithms, `lnΓ(1+2e) − 2·lnΓ(1+e) = Σ_{n≥2} ζ(n)·(−e)ⁿ·(2ⁿ−2)/n`, is summed where the
/// two would cancel.
fn weibull_variance(e: f64) -> f64 {
    // ζ(2) … ζ(17).
    const ZETA: [f64; 16] = [
        1.644_934_066_848_226_4,
        1.202_056_903_159_594_3,
        1.082_323_233_711_138_2,
        1.036_927_755_143_37,
        1.017_343_061_984_449,
        1.008_349_277_381_922_8,
        1.004_077_356_197_944_3,
        1.002_008_392_826_082_2,
        1.000_994_575_127_818_1,
        1.000_494_188_604_119_5,
        1.000_246_086_553_308,
        1.000_122_713_347_578_5,
        1.000_061_248_135_058_7,
        1.000_030_588_236_307,
        1.000_015_282_259_408_7,
        1.000_007_637_197_637_9,
    ];
    let ln_gamma = libm::lgamma(1.0 + e);
    let ln_ratio = if e > 0.05 {
        libm::lgamma(1.0 + 2.0 * e) - 2.0 * ln_gamma
    } else {
        let mut power = -e;
        let mut two = 2.0;
        let mut n = 1.0;
        let term = |zeta: &f64| {
            power *= -e;
            two *= 2.0;
            n += 1.0;
            zeta * power * (two - 2.0) / n
        };
        ZETA.iter().map(term).sum()
    };
    if ln_ratio > 700.0 {
        (2.0 * ln_gamma + ln_ratio).exp()
    } else {
        (2.0 * ln_gamma).exp() * ln_ratio.exp_m1()
    }
}

fn mixture_variance(of: &Distribution) -> f64 {
    let centre = mean(of);
    if !centre.is_finite() {
        return f64::INFINITY;
    }
    let part = |(share, part): (f64, &Distribution)| {
        let away = part.mean() - centre;
        share * (part.variance() + away * away)
    };
    of.parts().map(part).sum()
}
