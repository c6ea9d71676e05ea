//! The `coalition` model the slow way: every subset of liars under every story, densities by Simpson's rule, and correlations
//! over all pairs of windows.

use super::{in_time, inline, ln_sum, normal_mass, windows};
use centauri_engine::*;
use std::f64::consts::PI;

pub(crate) struct Round<'a> {
    pub(crate) spec: &'a StreamSpec,
    pub(crate) observations: &'a [Observation],
    /// The units that are left, each as its replicas.
    pub(crate) left: &'a [Vec<usize>],
    pub(crate) faults: usize,
    /// `L_i(x)` of each replica.
    pub(crate) rows: &'a [Vec<f64>],
}

pub(crate) struct Told {
    pub(crate) ln_posterior: Vec<f64>,
    pub(crate) honest: Vec<f64>,
}

pub(crate) fn decide(round: &Round<'_>, ln_prior: &[f64]) -> Told {
    let (n, points) = (round.left.len(), round.spec.support.points());
    let stories = stories(round);
    let windows: Vec<_> = (0..points).map(|s| pair(round.spec, round.spec.support.point(s))).collect();
    let replicas = round.spec.replicas.len();
    let moments: Vec<Vec<_>> =
        (0..replicas).map(|r| (0..points).map(|s| moments(round.spec, r, s, &windows)).collect()).collect();
    // What each replica shows as a liar, by story.
    let lies: Vec<Vec<Vec<f64>>> = stories
        .iter()
        .map(|(_, leader)| {
            let at = |i: usize| (0..points).map(|s| lie(round, i, *leader, moments[i][s]).ln()).collect();
            (0..replicas).map(at).collect()
        })
        .collect();
    // For each subset of honest replicas and grid point the probability of everything, by story.
    let mut subsets: Vec<(u32, Vec<f64>)> = Vec::new();
    for b in 0..=round.faults {
        let of_size: Vec<u32> = (0u32..1 << n).filter(|q| q.count_ones() as usize == n - b).collect();
        let ln_w = -((round.faults + 1) as f64).ln() - (of_size.len() as f64).ln();
        for &honest in &of_size {
            let at = |s: usize| {
                let told = stories.iter().zip(&lies).map(|((weight, _), lies)| {
                    let shown = |u: usize| {
                        let rows = if honest >> u & 1 == 1 { round.rows } else { lies.as_slice() };
                        round.left[u].iter().map(|&i| rows[i][s]).sum::<f64>()
                    };
                    weight.ln() + ln_w + (0..n).map(shown).sum::<f64>()
                });
                ln_sum(&told.collect::<Vec<_>>())
            };
            subsets.push((honest, (0..points).map(at).collect()));
        }
    }
    let column = |s: usize, keep: &dyn Fn(u32) -> bool| {
        ln_sum(&subsets.iter().filter(|t| keep(t.0)).map(|t| t.1[s]).collect::<Vec<_>>())
    };
    // Each unit is honest as often as any other.
    let honest_share = 1.0 - round.faults as f64 / 2.0 / n as f64;
    let m: f64 = round.left.iter().map(|unit| unit.len() as f64 * honest_share).sum();
    let tau = 1.0 / (1.0 + (m - 1.0).max(0.0) * correlation(round.spec, &ln_prior_of(round.spec), &windows));
    let total: Vec<f64> = (0..points).map(|s| column(s, &|_| true)).collect();
    let scores: Vec<f64> = (0..points).map(|s| ln_prior[s] + tau * total[s]).collect();
    let z = ln_sum(&scores);
    let ln_posterior: Vec<f64> = scores.iter().map(|s| s - z).collect();
    let honest = |i: usize| {
        (0..points)
            .filter(|&s| ln_posterior[s] > f64::NEG_INFINITY)
            .map(|s| ln_posterior[s].exp() * (column(s, &|q| q >> i & 1 == 1) - total[s]).exp())
            .sum()
    };
    Told { honest: (0..n).map(honest).collect(), ln_posterior }
}

fn bin(round: &Round<'_>, i: usize) -> Option<i64> {
    if let Observation::Bin(bin) = round.observations[i] { Some(bin) } else { None }
}

/// Weight of each story, and who is echoed in it.
fn stories(round: &Round<'_>) -> Vec<(f64, Option<usize>)> {
    let mut spoke: Vec<usize> = round.left.iter().flatten().copied().collect();
    spoke.retain(|&i| bin(round, i).is_some());
    let mut sizes: Vec<usize> = round.left.iter().map(Vec::len).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let liars_most: usize = sizes.iter().take(round.faults).sum();
    let few = liars_most < 2 || spoke.is_empty();
    if round.spec.output.computation != Computation::Identity || few {
        return vec![(1.0, None)];
    }
    assert!(spoke.len() <= 8, "beyond that not every report is tried");
    let weight = 0.5 / spoke.len() as f64;
    std::iter::once((0.5, None)).chain(spoke.into_iter().map(|l| (weight, Some(l)))).collect()
}

/// P(what replica i showed | it lies, X = x), by mean and standard deviation of an honest report then.
fn lie(round: &Round<'_>, i: usize, leader: Option<usize>, moments: Option<(f64, f64)>) -> f64 {
    let spec = round.spec;
    let (support, step) = (&spec.support, spec.support.step());
    let Some(bin_i) = bin(round, i) else { return spec.silence };
    let flat = 1.0 / support.points() as f64;
    let said = match leader.filter(|&l| l != i).and_then(|l| bin(round, l)) {
        Some(led) => {
            let away = (bin_i - led) as f64 * step;
            let same = if bin_i == led { 0.5 } else { 0.0 };
            let near = moments.map_or(0.0, |(_, sd)| 0.5 * normal_mass(away, step / 2.0, (0.5 * sd).powi(2)));
            0.1 * flat + 0.9 * (same + near)
        }
        None => match moments {
            Some((mean, sd)) => {
                let v = support.min() + bin_i as f64 * step;
                0.25 * flat + 0.75 * paying(v - mean, step, 2.0 * sd)
            }
            None => flat,
        },
    };
    (1.0 - spec.silence) * said
}

/// Mass of a bin under the density (d/scale)²·Normal(d; 0, scale²), by Simpson's rule on pieces of it.
fn paying(centre: f64, step: f64, scale: f64) -> f64 {
    let density = |d: f64| {
        let y = d / scale;
        y * y * (-y * y / 2.0).exp() / ((2.0 * PI).sqrt() * scale)
    };
    let pieces = 2 * (20.0 * step / scale).ceil().max(10.0) as usize;
    let width = step / pieces as f64;
    (0..=pieces)
        .map(|k| {
            let weight = if k == 0 || k == pieces { 1.0 } else { 2.0 + 2.0 * (k % 2) as f64 };
            weight * density(centre - step / 2.0 + k as f64 * width) * width / 3.0
        })
        .sum()
}

/// Mean and standard deviation of an honest report, given that there is one.
fn moments(spec: &StreamSpec, replica: usize, s: usize, windows: &[Window]) -> Option<(f64, f64)> {
    let x = spec.support.point(s);
    let noise = spec.replicas[replica].noise.as_ref().or(spec.output.noise.as_ref()).map(inline);
    let (bias, own) = noise.map_or((0.0, 0.0), |d| (d.mean(), d.variance()));
    let (mean, variance) = match spec.output.computation {
        Computation::Identity => (x + bias, own),
        Computation::Min | Computation::Max => return None,
        _ => {
            let (mean, variance, _) = windows[s]?;
            (mean + bias, variance + own)
        }
    };
    (variance > (1e-4 * spec.support.step()).powi(2) && variance.is_finite())
        .then_some((mean, variance.sqrt()))
}

type Window = Option<(f64, f64, f64)>;

/// Mean, variance and covariance of two replicas' reports of one window without noise, by all pairs of sets of arrivals.
fn pair(spec: &StreamSpec, x: f64) -> Window {
    let output = &spec.output;
    if matches!(output.computation, Computation::Identity | Computation::Min | Computation::Max) {
        return None;
    }
    let windows = windows(&in_time(output));
    let m = output.messages.len() as f64;
    let source = output.source.as_ref().map_or(0.0, |d| inline(d).variance());
    let reports = |set: u32| matches!(output.computation, Computation::Count | Computation::Sum) || set != 0;
    let successes = x.round();
    if output.computation == Computation::Count
        && !((x - successes).abs() <= 1e-9 && (0.0..=m).contains(&successes))
    {
        return None;
    }
    let lag = |set: u32| m - 1.0 - f64::from(31 - set.leading_zeros());
    // Mean of a report, and of the product of two, given who got what.
    let mean = |a: u32| {
        let k = f64::from(a.count_ones());
        match output.computation {
            Computation::Sum | Computation::Count => k * x / m,
            _ => x,
        }
    };
    let product = |a: u32, b: u32| {
        let (k, l, both) =
            (f64::from(a.count_ones()), f64::from(b.count_ones()), f64::from((a & b).count_ones()));
        match output.computation {
            Computation::Sum => mean(a) * mean(b) + source * (both - k * l / m),
            Computation::Mean => x * x + source * (both / (k * l) - 1.0 / m),
            Computation::Last => x * x + source * lag(a).min(lag(b)),
            // Two different messages are both successes with x(x − 1)/(m(m − 1)).
            _ => {
                let pairs = if m > 1.0 { successes * (successes - 1.0) / (m * (m - 1.0)) } else { 0.0 };
                both * successes / m + (k * l - both) * pairs
            }
        }
    };
    let told: Vec<(u32, f64)> = windows.into_iter().filter(|w| reports(w.0)).collect();
    let all: f64 = told.iter().map(|w| w.1).sum();
    if all <= 0.0 {
        return None;
    }
    let first: f64 = told.iter().map(|&(a, w)| w * mean(a)).sum::<f64>() / all;
    let square: f64 = told.iter().map(|&(a, w)| w * product(a, a)).sum::<f64>() / all;
    let cross: f64 = told
        .iter()
        .flat_map(|&(a, w)| told.iter().map(move |&(b, v)| (a, b, w * v)))
        .map(|(a, b, w)| w * product(a, b))
        .sum::<f64>()
        / (all * all);
    Some((first, square - first * first, cross - first * first))
}

fn ln_prior_of(spec: &StreamSpec) -> Vec<f64> {
    let set = ModelSet { streams: vec![spec.clone()], ..ModelSet::default() };
    let fleet = Fleet::compile(&set).expect("compiled before");
    fleet.model(ModelId(0)).expect("one model").ln_prior().to_vec()
}

/// Correlation of two honest reports, averaged over the prior and the replicas.
fn correlation(spec: &StreamSpec, ln_prior: &[f64], windows: &[Window]) -> f64 {
    let (mut covariance, mut variance) = (0.0, 0.0);
    match spec.output.computation {
        Computation::Identity => return 0.0,
        Computation::Min | Computation::Max => return extremes(&in_time(&spec.output)),
        _ => {}
    }
    for (s, ln) in ln_prior.iter().enumerate() {
        let Some((_, window, shared)) = windows[s] else { continue };
        covariance += ln.exp() * shared;
        for replica in &spec.replicas {
            let own =
                replica.noise.as_ref().or(spec.output.noise.as_ref()).map_or(0.0, |d| inline(d).variance());
            variance += ln.exp() * (window + own) / spec.replicas.len() as f64;
        }
    }
    if variance > (1e-4 * spec.support.step()).powi(2) {
        (covariance / variance).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// The formula of `docs/NUMERICS.md` for `min` and `max`: expectations of products of spacings, term by term.
fn extremes(p: &[(f64, f64)]) -> f64 {
    let m = p.len();
    let q = p.iter().map(|p| p.1).sum::<f64>() / m as f64;
    let s = p.iter().map(|p| p.1 * p.1).sum::<f64>() / m as f64;
    let mean = |k: usize| 1.0 / (m - k) as f64;
    let product = |k: usize, l: usize| mean(k) * mean(l) * if k == l { 2.0 } else { 1.0 };
    let power = |base: f64, k: usize| (0..k).map(|_| base).product::<f64>();
    let (mut cross, mut square, mut first) = (0.0, 0.0, 0.0);
    for k in 1..m {
        first += power(q, k) * mean(k);
        for l in 1..m {
            cross += power(s, k.min(l)) * power(q, k.max(l) - k.min(l)) * product(k, l);
            square += power(q, k.max(l)) * product(k, l);
        }
    }
    let variance = square - first * first;
    if variance > 0.0 { ((cross - first * first) / variance).clamp(0.0, 1.0) } else { 0.0 }
}
