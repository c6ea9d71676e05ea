//! Student's t with location 0 and scale 1.

use super::beta;
use super::logs::{Tails, ln_1p_minus, stirling_error};
use super::quadrature::{Density, march};
use std::f64::consts::{LN_2, PI};

/// From here on the tails are integrated: the incomplete beta function would converge slowly.
const MARCH_DF: f64 = 200.0;

/// Student's t.
#[derive(Clone, Copy)]
pub(super) struct Student {
    pub(super) df: f64,
}

impl Student {
    /// `ln(Γ((df+1)/2)/(Γ(df/2)·√(π·df)))`.
    fn ln_peak(self) -> f64 {
        let a = 0.5 * self.df;
        let ln_ratio = if a < 12.0 {
            libm::lgamma(a + 0.5) - libm::lgamma(a) - 0.5 * a.ln()
        } else {
            // Both by Stirling's formula; the large terms leave a·ln(1 − 1/2a) + ½.
            stirling_error(a - 0.5) - stirling_error(a) + a * ln_1p_minus(-0.5 / a)
        };
        ln_ratio - 0.5 * (2.0 * PI).ln()
    }

    /// `ln(1 + x²/df)`, also where the square overflows.
    fn ln_growth(self, x: f64) -> f64 {
        let r = x.abs() / self.df.sqrt();
        if r > 1e100 { 2.0 * r.ln() } else { (r * r).ln_1p() }
    }

    /// `ln P(T > t)` for `t ≥ 0`.
    fn ln_upper(self, t: f64) -> f64 {
        if t == f64::INFINITY {
            return f64::NEG_INFINITY;
        }
        if t == 0.0 {
            return -LN_2;
        }
        if self.df >= MARCH_DF {
            return march(&self, t, f64::INFINITY);
        }
        let r = t / self.df.sqrt();
        if r > 1e8 {
            // The leading term: P(T > t) = density·t/df·(1 + O(1/r²)).
            return self.ln_pdf(t) + t.ln() - self.df.ln();
        }
        let r2 = r * r;
        let (x, y) = (1.0 / (1.0 + r2), r2 / (1.0 + r2));
        beta::tails(0.5 * self.df, 0.5, x, y).lower - LN_2
    }
}

impl Density for Student {
    fn ln_pdf(&self, x: f64) -> f64 {
        if x.is_infinite() {
            return f64::NEG_INFINITY;
        }
        self.ln_peak() - 0.5 * (self.df + 1.0) * self.ln_growth(x)
    }

    fn change(&self, x: f64, d: f64) -> f64 {
        // ln((v + (x+d)²)/(v + x²)), divided through so that no square overflows.
        let size = x.abs().max(self.df.sqrt());
        let (u, e, v) = (x / size, d / size, self.df.sqrt() / size);
        -0.5 * (self.df + 1.0) * (e * (2.0 * u + e) / (v * v + u * u)).ln_1p()
    }

    fn step(&self, x: f64) -> f64 {
        // |g′| ≤ (v+1)·|x|/(v + x²) and |g″| ≤ (v+1)/(v + x²); singular at ±i√v.
        let root = self.df.sqrt();
        let radius = root.hypot(x);
        let slope = (self.df + 1.0) * (x.abs() / radius) / radius;
        let bend = (self.df + 1.0).sqrt() / radius;
        1.0 / (0.5 * slope).max(bend).max(3.0 / radius)
    }

    fn mode(&self) -> f64 {
        0.0
    }

    fn tails(&self, x: f64) -> Tails {
        if x >= 0.0 { Tails::from_upper(self.ln_upper(x)) } else { Tails::from_lower(self.ln_upper(-x)) }
    }
}
