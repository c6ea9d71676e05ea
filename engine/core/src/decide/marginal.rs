//! The `marginal` model: no quorum is trusted; how many replicas lie, and which, is summed over.
//!
//! `P(x | Q) ∝ P(x) Σ_b w_b E_b(x)`, `w_b = 1/((f+1)·C(n,b))`, `E_b(x) = Σ_{|F|=b} Π_{i∉F} exp L_i(x) · Π_{i∈F} u_i`, by
//! a recurrence over replicas: `E_j ← E_j·exp L_i + E_{j−1}·u_i`. P(honest) of replica i needs the sum over the subsets
//! that leave i in: the recurrence over the replicas before i meets the one over those after i (run backwards from the
//! weights), so that nothing is divided or subtracted.

use super::Evidence;
use crate::number::{Mass, Scaled, ln_sum_exp};

#[derive(Debug, Default)]
pub(crate) struct Marginal {
    ln_posterior: Vec<f64>,
    honest: Vec<f64>,
    ln_weights: Vec<f64>,
}

/// Below this a sum in plain float64 may have lost terms.
const SAFE: f64 = 1e-250;
/// A point whose probability is less than exp(−this) of the largest changes nothing.
const LN_UNSEEN: f64 = 80.0;

impl Marginal {
    /// Natural log-probability of each grid point, normalised.
    pub(crate) fn ln_posterior(&self) -> &[f64] {
        &self.ln_posterior
    }

    /// P(honest) of each unit that is left.
    pub(crate) fn honest(&self) -> &[f64] {
        &self.honest
    }

    /// Computes both; `false` where everything is impossible.
    pub(crate) fn run(&mut self, evidence: &Evidence) -> bool {
        self.ln_weights = ln_weights(evidence.units(), evidence.faults);
        let faulty = |i: usize, _: usize| evidence.ln_faulty[i];
        let plain = columns::<f64>(evidence, &evidence.ln_prior, &self.ln_weights, &faulty);
        if trusted(&plain.ln_total, &plain.ln_bounds) {
            self.gather(evidence, &plain)
        } else {
            self.gather(evidence, &columns::<Scaled>(evidence, &evidence.ln_prior, &self.ln_weights, &faulty))
        }
    }

    fn gather(&mut self, evidence: &Evidence, columns: &Columns) -> bool {
        let total = ln_sum_exp(columns.ln_total.iter().copied());
        if total == f64::NEG_INFINITY {
            return false;
        }
        self.ln_posterior.clear();
        self.ln_posterior.extend(columns.ln_total.iter().map(|ln| ln - total));
        average(&self.ln_posterior, &columns.honest, evidence.units(), &mut self.honest);
        true
    }
}

/// Natural logarithm of what the marginal distribution has at single grid points, before it is normalised: for backends
/// whose own numbers have underflowed there.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    shape: (usize, usize),
    plain: Option<Column<f64>>,
    scaled: Option<Column<Scaled>>,
}

impl Tails {
    /// `ln P(x) Σ_b w_b E_b(x)`.
    pub(crate) fn ln_total(&mut self, evidence: &Evidence, x: usize) -> f64 {
        let shape = (evidence.units(), evidence.faults);
        if self.shape != shape {
            *self = Self { shape, ..Self::default() };
        }
        let ln_prior = evidence.ln_prior[x];
        if ln_prior == f64::NEG_INFINITY {
            return ln_prior;
        }
        let faulty = |i: usize, _: usize| evidence.ln_faulty[i];
        let plain = self.plain.get_or_insert_with(|| Column::of(evidence));
        let ln_scale = plain.load(evidence, x, &faulty);
        let total = plain.total();
        if total >= SAFE {
            return ln_prior + ln_scale + total.ln();
        }
        let scaled = self.scaled.get_or_insert_with(|| Column::of(evidence));
        let ln_scale = scaled.load(evidence, x, &faulty);
        ln_prior + ln_scale + scaled.total().ln()
    }
}

/// The shares in which each of `n` replicas is honest, a row for each grid point, averaged over the grid.
pub(super) fn average(ln_posterior: &[f64], shares: &[f64], n: usize, honest: &mut Vec<f64>) {
    honest.clear();
    honest.resize(n, 0.0);
    for (ln, shares) in ln_posterior.iter().zip(shares.chunks_exact(n)) {
        let p = ln.exp();
        for (honest, share) in honest.iter_mut().zip(shares) {
            *honest += p * share;
        }
    }
    honest.iter_mut().for_each(|p| *p = p.min(1.0));
}

/// `ln w_b` for b = 0 … f.
pub(super) fn ln_weights(n: usize, f: usize) -> Vec<f64> {
    let mut ln_choose = 0.0;
    let weight = |b: usize| {
        if b > 0 {
            ln_choose += ((n - b + 1) as f64 / b as f64).ln();
        }
        -((f + 1) as f64).ln() - ln_choose
    };
    (0..=f).map(weight).collect()
}

/// For each grid point `ln P(x) Σ_b w_b E_b(x)`, and the share of it in which each replica is honest.
pub(super) struct Columns {
    pub(super) ln_total: Vec<f64>,
    pub(super) honest: Vec<f64>,
    /// Where terms may have underflowed what the total may really be, at most; −∞ elsewhere.
    pub(super) ln_bounds: Vec<f64>,
}

/// Whether no term that matters has underflowed.
pub(super) fn trusted(ln_total: &[f64], ln_bounds: &[f64]) -> bool {
    let top = ln_total.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    ln_bounds.iter().all(|&bound| bound == f64::NEG_INFINITY || bound < top - LN_UNSEEN)
}

/// `ln_faulty` gives the logarithm of what a faulty replica i shows when `X` is grid point x.
pub(super) fn columns<N: Mass>(
    evidence: &Evidence,
    ln_prior: &[f64],
    ln_weights: &[f64],
    ln_faulty: &impl Fn(usize, usize) -> f64,
) -> Columns {
    let (n, points) = (evidence.units(), evidence.points());
    let mut columns = Columns {
        ln_total: Vec::with_capacity(points),
        honest: vec![0.0; n * points],
        ln_bounds: Vec::with_capacity(points),
    };
    let weights: Vec<N> = ln_weights.iter().map(|&ln| N::from_ln(ln)).collect();
    let mut column = Column::new(n, weights);
    for (x, shares) in columns.honest.chunks_exact_mut(n).enumerate() {
        let ln_scale = ln_prior[x] + column.load(evidence, x, ln_faulty);
        let total = column.run(shares);
        columns.ln_total.push(ln_scale + total.ln());
        let underflown = total.ln() < SAFE.ln();
        columns.ln_bounds.push(if underflown { ln_scale + SAFE.ln() } else { f64::NEG_INFINITY });
    }
    columns
}

/// The recurrences of one grid point.
#[derive(Debug)]
struct Column<N> {
    /// `exp L_i` and `u_i`, both scaled by the larger of them.
    honest: Vec<N>,
    faulty: Vec<N>,
    /// Row i: sums over the replicas before i, by how many of them were left out.
    before: Vec<N>,
    /// Sums over the replicas from i on with the weights, by how many were left out before i.
    after: Vec<N>,
    weights: Vec<N>,
}

impl<N: Mass> Column<N> {
    fn new(n: usize, weights: Vec<N>) -> Self {
        let before = vec![N::ZERO; (n + 1) * weights.len()];
        Self { honest: vec![N::ZERO; n], faulty: vec![N::ZERO; n], before, after: weights.clone(), weights }
    }

    fn of(evidence: &Evidence) -> Self {
        let ln_weights = ln_weights(evidence.units(), evidence.faults);
        Self::new(evidence.units(), ln_weights.iter().map(|&ln| N::from_ln(ln)).collect())
    }

    /// Takes in grid point `x`; gives the logarithm of the scale that was taken out.
    fn load(&mut self, evidence: &Evidence, x: usize, ln_faulty: &impl Fn(usize, usize) -> f64) -> f64 {
        let points = evidence.points();
        let mut ln_scale = 0.0;
        for i in 0..evidence.units() {
            let (ln_honest, ln_faulty) = (evidence.ln_likelihood[i * points + x], ln_faulty(i, x));
            let top = ln_honest.max(ln_faulty);
            self.honest[i] = N::from_ln(ln_honest - top);
            self.faulty[i] = N::from_ln(ln_faulty - top);
            ln_scale += top;
        }
        ln_scale
    }

    /// `Σ_b w_b E_b`, by the recurrence forward.
    fn total(&mut self) -> N {
        let (n, width) = (self.honest.len(), self.weights.len());
        self.before[..width].fill(N::ZERO);
        self.before[0] = N::ONE;
        for i in 0..n {
            for b in (0..width).rev() {
                let kept = self.before[i * width + b].times(self.honest[i]);
                let left_out =
                    if b > 0 { self.before[i * width + b - 1].times(self.faulty[i]) } else { N::ZERO };
                self.before[(i + 1) * width + b] = kept.plus(left_out);
            }
        }
        dot(&self.before[n * width..], &self.weights)
    }

    /// `Σ_b w_b E_b`, and into `shares` each replica's share of it.
    fn run(&mut self, shares: &mut [f64]) -> N {
        let (n, width) = (self.honest.len(), self.weights.len());
        let total = self.total();
        if total.ln() == f64::NEG_INFINITY {
            shares.fill(0.0);
            return total;
        }
        self.after.copy_from_slice(&self.weights);
        for i in (0..n).rev() {
            let with = dot(&self.before[i * width..(i + 1) * width], &self.after).times(self.honest[i]);
            shares[i] = (with.ln() - total.ln()).exp();
            for b in 0..width {
                let left_out = if b + 1 < width { self.after[b + 1].times(self.faulty[i]) } else { N::ZERO };
                self.after[b] = self.after[b].times(self.honest[i]).plus(left_out);
            }
        }
        total
    }
}

fn dot<N: Mass>(a: &[N], b: &[N]) -> N {
    a.iter().zip(b).fold(N::ZERO, |sum, (&x, &y)| sum.plus(x.times(y)))
}
