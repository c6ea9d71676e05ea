//! The families of counts: Poisson, binomial, geometric, negative binomial.

use super::atoms::Atoms;
use super::beta;
use super::gamma::{Gamma, ln_poisson};
use super::logs::Tails;
use super::quadrature::Density;

/// Poisson of some positive mean.
#[derive(Clone, Copy)]
pub(super) struct Poisson {
    pub(super) mean: f64,
}

impl Atoms for Poisson {
    fn ln_pmf(&self, k: f64) -> f64 {
        ln_poisson(k, self.mean)
    }
    fn ratio(&self, k: f64) -> f64 {
        self.mean / (k + 1.0)
    }
    fn mode(&self) -> f64 {
        self.mean.floor()
    }
    fn last(&self) -> f64 {
        f64::INFINITY
    }
    fn tails_inside(&self, k: f64) -> Tails {
        // More than k events by time `mean` when the (k+1)-th comes before it.
        Gamma { shape: k + 1.0 }.tails(self.mean).mirrored()
    }
}

/// Binomial with `0 < p < 1`.
#[derive(Clone, Copy)]
pub(super) struct Binomial {
    pub(super) trials: f64,
    pub(super) p: f64,
}

impl Atoms for Binomial {
    fn ln_pmf(&self, k: f64) -> f64 {
        beta::ln_binomial(k, self.trials - k, self.p, 1.0 - self.p)
    }
    fn ratio(&self, k: f64) -> f64 {
        (self.trials - k) / (k + 1.0) * (self.p / (1.0 - self.p))
    }
    fn mode(&self) -> f64 {
        ((self.trials + 1.0) * self.p).floor().min(self.trials)
    }
    fn last(&self) -> f64 {
        self.trials
    }
    fn tails_inside(&self, k: f64) -> Tails {
        beta::tails(k + 1.0, self.trials - k, self.p, 1.0 - self.p).mirrored()
    }
}

/// Negative binomial with `0 < p < 1`.
#[derive(Clone, Copy)]
pub(super) struct NegativeBinomial {
    pub(super) r: f64,
    pub(super) p: f64,
}

impl Atoms for NegativeBinomial {
    fn ln_pmf(&self, k: f64) -> f64 {
        if k == f64::INFINITY {
            return f64::NEG_INFINITY;
        }
        beta::ln_binomial(self.r, k, self.p, 1.0 - self.p) - (k / self.r).ln_1p()
    }
    fn ratio(&self, k: f64) -> f64 {
        (k + self.r) / (k + 1.0) * (1.0 - self.p)
    }
    fn mode(&self) -> f64 {
        ((self.r - 1.0) * ((1.0 - self.p) / self.p)).floor().max(0.0)
    }
    fn last(&self) -> f64 {
        f64::INFINITY
    }
    fn tails_inside(&self, k: f64) -> Tails {
        beta::tails(self.r, k + 1.0, self.p, 1.0 - self.p)
    }
}

/// Geometric with `0 < p < 1`; its masses are elementary.
#[derive(Clone, Copy)]
pub(super) struct Geometric {
    pub(super) p: f64,
}

impl Geometric {
    /// `−ln(1 − p)`, positive.
    fn rate(self) -> f64 {
        -(-self.p).ln_1p()
    }

    /// `ln P(a ≤ D < b)`: `q^low·(1 − q^(high−low))`.
    pub(super) fn ln_mass(self, a: f64, b: f64) -> f64 {
        let low = super::atoms::atom_at_or_above(a).max(0.0);
        let high = super::atoms::atom_at_or_above(b);
        super::closed::exponential_ln_mass(low * self.rate(), (high - low) * self.rate())
    }
}

impl Atoms for Geometric {
    fn ln_pmf(&self, k: f64) -> f64 {
        self.p.ln() - k * self.rate()
    }
    fn ratio(&self, _k: f64) -> f64 {
        1.0 - self.p
    }
    fn mode(&self) -> f64 {
        0.0
    }
    fn last(&self) -> f64 {
        f64::INFINITY
    }
    fn tails_inside(&self, k: f64) -> Tails {
        Tails::from_upper(-(k + 1.0) * self.rate())
    }
}

/// All mass on one count: the limits of the families above.
#[derive(Clone, Copy)]
pub(super) struct Sure {
    pub(super) at: f64,
}

impl Atoms for Sure {
    fn ln_pmf(&self, k: f64) -> f64 {
        if k == self.at { 0.0 } else { f64::NEG_INFINITY }
    }
    fn ratio(&self, k: f64) -> f64 {
        if k >= self.at { 0.0 } else { f64::INFINITY }
    }
    fn mode(&self) -> f64 {
        self.at
    }
    fn last(&self) -> f64 {
        self.at
    }
    fn tails_inside(&self, _k: f64) -> Tails {
        Tails::NONE
    }
}
