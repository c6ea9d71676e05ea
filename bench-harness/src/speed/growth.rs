//! How time grows with streams, replicas, faults, points and quorums.

use super::measure::{Contender, Effort, in_turns};
use super::work::Work;
use crate::result::Growth;
use centauri_engine::Objective;

/// Works that differ in one size.
#[derive(Clone, Debug)]
pub struct Sweep {
    against: &'static str,
    fixed: String,
    /// Pairs of the size and the work of that size.
    works: Vec<(f64, Work)>,
}

impl Sweep {
    /// What grows, and what stays.
    #[must_use]
    pub fn name(&self) -> String {
        let objective = self.works.first().map_or("", |(_, work)| work.objective.name());
        format!("{objective}, {} ({})", self.against, self.fixed)
    }
}

/// Every sweep: streams, n and points for both objectives, f for `marginal`, and, as the time of a search goes with the
/// number of quorums and not with a power of f, the number of quorums for `evidence`.
#[must_use]
pub fn sweeps() -> Vec<Sweep> {
    let base = |objective: Objective| Work {
        objective,
        ..Work::named("A").unwrap_or_else(|| unreachable!("A is a work"))
    };
    let sweep = |against: &'static str, fixed: String, works: Vec<(usize, Work)>| Sweep {
        against,
        fixed,
        works: works.into_iter().map(|(size, work)| (size as f64, work.called("growth"))).collect(),
    };
    let mut all = Vec::new();
    for objective in [Objective::Evidence, Objective::Marginal] {
        let base = base(objective);
        let works =
            [512, 1_024, 2_048, 4_096, 8_192].map(|streams| (streams, Work { streams, ..base.clone() }));
        all.push(sweep("streams", "n = 7, f = 2, 64 points".to_owned(), works.into()));
        let works = [8, 16, 32, 64, 128].map(|n| (n, Work { n, ..base.clone() }));
        all.push(sweep("n", "f = 2, 64 points".to_owned(), works.into()));
        let works = [16, 32, 64, 128, 256].map(|points| (points, Work { points, ..base.clone() }));
        all.push(sweep("points", "n = 7, f = 2".to_owned(), works.into()));
        all.push(if objective == Objective::Marginal {
            let works = [1, 2, 4, 8, 16, 32].map(|f| (f, Work { n: 64, f, ..base.clone() }));
            sweep("f", "n = 64, 64 points".to_owned(), works.into())
        } else {
            let works = [(16, 1), (120, 2), (560, 3), (1_820, 4), (4_368, 5)];
            let works = works.map(|(quorums, f)| (quorums, Work { n: 16, f, ..base.clone() }));
            sweep("quorums", "n = 16, 64 points".to_owned(), works.into())
        });
    }
    all
}

/// Measures a sweep for each contender.
///
/// # Errors
/// As [`in_turns`].
pub fn measure(
    contenders: &mut [Contender],
    sweep: &Sweep,
    seed: u64,
    effort: &Effort,
) -> anyhow::Result<Vec<Growth>> {
    let whole_batches = sweep.against == "streams";
    let mut times: Vec<Vec<(f64, f64)>> = vec![Vec::new(); contenders.len()];
    for (size, work) in &sweep.works {
        let timed = in_turns(contenders, work, seed, effort, whole_batches)?;
        for (times, timed) in times.iter_mut().zip(&timed) {
            let batch_s = timed.median(|e| e.cpu_s);
            let us = if whole_batches { batch_s * 1e6 } else { batch_s * 1e6 / timed.rounds as f64 };
            times.push((*size, us));
        }
    }
    let objective =
        sweep.works.first().map_or_else(String::new, |(_, work)| work.objective.name().to_owned());
    let record = |(contender, times_us): (&Contender, Vec<(f64, f64)>)| {
        let (exponent, exponent_se) = power(&times_us);
        Growth {
            by: contender.by.clone(),
            objective: objective.clone(),
            against: sweep.against.to_owned(),
            fixed: sweep.fixed.clone(),
            times_us,
            exponent,
            exponent_se,
        }
    };
    Ok(contenders.iter().zip(times).map(record).collect())
}

/// The exponent p of y ∝ xᵖ and its standard error: least squares of ln y on ln x, the residuals' variance with two degrees
/// of freedom less. Three points at least.
#[must_use]
pub fn power(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean_x = logs.iter().map(|p| p.0).sum::<f64>() / count;
    let mean_y = logs.iter().map(|p| p.1).sum::<f64>() / count;
    let sxx: f64 = logs.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    let sxy: f64 = logs.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
    let slope = sxy / sxx;
    let residuals: f64 = logs.iter().map(|p| (p.1 - mean_y - slope * (p.0 - mean_x)).powi(2)).sum();
    (slope, (residuals / (count - 2.0) / sxx).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_is_found_with_its_error() {
        let exact: Vec<(f64, f64)> = [1.0, 2.0, 4.0, 8.0, 16.0].map(|x: f64| (x, 3.0 * x.powf(1.7))).to_vec();
        let (p, se) = power(&exact);
        assert!((p - 1.7).abs() < 1e-12 && se < 1e-12, "{p} {se}");
        // By hand: ln x = 0, 1, 2; ln y = 0, 1, 5. Means 1 and 2, sxx 2, sxy 5, slope 2.5; residuals ½, −1, ½: sum of
        // squares 1.5, over 1 degree of freedom and sxx: √0.75.
        let e = std::f64::consts::E;
        let (p, se) = power(&[(1.0, 1.0), (e, e), (e * e, e.powi(5))]);
        assert!((p - 2.5).abs() < 1e-12 && (se - 0.75f64.sqrt()).abs() < 1e-12, "{p} {se}");
    }

    #[test]
    fn every_sweep_spans_four_doublings_and_says_what_it_varies() {
        for sweep in sweeps() {
            let (low, high) = (sweep.works[0].0, sweep.works[sweep.works.len() - 1].0);
            assert!(high / low >= 16.0, "{} {}", sweep.against, sweep.fixed);
            for (size, work) in &sweep.works {
                let quorums = (0..work.f).fold(1.0, |c, i| c * (work.n - i) as f64 / (i + 1) as f64);
                let expected = match sweep.against {
                    "streams" => work.streams as f64,
                    "n" => work.n as f64,
                    "f" => work.f as f64,
                    "points" => work.points as f64,
                    _ => quorums,
                };
                assert!((size - expected).abs() < 1e-6, "{} {size} {expected}", sweep.against);
            }
        }
    }
}
