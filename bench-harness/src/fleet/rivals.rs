//! The rivals of a scenario, and what they are told of its prior.

use super::noise::Noise;
use super::truth::Ground;
use super::{Drift, MOVE_SD, Prior, Scenario, Wrong, seed};
use crate::estimator::shrunk::{Belief, Shrunk};
use crate::estimator::{Context, Rule, apply, rivals};

/// Rounds from which a rival's squared error without faults is found.
const CALIBRATION_ROUNDS: usize = 4_000;

/// The rivals of `scenario`, each told the prior with the weight that is best for it without faults under the believed noise.
#[must_use]
pub fn of(scenario: &Scenario) -> Vec<Shrunk> {
    let ground = Ground::new(scenario.noise, scenario.prior);
    let context = Context { f: scenario.f, noise_sd: believed_scale(scenario.wrong) * ground.unit };
    let belief = belief(scenario);
    let rules = rivals();
    let errors = squared_errors(scenario, &rules, belief, ground.unit);
    rules.into_iter().zip(errors).map(|(r, e)| Shrunk::new(r, context, belief, e)).collect()
}

/// What is believed of the truth before anybody reports.
#[must_use]
pub fn belief(scenario: &Scenario) -> Belief {
    let ground = Ground::new(scenario.noise, scenario.prior);
    let Some(sd) = scenario.prior.sd().map(|sd| sd * ground.unit) else {
        return Belief::Nothing { centre: ground.centre };
    };
    let shift = if scenario.wrong == Wrong::PriorShifted { 2.0 } else { 0.0 };
    let mean = ground.centre + shift * sd;
    if scenario.prior == Prior::Following {
        Belief::Following { mean, sd, step: MOVE_SD * ground.unit }
    } else {
        Belief::Fixed { mean, sd }
    }
}

fn squared_errors(scenario: &Scenario, rules: &[Box<dyn Rule>], belief: Belief, unit: f64) -> Vec<f64> {
    if matches!(belief, Belief::Nothing { .. }) {
        return vec![0.0; rules.len()];
    }
    let believed = Scenario {
        noise: believed_noise(scenario),
        prior: Prior::None,
        drift: Drift::None,
        wrong: Wrong::Right,
        ..*scenario
    };
    let name = format!("errors without faults {believed:?}");
    let mut rng = seed::generator(seed::of(0, &name));
    let chains = believed.generate(&mut rng, CALIBRATION_ROUNDS / 25, 25);
    let scale = believed_scale(scenario.wrong);
    let context = Context { f: scenario.f, noise_sd: unit };
    let mut sums = vec![(0.0, 0usize); rules.len()];
    for round in chains.iter().flat_map(|c| &c.rounds) {
        let reports = round.honest_reports();
        for (rule, (sum, count)) in rules.iter().zip(&mut sums) {
            if let Some(estimate) = apply(rule.as_ref(), &reports, &context) {
                *sum += (scale * (estimate.value - round.truth)).powi(2);
                *count += 1;
            }
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect()
}

/// How many times as wide as it is the noise is said to be.
pub(super) fn believed_scale(wrong: Wrong) -> f64 {
    match wrong {
        Wrong::ScaleX2 => 2.0,
        Wrong::ScaleHalf => 0.5,
        Wrong::Right | Wrong::Family | Wrong::PriorShifted => 1.0,
    }
}

/// The noise that the estimators are told.
pub(super) fn believed_noise(scenario: &Scenario) -> Noise {
    match (scenario.wrong, scenario.noise) {
        (Wrong::Family, Noise::Gaussian) => Noise::Laplace,
        (Wrong::Family, Noise::Window(_) | Noise::LateWindow(..)) => scenario.noise,
        (Wrong::Family, _) => Noise::Gaussian,
        _ => scenario.noise,
    }
}
