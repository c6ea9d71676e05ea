//! `sum`: the sum of the readings that arrived.

use super::{LN_NEGLIGIBLE, Noise, Spread, mixture_moments};
use crate::arrivals::Arrivals;
use crate::number::ln_sum_exp;
use crate::support::Support;

/// `g(v | x) = Σ_k P(k)·Normal(k·x/m, σ²·k(m−k)/m)`, the noise added. Without noise k = 0 is an atom at 0 and
/// k = m an atom at x.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    support: Support,
    components: Vec<Component>,
    bias: f64,
}

#[derive(Clone, Debug)]
struct Component {
    ln_weight: f64,
    share: f64,
    spread: Spread,
}

impl Sum {
    pub(crate) fn new(support: Support, arrivals: &Arrivals, variance: f64, noise: Noise) -> Self {
        let m = arrivals.len();
        let component = |(k, ln_weight): (usize, f64)| {
            let partial = variance * k as f64 * (m - k) as f64 / m as f64;
            Component {
                ln_weight,
                share: k as f64 / m as f64,
                spread: Spread::of_variance(partial + noise.variance),
            }
        };
        let weights = arrivals.ln_number();
        let kept = weights.into_iter().enumerate().filter(|&(_, ln)| ln > LN_NEGLIGIBLE);
        Self { support, components: kept.map(component).collect(), bias: noise.mean }
    }

    pub(crate) fn components(&self) -> usize {
        self.components.len()
    }

    pub(crate) fn row(&self, i: i64, row: &mut [f64]) {
        for (s, cell) in row.iter_mut().enumerate() {
            let x = self.support.point(s);
            *cell = ln_sum_exp(self.components.iter().map(|c| self.term(c, i, x)));
        }
    }

    /// Mean and variance of the report when `X` is grid point `s`.
    pub(crate) fn moments(&self, s: usize) -> Option<(f64, f64)> {
        let x = self.support.point(s);
        let part = |c: &Component| (c.ln_weight.exp(), c.share * x + self.bias, c.spread.variance());
        mixture_moments(self.components.iter().map(part))
    }

    fn term(&self, component: &Component, i: i64, x: f64) -> f64 {
        let mean = component.share * x + self.bias;
        let mass = match &component.spread {
            Spread::Atom if self.support.bin(mean) == i => 0.0,
            Spread::Atom => f64::NEG_INFINITY,
            Spread::Normal(normal) => {
                let half = self.support.step() / 2.0;
                let centre = self.support.centre(i) - mean;
                normal.ln_mass(centre - half, centre + half)
            }
        };
        component.ln_weight + mass
    }
}
