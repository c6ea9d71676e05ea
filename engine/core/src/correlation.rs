//! How much honest replicas err together, because they miss the same messages of a window.
//!
//! Given the ideal output, two replicas' reports are taken as independent. Of a window they are not: both are made of the same
//! readings. `ρ` is the correlation of two honest reports given X, by exact formulas but for `min` and `max`; see
//! `docs/NUMERICS.md`, section "The coalition model".

use crate::arrivals::Arrivals;
use crate::coalition::SD_LEAST;
use crate::dist::quadrature::nodes;
use crate::spec::Computation;
use crate::support::Support;
use crate::table::Table;

/// What the correlation depends on beside the computation.
pub(crate) struct Window<'a> {
    pub(crate) arrivals: &'a Arrivals,
    /// Variance of a reading, or of a step between readings; 0 where there is none.
    pub(crate) source_variance: f64,
    pub(crate) support: &'a Support,
    /// Natural log-prior over the support.
    pub(crate) ln_prior: &'a [f64],
    /// The table of each replica.
    pub(crate) tables: Vec<&'a Table>,
}

/// Correlation of two honest reports given X, in [0, 1].
pub(crate) fn correlation(computation: Computation, window: &Window<'_>) -> f64 {
    let p: Vec<f64> = window.arrivals.oldest_first().iter().map(|a| a.ln_in_time.exp()).collect();
    let source = window.source_variance;
    let covariance = match computation {
        Computation::Identity => return 0.0,
        Computation::Min | Computation::Max => return of_extremes(&p),
        Computation::Mean => source * of_means(&p),
        Computation::Last => source * of_lags(&window.arrivals.ln_lag()),
        Computation::Sum => source * excess(&p),
        Computation::Count => mean_by_prior(window, |x| of_successes(&p, x)),
    };
    let variances = window.tables.iter().map(|table| {
        let of = |s: usize| table.moments(window.support, s).map_or(0.0, |(_, sd)| sd * sd);
        window.ln_prior.iter().enumerate().map(|(s, ln)| ln.exp() * of(s)).sum::<f64>()
    });
    let variance = variances.sum::<f64>() / window.tables.len() as f64;
    let least = (SD_LEAST * window.support.step()).powi(2);
    if variance > least { (covariance / variance).clamp(0.0, 1.0) } else { 0.0 }
}

fn mean_by_prior(window: &Window<'_>, of: impl Fn(f64) -> f64) -> f64 {
    window.ln_prior.iter().enumerate().map(|(s, ln)| ln.exp() * of(window.support.point(s))).sum()
}

/// `Σ p_j² − (Σ p_j)²/m`: in how many messages two replicas agree beyond what their numbers say.
fn excess(p: &[f64]) -> f64 {
    let sum: f64 = p.iter().sum();
    p.iter().map(|p| p * p).sum::<f64>() - sum * sum / p.len() as f64
}

/// `count`, x successes of which any are alike: `x(m − x)/(m(m − 1))·excess`.
fn of_successes(p: &[f64], x: f64) -> f64 {
    let m = p.len() as f64;
    if m < 2.0 || !(0.0..=m).contains(&x) { 0.0 } else { x * (m - x) / (m * (m - 1.0)) * excess(p) }
}

/// `last`: the newest step that both miss is missed with all newer ones, `Σ_{l ≥ 1} P(lag ≥ l)²`.
fn of_lags(ln_lag: &[f64]) -> f64 {
    let lag: Vec<f64> = ln_lag.iter().map(|ln| ln.exp()).collect();
    let reports: f64 = lag.iter().sum();
    if reports <= 0.0 {
        return 0.0;
    }
    let mut at_least = 0.0;
    let squares = lag.iter().skip(1).rev().map(|p| {
        at_least += p / reports;
        at_least * at_least
    });
    squares.sum()
}

/// `mean`: `Σ q_j² − 1/m`, `q_j` the mean weight of message j in the mean of what arrived, if anything did.
///
/// `q_j ∝ p_j·E[1/(1 + K_j)] = p_j ∫₀¹ Π_{i≠j} (1 − p_i + p_i·t) dt`, K_j counting the others that arrived.
fn of_means(p: &[f64]) -> f64 {
    /// Panels that halve towards 1, where the product is largest.
    const PANELS: i32 = 24;
    let mut weights = vec![0.0; p.len()];
    for panel in 0..=PANELS {
        let low = 1.0 - 0.5f64.powi(panel);
        let high = if panel == PANELS { 1.0 } else { 1.0 - 0.5f64.powi(panel + 1) };
        let (middle, half) = (f64::midpoint(low, high), (high - low) / 2.0);
        for (away, share) in nodes(half) {
            // No factor is below t, which is inside (0, 1).
            let factor = |p: f64| 1.0 - p + p * (middle + away);
            let all: f64 = p.iter().map(|&p| factor(p)).product();
            for (weight, &p) in weights.iter_mut().zip(p) {
                *weight += 2.0 * half * share * p * all / factor(p);
            }
        }
    }
    let all: f64 = weights.iter().sum();
    if all <= 0.0 {
        return 0.0;
    }
    weights.iter().map(|w| (w / all).powi(2)).sum::<f64>() - 1.0 / p.len() as f64
}

/// `min`, `max`, as if the readings beyond the extreme one were exponential and which come first told nothing of when
/// they were sent.
///
/// A report exceeds the extreme by the spacings `D_1 + … + D_r` of the r readings that were late before one arrived; `D_k` is
/// exponential with mean 1/(m − k). With q the mean chance to be late and `s` the mean of its square, one replica misses the
/// first k with `q^k`, and two miss the first k and k' ≥ k with `s^k·q^(k'−k)`.
fn of_extremes(p: &[f64]) -> f64 {
    let m = p.len();
    let late = |power: i32| p.iter().map(|p| (1.0 - p).powi(power)).sum::<f64>() / m as f64;
    let (q, s) = (late(1), late(2));
    let (mut covariance, mut variance) = (0.0, 0.0);
    // Spacings that are missed with less than this matter to neither.
    let counted = (1..m).take_while(|&k| q.powi(k as i32) > 1e-9).count();
    for k in 1..=counted {
        for l in 1..=counted {
            let (less, more) = (k.min(l) as i32, k.max(l) as i32);
            let spacings = if k == l { 2.0 } else { 1.0 } / ((m - k) as f64 * (m - l) as f64);
            let means = q.powi(less + more) / ((m - k) as f64 * (m - l) as f64);
            covariance += s.powi(less) * q.powi(more - less) * spacings - means;
            variance += q.powi(more) * spacings - means;
        }
    }
    if variance > 0.0 { (covariance / variance).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pairs of sets of arrivals with their probability.
    fn pairs(p: &[f64]) -> Vec<(u32, u32, f64)> {
        let m = p.len();
        let weight =
            |set: u32| -> f64 { (0..m).map(|j| if set >> j & 1 == 1 { p[j] } else { 1.0 - p[j] }).product() };
        let sets: Vec<u32> = (0..1 << m).collect();
        sets.iter()
            .flat_map(|&a| sets.iter().map(move |&b| (a, b)))
            .map(|(a, b)| (a, b, weight(a) * weight(b)))
            .collect()
    }

    const P: [f64; 5] = [0.98, 0.9, 0.7, 0.5, 0.2];

    #[test]
    fn means_of_the_same_readings_by_enumeration() {
        let (mut covariance, mut all) = (0.0, 0.0);
        for (a, b, w) in pairs(&P) {
            let (k, l) = (f64::from(a.count_ones()), f64::from(b.count_ones()));
            if k > 0.0 && l > 0.0 {
                covariance += w * (f64::from((a & b).count_ones()) / (k * l) - 0.2);
                all += w;
            }
        }
        assert!((of_means(&P) - covariance / all).abs() < 1e-12);
        assert!(of_means(&[1.0; 4]).abs() < 1e-12);
        // Of many messages about 450 arrive: a sure one weighs 1/450, one of even chances half of it.
        let many = of_means(&[[0.5; 300], [1.0; 300]].concat());
        let expected = (300.0 + 300.0 / 4.0) / (450.0 * 450.0) - 1.0 / 600.0;
        assert!((many / expected - 1.0).abs() < 0.02, "{many} {expected}");
    }

    #[test]
    fn lags_sums_and_successes_by_enumeration() {
        let (mut lags, mut sums, mut reported) = (0.0, 0.0, 0.0);
        for (a, b, w) in pairs(&P) {
            let (k, l) = (f64::from(a.count_ones()), f64::from(b.count_ones()));
            sums += w * (f64::from((a & b).count_ones()) - k * l / 5.0);
            if a > 0 && b > 0 {
                let lag = |set: u32| f64::from(set.leading_zeros() as i32 - 27);
                lags += w * lag(a).min(lag(b));
                reported += w;
            }
        }
        let mut none_newer = 1.0;
        let mut ln_lag = Vec::new();
        for p in P.iter().rev() {
            ln_lag.push(f64::ln(none_newer * p));
            none_newer *= 1.0 - p;
        }
        assert!((of_lags(&ln_lag) - lags / reported).abs() < 1e-12);
        assert!((excess(&P) - sums).abs() < 1e-12);
        // Two of five are successes, any two alike.
        let (mut product, mut mean) = (0.0, 0.0);
        let choices: Vec<u32> = (0u32..32).filter(|c| c.count_ones() == 2).collect();
        for &choice in &choices {
            for (a, b, w) in pairs(&P) {
                let (v, u) = (f64::from((a & choice).count_ones()), f64::from((b & choice).count_ones()));
                product += w * v * u / choices.len() as f64;
                mean += w * v / choices.len() as f64;
            }
        }
        assert!((of_successes(&P, 2.0) - (product - mean * mean)).abs() < 1e-12);
    }

    #[test]
    fn extremes_of_arrivals_that_are_alike_by_enumeration() {
        // Spacings by hand for m = 3 and p = ½: D_1 of mean ½, D_2 of mean 1; missing all three is as missing two.
        let (p, d1, d2) = ([0.5; 3], 0.5, 1.0);
        let excess = |rank: usize| [(0.0, 0.0), (d1, 0.0), (d1, d2)][rank];
        let chance = [0.5, 0.25, 0.25];
        let (mut cross, mut square, mut mean) = (0.0, 0.0, 0.0);
        for i in 0..3 {
            let (a, b) = excess(i);
            mean += chance[i] * (a + b);
            square += chance[i] * (2.0 * a * a + 2.0 * b * b + 2.0 * a * b);
            for l in 0..3 {
                let (c, d) = excess(l);
                // E[D²] = 2·E[D]², and different spacings are independent.
                cross += chance[i] * chance[l] * (2.0 * a * c + 2.0 * b * d + a * d + b * c);
            }
        }
        let expected = (cross - mean * mean) / (square - mean * mean);
        assert!((of_extremes(&p) - expected).abs() < 1e-12, "{expected}");
        assert_eq!(of_extremes(&[1.0; 4]), 0.0);
        assert_eq!(of_extremes(&[0.5]), 0.0);
    }
}
