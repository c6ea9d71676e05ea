//! Where the search for parameters starts: simple estimates from the parts of the sample that may be honest.

use crate::bins::quantile;
use crate::family::{FamilyName, Frame};
use std::f64::consts::LN_2;

/// Free numbers to start from, one for each place where an adversary's share may lie: nowhere, above, below, or on
/// both sides.
pub(crate) fn starts(family: FamilyName, sorted: &[f64], contamination: f64, frame: &Frame) -> Vec<Vec<f64>> {
    let cut = (sorted.len() as f64 * contamination) as usize;
    let kept = sorted.len() - cut;
    let parts = [sorted.get(..), sorted.get(..kept), sorted.get(cut..), sorted.get(cut / 2..cut / 2 + kept)];
    parts.into_iter().flatten().filter_map(|part| start(family, part, frame)).collect()
}

/// Quartiles, and a mean and a variance that a few wild samples cannot move.
struct Summary {
    median: f64,
    quarters: (f64, f64),
    range: (f64, f64),
    mean: f64,
    variance: f64,
}

impl Summary {
    fn of(sorted: &[f64]) -> Option<Self> {
        let n = sorted.len();
        let core = sorted.get(n / 50..n - n / 50).filter(|core| !core.is_empty())?;
        let mean = core.iter().sum::<f64>() / core.len() as f64;
        let variance = core.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / core.len() as f64;
        Some(Self {
            median: quantile(sorted, 0.5),
            quarters: (quantile(sorted, 0.25), quantile(sorted, 0.75)),
            range: (quantile(sorted, 0.05), quantile(sorted, 0.95)),
            mean,
            variance,
        })
    }

    /// Distance of the quartiles; where they coincide, a part of the distance between more extreme quantiles.
    fn spread(&self) -> f64 {
        let quarters = self.quarters.1 - self.quarters.0;
        if quarters > 0.0 { quarters } else { (self.range.1 - self.range.0) / 2.4 }
    }
}

fn start(family: FamilyName, sorted: &[f64], frame: &Frame) -> Option<Vec<f64>> {
    let own = Summary::of(sorted)?;
    let place =
        |location: f64, scale: f64| vec![(location - frame.centre) / frame.scale, (scale / frame.scale).ln()];
    let mean = own.mean.max(1e-3);
    let free = match family {
        FamilyName::Normal => place(own.median, own.spread() / 1.349),
        FamilyName::Laplace => place(own.median, own.spread() / (2.0 * LN_2)),
        FamilyName::Logistic => place(own.median, own.spread() / (2.0 * 3.0_f64.ln())),
        FamilyName::StudentT => {
            let mut free = place(own.median, own.spread() / 1.45);
            free.push(5.0_f64.ln());
            free
        }
        FamilyName::Uniform => {
            let width = (own.range.1 - own.range.0) / 0.9;
            place(0.5 * (own.range.0 + own.range.1), width)
        }
        FamilyName::Lognormal => {
            let logs: Vec<f64> = sorted.iter().filter(|x| **x > 0.0).map(|x| x.ln()).collect();
            let logs = Summary::of(&logs)?;
            vec![logs.median, (logs.spread() / 1.349).ln()]
        }
        FamilyName::Exponential => vec![(own.median / LN_2).ln()],
        FamilyName::Gamma => vec![own.mean.ln(), (own.mean * own.mean / own.variance).ln()],
        FamilyName::Weibull => {
            let shape = 1.572_534 / (own.quarters.1 / own.quarters.0).ln();
            vec![own.quarters.1.ln() - 0.326_634 / shape, shape.ln()]
        }
        FamilyName::Poisson | FamilyName::Geometric => vec![mean.ln()],
        FamilyName::NegativeBinomial => {
            let beyond = own.variance - mean;
            let shape = if beyond > mean * 1e-3 { mean * mean / beyond } else { 1e3 };
            vec![mean.ln(), shape.ln()]
        }
        FamilyName::Binomial => {
            let p = (mean / frame.trials.max(1) as f64).clamp(1e-6, 1.0 - 1e-6);
            vec![(p / (1.0 - p)).ln()]
        }
        FamilyName::Empirical => return None,
    };
    free.iter().all(|x| x.is_finite()).then_some(free)
}
