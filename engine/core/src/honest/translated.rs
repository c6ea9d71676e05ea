//! Computations whose report lies around the ideal output the same way wherever that is.

use super::{LN_NEGLIGIBLE, Noise, Spread, mixture_moments};
use crate::arrivals::Arrivals;
use crate::dist::Distribution;
use crate::number::ln_sum_exp;

/// `g(v | x)` as a function of `d = i − s`, the report's distance from `x` in steps.
#[derive(Clone, Debug)]
pub(crate) struct Translated {
    step: f64,
    components: Vec<Component>,
}

#[derive(Clone, Debug)]
struct Component {
    ln_weight: f64,
    mean: f64,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    /// All mass in the bin this many steps away.
    Atom(i64),
    Spread(Distribution),
}

impl Translated {
    /// `identity`: the noise itself.
    pub(crate) fn identity(step: f64, noise: &Distribution) -> Self {
        let component = Component { ln_weight: 0.0, mean: 0.0, shape: Shape::Spread(noise.clone()) };
        Self { step, components: vec![component] }
    }

    /// `mean`: `Σ_{k≥1} P(k)·Normal(x, σ²(1/k − 1/m))` with the noise added; k = m is an atom without noise.
    pub(crate) fn mean(step: f64, arrivals: &Arrivals, variance: f64, noise: Noise) -> Self {
        let m = arrivals.len();
        let number = arrivals.ln_number();
        let spread = |k: usize| if k == m { 0.0 } else { variance * (1.0 / k as f64 - 1.0 / m as f64) };
        let components = (1..=m).map(|k| (number[k], spread(k)));
        Self::mixture(step, components, noise)
    }

    /// `last`: `Σ_lag P(lag)·Normal(x, lag·σ²)` with the noise added; lag 0 is an atom without noise.
    pub(crate) fn last(step: f64, arrivals: &Arrivals, variance: f64, noise: Noise) -> Self {
        let lags = arrivals.ln_lag();
        let components = lags.iter().enumerate().map(|(lag, &ln)| (ln, lag as f64 * variance));
        Self::mixture(step, components, noise)
    }

    fn mixture(step: f64, parts: impl Iterator<Item = (f64, f64)>, noise: Noise) -> Self {
        let components = parts
            .filter(|&(ln_weight, _)| ln_weight > LN_NEGLIGIBLE)
            .map(|(ln_weight, variance)| {
                let shape = match Spread::of_variance(variance + noise.variance) {
                    Spread::Atom => Shape::Atom((noise.mean / step + 0.5).floor() as i64),
                    Spread::Normal(normal) => Shape::Spread(normal),
                };
                Component { ln_weight, mean: noise.mean, shape }
            })
            .collect();
        Self { step, components }
    }

    pub(crate) fn components(&self) -> usize {
        self.components.len()
    }

    /// `ln g` at the distance of `d` steps.
    pub(crate) fn ln_mass(&self, d: i64) -> f64 {
        match self.components.as_slice() {
            [only] => self.term(only, d),
            many => ln_sum_exp(many.iter().map(|c| self.term(c, d))),
        }
    }

    /// Mean and variance of the report's distance from `X`.
    pub(crate) fn moments(&self) -> Option<(f64, f64)> {
        let part = |component: &Component| {
            let (mean, variance) = match &component.shape {
                Shape::Atom(_) => (component.mean, 0.0),
                Shape::Spread(spread) => (component.mean + spread.mean(), spread.variance()),
            };
            (component.ln_weight.exp(), mean, variance)
        };
        mixture_moments(self.components.iter().map(part))
    }

    fn term(&self, component: &Component, d: i64) -> f64 {
        let mass = match &component.shape {
            Shape::Atom(at) if *at == d => 0.0,
            Shape::Atom(_) => f64::NEG_INFINITY,
            Shape::Spread(distribution) => {
                let centre = d as f64 * self.step - component.mean;
                distribution.ln_mass(centre - self.step / 2.0, centre + self.step / 2.0)
            }
        };
        component.ln_weight + mass
    }
}
