//! How an honest replica's output arises: `g(v | x)`, the probability of its report given the ideal output.
//!
//! Each computation gives `ln g` for a quantised report `i` and a grid point `s`. What link and deadline do to the
//! message on its way to the client comes on top, in [`crate::table`].

mod count;
mod extreme;
mod sum;
mod translated;

pub(crate) use count::Count;
pub(crate) use extreme::{Extreme, Side};
pub(crate) use sum::Sum;
pub(crate) use translated::Translated;

use crate::dist::Distribution;
use crate::support::Support;

/// The honest model of one computation on one support.
#[derive(Clone, Debug)]
pub(crate) enum Honest {
    /// `g` depends on the report's distance from `x` only: `identity`, `mean`, `last`.
    Translated(Translated),
    /// `count`.
    Count(Count),
    /// `sum`.
    Sum(Sum),
    /// `min` and `max`.
    Extreme(Extreme),
}

impl Honest {
    /// `ln g` of the report in bin `i` for every grid point.
    pub(crate) fn row(&self, i: i64, row: &mut [f64]) {
        match self {
            Self::Translated(model) => {
                for (s, cell) in row.iter_mut().enumerate() {
                    *cell = model.ln_mass(i.saturating_sub_unsigned(s as u64));
                }
            }
            Self::Count(model) => model.row(i, row),
            Self::Sum(model) => model.row(i, row),
            Self::Extreme(model) => model.row(i, row),
        }
    }

    /// Mean and standard deviation of what an honest replica that has something to report reports when `X` is grid point
    /// `s`; none for `min` and `max`, and where there is no finite one.
    pub(crate) fn moments(&self, support: &Support, s: usize) -> Option<(f64, f64)> {
        let (mean, variance) = match self {
            Self::Translated(model) => {
                let (away, variance) = model.moments()?;
                (support.point(s) + away, variance)
            }
            Self::Count(model) => model.moments(s)?,
            Self::Sum(model) => model.moments(s)?,
            Self::Extreme(_) => return None,
        };
        let sd = variance.max(0.0).sqrt();
        (mean.is_finite() && sd.is_finite()).then_some((mean, sd))
    }

    /// Elementary steps that one cell of a row costs, for planning tables.
    pub(crate) fn steps_per_cell(&self) -> usize {
        match self {
            Self::Translated(model) => model.components(),
            Self::Count(_) => 1,
            Self::Sum(model) => model.components(),
            Self::Extreme(model) => model.messages() * 2,
        }
    }
}

/// A component of a mixture whose standard deviation is 0 is an atom.
#[derive(Clone, Debug)]
pub(crate) enum Spread {
    Atom,
    Normal(Distribution),
}

impl Spread {
    pub(crate) fn variance(&self) -> f64 {
        match self {
            Self::Atom => 0.0,
            Self::Normal(normal) => normal.variance(),
        }
    }

    /// Of the given variance (finite) around 0.
    pub(crate) fn of_variance(variance: f64) -> Self {
        Distribution::normal(0.0, variance.max(0.0).sqrt()).map_or(Self::Atom, Self::Normal)
    }
}

/// What a replica's own noise adds to every component: mean and variance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Noise {
    pub(crate) mean: f64,
    pub(crate) variance: f64,
}

impl Noise {
    pub(crate) fn of(distribution: Option<&Distribution>) -> Self {
        distribution.map_or_else(Self::default, |d| Self { mean: d.mean(), variance: d.variance() })
    }
}

/// Weights below this (natural log) cannot lift a sum above the floor of a log-likelihood.
pub(crate) const LN_NEGLIGIBLE: f64 = crate::limits::LN_LIKELIHOOD_FLOOR - 100.0;

/// Mean and variance of a mixture of components with a weight, a mean and a variance each; none where no component has
/// weight.
pub(crate) fn mixture_moments(parts: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Option<(f64, f64)> {
    let total: f64 = parts.clone().map(|(weight, _, _)| weight).sum();
    if total <= 0.0 {
        return None;
    }
    let mean = parts.clone().map(|(weight, mean, _)| weight * mean).sum::<f64>() / total;
    let around = |(weight, centre, variance): (f64, f64, f64)| weight * (variance + (centre - mean).powi(2));
    Some((mean, parts.map(around).sum::<f64>() / total))
}
