//! Influence curves: the decision against one liar's value.

use super::runner::OBJECTIVES;
use crate::estimator::Estimator;
use crate::estimator::objective::OfObjective;
use crate::fleet::model::Told;
use crate::fleet::noise::Noise;
use crate::fleet::{Drift, Prior, Scenario, Wrong};
use crate::result::Influence;
use centauri_engine::{Distribution, Report};
use std::sync::Arc;

/// The sizes of the replica sets whose curves are drawn.
const SIZES: [(usize, usize); 2] = [(4, 1), (7, 2)];
/// The liar goes so many sd to either side, in steps of [`STEP`].
const REACH: f64 = 12.0;
/// In sd.
const STEP: f64 = 0.1;

/// The curves of all estimators, without and with a strong prior, under Gaussian noise. The truth is 0; the n − 1 honest
/// replicas report the quantiles (i − ½)/(n − 1) of the noise.
///
/// # Errors
/// What the engine refuses.
pub fn curves() -> anyhow::Result<Vec<Influence>> {
    let mut curves = Vec::new();
    for (n, f) in SIZES {
        for prior in [Prior::None, Prior::Strong] {
            let scenario = Scenario {
                noise: Noise::Gaussian,
                n,
                f,
                prior,
                loss: 0.0,
                drift: Drift::None,
                wrong: Wrong::Right,
            };
            let told = Arc::new(Told::new(&scenario)?);
            for objective in OBJECTIVES {
                curves.push(curve(&mut OfObjective::new(objective, Arc::clone(&told)), &scenario)?);
            }
            for mut rival in told.rivals() {
                curves.push(curve(&mut rival, &scenario)?);
            }
        }
    }
    Ok(curves)
}

fn curve(estimator: &mut dyn Estimator, scenario: &Scenario) -> anyhow::Result<Influence> {
    let normal = Distribution::normal(0.0, 1.0)?;
    let honest = scenario.n - 1;
    let quantile = |i: usize| normal.quantile((i as f64 + 0.5) / honest as f64);
    let mut reports: Vec<Report> = (0..honest).map(|i| Report::Value(quantile(i))).collect();
    reports.push(Report::Missing);
    let steps = (REACH / STEP).round() as i32;
    let mut points = Vec::new();
    for k in -steps..=steps {
        let lie = f64::from(k) * STEP;
        reports[honest] = Report::Value(lie);
        estimator.restart();
        points.push((lie, estimator.estimate(&reports)?.value));
    }
    Ok(Influence {
        estimator: estimator.name().to_owned(),
        n: scenario.n,
        f: scenario.f,
        prior: scenario.prior.name().to_owned(),
        points,
    })
}
