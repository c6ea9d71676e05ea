//! From a family to its mathematics: moves and scales the argument and calls the standard form.

use super::atoms::{self, Atoms};
use super::closed::{self, Weibull};
use super::counts::{Binomial, Geometric, NegativeBinomial, Poisson, Sure};
use super::gamma::Gamma;
use super::logs::{Tails, ln_1m_exp, ln_sum};
use super::normal;
use super::quadrature::{self, Density};
use super::student::Student;
use super::{Distribution, Family};
use std::f64::consts::LN_2;

/// A family of counts, with its sure cases told apart.
enum Counts {
    Poisson(Poisson),
    Binomial(Binomial),
    Geometric(Geometric),
    NegativeBinomial(NegativeBinomial),
    Sure(Sure),
}

/// Runs `$body` with `$atoms` bound to whichever family it is.
macro_rules! with_counts {
    ($counts:expr, $atoms:ident => $body:expr) => {
        match &$counts {
            Counts::Poisson($atoms) => $body,
            Counts::Binomial($atoms) => $body,
            Counts::Geometric($atoms) => $body,
            Counts::NegativeBinomial($atoms) => $body,
            Counts::Sure($atoms) => $body,
        }
    };
}

fn counts(family: &Family) -> Option<Counts> {
    let sure = |at: f64| Counts::Sure(Sure { at });
    Some(match *family {
        Family::Poisson { mean: 0.0 } => sure(0.0),
        Family::Poisson { mean } => Counts::Poisson(Poisson { mean }),
        #[expect(clippy::cast_precision_loss, reason = "trials are at most 2^53")]
        Family::Binomial { trials, p } => match (trials, p) {
            (0, _) | (_, 0.0) => sure(0.0),
            (_, 1.0) => sure(trials as f64),
            _ => Counts::Binomial(Binomial { trials: trials as f64, p }),
        },
        Family::Geometric { p: 1.0 } | Family::NegativeBinomial { p: 1.0, .. } => sure(0.0),
        Family::Geometric { p } => Counts::Geometric(Geometric { p }),
        Family::NegativeBinomial { r, p } => Counts::NegativeBinomial(NegativeBinomial { r, p }),
        _ => return None,
    })
}

/// `ln P(a ≤ D < b)` before the offset, `width` being `b − a`.
pub(super) fn ln_mass(of: &Distribution, a: f64, b: f64, width: f64) -> f64 {
    match *of.family() {
        Family::Normal { mean, sd } => normal::ln_mass((a - mean) / sd, (b - mean) / sd, width / sd),
        Family::Lognormal { mu, sigma } => lognormal_ln_mass(mu, sigma, a, b, width),
        Family::Exponential { mean } => {
            let (from, width) = if a > 0.0 { (a, width) } else { (0.0, b) };
            closed::exponential_ln_mass(from / mean, width / mean)
        }
        Family::Gamma { shape, scale } => {
            let (from, width) = if a > 0.0 { (a, width) } else { (0.0, b) };
            quadrature::ln_mass(&Gamma { shape }, from / scale, b / scale, width / scale)
        }
        Family::Weibull { shape, scale } => Weibull { shape, scale }.ln_mass(a, b),
        Family::Uniform { low, high } => closed::uniform_ln_mass(low, high, a, b),
        Family::Laplace { mean, scale } => {
            closed::laplace_ln_mass((a - mean) / scale, (b - mean) / scale, width / scale)
        }
        Family::Logistic { mean, scale } => {
            closed::logistic_ln_mass((a - mean) / scale, (b - mean) / scale, width / scale)
        }
        Family::StudentT { df, mean, scale } => {
            let (from, to) = ((a - mean) / scale, (b - mean) / scale);
            quadrature::ln_mass(&Student { df }, from, to, width / scale)
        }
        Family::Geometric { p } if p < 1.0 => Geometric { p }.ln_mass(a, b),
        Family::Empirical { .. } => of.histogram().map_or(f64::NEG_INFINITY, |it| it.ln_mass(a, b)),
        Family::Mixture { .. } => ln_sum(of.parts().map(|(share, part)| share.ln() + part.ln_mass(a, b))),
        _ => counts(of.family())
            .map_or(f64::NEG_INFINITY, |counts| with_counts!(counts, it => atoms::ln_mass(it, a, b))),
    }
}

fn lognormal_ln_mass(mu: f64, sigma: f64, a: f64, b: f64, width: f64) -> f64 {
    if b <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let to = (b.ln() - mu) / sigma;
    if a <= 0.0 {
        return normal::tails(to).lower;
    }
    normal::ln_mass((a.ln() - mu) / sigma, to, (width / a).ln_1p() / sigma)
}

/// Logarithms of `P(D ≤ x)` and `P(D > x)` before the offset; `x` is not NaN.
pub(super) fn tails(of: &Distribution, x: f64) -> Tails {
    if x == f64::NEG_INFINITY {
        return Tails::NONE;
    }
    if x == f64::INFINITY {
        return Tails::ALL;
    }
    match *of.family() {
        Family::Normal { mean, sd } => normal::tails((x - mean) / sd),
        Family::Lognormal { mu, sigma } if x > 0.0 => normal::tails((x.ln() - mu) / sigma),
        Family::Lognormal { .. } => Tails::NONE,
        Family::Exponential { mean } => closed::exponential_tails(x / mean),
        Family::Gamma { shape, scale } => Gamma { shape }.tails(x / scale),
        Family::Weibull { shape, scale } => Weibull { shape, scale }.tails(x),
        Family::Uniform { low, high } => closed::uniform_tails(low, high, x),
        Family::Laplace { mean, scale } => closed::laplace_tails((x - mean) / scale),
        Family::Logistic { mean, scale } => closed::logistic_tails((x - mean) / scale),
        Family::StudentT { df, mean, scale } => Student { df }.tails((x - mean) / scale),
        Family::Empirical { .. } => of.histogram().map_or(Tails::NONE, |it| it.tails(x)),
        Family::Mixture { .. } => mixture_tails(of, x),
        _ => counts(of.family()).map_or(Tails::NONE, |counts| with_counts!(counts, it => it.tails(x))),
    }
}

fn mixture_tails(of: &Distribution, x: f64) -> Tails {
    let parts = of.parts().map(|(share, part)| (share.ln(), part.tails(x)));
    let lower = ln_sum(parts.clone().map(|(share, tails)| share + tails.lower)).min(0.0);
    let upper = ln_sum(parts.map(|(share, tails)| share + tails.upper)).min(0.0);
    // The smaller one knows better what the larger one lacks to 1.
    if lower > -LN_2 {
        Tails { lower: ln_1m_exp(-upper), upper }
    } else {
        Tails { lower, upper: ln_1m_exp(-lower) }
    }
}

/// Logarithm of the density, or of the mass at an atom, before the offset; `x` is not NaN.
pub(super) fn ln_density(of: &Distribution, x: f64) -> f64 {
    if x.is_infinite() {
        return f64::NEG_INFINITY;
    }
    match *of.family() {
        Family::Normal { mean, sd } => normal::ln_pdf((x - mean) / sd) - sd.ln(),
        Family::Lognormal { mu, sigma } if x > 0.0 => {
            normal::ln_pdf((x.ln() - mu) / sigma) - sigma.ln() - x.ln()
        }
        Family::Exponential { mean } if x >= 0.0 => -x / mean - mean.ln(),
        Family::Lognormal { .. } | Family::Exponential { .. } => f64::NEG_INFINITY,
        Family::Gamma { shape, scale } => Gamma { shape }.ln_pdf(x / scale) - scale.ln(),
        Family::Weibull { shape, scale } => Weibull { shape, scale }.ln_pdf(x),
        Family::Uniform { low, high } if low <= x && x <= high => -(high - low).ln(),
        Family::Uniform { .. } => f64::NEG_INFINITY,
        Family::Laplace { mean, scale } => -(x - mean).abs() / scale - LN_2 - scale.ln(),
        Family::Logistic { mean, scale } => closed::logistic_ln_pdf((x - mean) / scale) - scale.ln(),
        Family::StudentT { df, mean, scale } => Student { df }.ln_pdf((x - mean) / scale) - scale.ln(),
        Family::Empirical { .. } => of.histogram().map_or(f64::NEG_INFINITY, |it| it.ln_pdf(x)),
        Family::Mixture { .. } => ln_sum(of.parts().map(|(share, part)| share.ln() + part.ln_density(x))),
        _ => counts(of.family())
            .map_or(f64::NEG_INFINITY, |counts| with_counts!(counts, it => atoms::ln_pmf(it, x))),
    }
}

/// The ends of the support before the offset.
pub(super) fn support(of: &Distribution) -> (f64, f64) {
    match *of.family() {
        Family::Normal { .. }
        | Family::Laplace { .. }
        | Family::Logistic { .. }
        | Family::StudentT { .. } => (f64::NEG_INFINITY, f64::INFINITY),
        Family::Lognormal { .. }
        | Family::Exponential { .. }
        | Family::Gamma { .. }
        | Family::Weibull { .. } => (0.0, f64::INFINITY),
        Family::Uniform { low, high } => (low, high),
        Family::Empirical { .. } => of.histogram().map_or((0.0, 0.0), |it| it.support()),
        Family::Mixture { .. } => of
            .parts()
            .map(|(_, part)| part.support())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (part_low, part_high)| {
                (low.min(part_low), high.max(part_high))
            }),
        _ => counts(of.family()).map_or((0.0, 0.0), |counts| match counts {
            Counts::Sure(Sure { at }) => (at, at),
            counts => (0.0, with_counts!(counts, it => it.last())),
        }),
    }
}
