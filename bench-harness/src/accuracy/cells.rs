//! Which cells are measured.

use crate::attack::Attack;
use crate::fleet::noise::Noise;
use crate::fleet::{Drift, Prior, Scenario, Wrong};
use crate::result::Cell;

/// A scenario and what the liars do in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// The scenario.
    pub scenario: Scenario,
    /// What the liars do.
    pub attack: Attack,
}

/// Probability that an honest report is lost, where loss is not what is studied.
pub const LOSS: f64 = 0.05;
/// Where it is.
pub const HEAVY_LOSS: f64 = 0.2;

impl Plan {
    /// As results tell it.
    #[must_use]
    pub fn cell(&self) -> Cell {
        let s = &self.scenario;
        Cell {
            noise: s.noise.name(),
            attack: self.attack.name(),
            n: s.n,
            f: s.f,
            prior: s.prior.name().to_owned(),
            loss: s.loss,
            drift: s.drift.name().to_owned(),
            // What is learned from one half of readings is never quite right for the other.
            model: if s.noise.learned() && s.wrong == Wrong::Right { "fitted" } else { s.wrong.name() }
                .to_owned(),
        }
    }

    /// The cell in one line, for filters: `noise attack n7 f2 prior loss0.05 drift model`.
    #[must_use]
    pub fn label(&self) -> String {
        let c = self.cell();
        format!(
            "noise={} attack={} n={} f={} prior={} loss={} drift={} model={}",
            c.noise, c.attack, c.n, c.f, c.prior, c.loss, c.drift, c.model
        )
    }

    /// What the rounds are drawn from: cells that differ only in the attack or in what is wrong with the model have the same.
    #[must_use]
    pub fn rounds_name(&self) -> String {
        let c = self.cell();
        format!("{} {} {} {} {} {}", c.noise, c.n, c.f, c.prior, c.loss, c.drift)
    }
}

fn scenario(noise: Noise, (n, f): (usize, usize), prior: Prior) -> Scenario {
    Scenario { noise, n, f, prior, loss: LOSS, drift: Drift::None, wrong: Wrong::Right }
}

/// The cells of a short run.
#[must_use]
pub fn quick() -> Vec<Plan> {
    let noises =
        [Noise::Gaussian, Noise::Laplace, Noise::StudentT, Noise::Window(centauri_engine::Computation::Mean)];
    let attacks = [
        Attack::None,
        Attack::Far,
        Attack::Silent,
        Attack::Collude(3),
        Attack::JustBeyond,
        Attack::Liar5,
        Attack::Omniscient,
    ];
    let mut plans = Vec::new();
    for noise in noises {
        for size in [(4, 1), (7, 2)] {
            for prior in [Prior::None, Prior::Strong, Prior::Following] {
                let scenario = scenario(noise, size, prior);
                plans.extend(attacks.map(|attack| Plan { scenario, attack }));
            }
        }
    }
    let base = scenario(Noise::Gaussian, (7, 2), Prior::Strong);
    for wrong in [Wrong::ScaleX2, Wrong::ScaleHalf, Wrong::Family, Wrong::PriorShifted] {
        let scenario = Scenario { wrong, ..base };
        plans.extend([Attack::None, Attack::Collude(3)].map(|attack| Plan { scenario, attack }));
    }
    plans
}

/// The cells of a full run.
#[must_use]
pub fn full() -> Vec<Plan> {
    let sizes = [
        (3, 1),
        (4, 1),
        (5, 1),
        (5, 2),
        (7, 2),
        (7, 3),
        (10, 3),
        (10, 4),
        (15, 4),
        (15, 7),
        (31, 10),
        (31, 15),
    ];
    let mut plans = Vec::new();
    for noise in Noise::ALL {
        for size in sizes {
            // Windows cost more to draw, and large sets more to decide: some sizes are enough.
            if noise.window().is_some() && ![(4, 1), (7, 2), (10, 3), (31, 10)].contains(&size) {
                continue;
            }
            for prior in Prior::ALL {
                let scenario = scenario(noise, size, prior);
                plans.extend(Attack::ALL.map(|attack| Plan { scenario, attack }));
            }
        }
    }
    plans.extend(wrong_models());
    plans.extend(drifting_and_losing());
    plans
}

/// The cells of noises that are made from readings: a few sizes, under every prior and attack.
#[must_use]
pub fn real(noises: &[Noise], quick: bool) -> Vec<Plan> {
    let sizes: &[(usize, usize)] = if quick { &[(7, 2)] } else { &[(4, 1), (7, 2), (15, 4)] };
    let mut plans = Vec::new();
    for &noise in noises {
        for &size in sizes {
            for prior in Prior::ALL {
                let scenario = scenario(noise, size, prior);
                plans.extend(Attack::ALL.map(|attack| Plan { scenario, attack }));
            }
        }
    }
    plans
}

fn wrong_models() -> Vec<Plan> {
    let attacks = [Attack::None, Attack::Far, Attack::Collude(3), Attack::JustBeyond];
    let mut plans = Vec::new();
    for noise in [
        Noise::Gaussian,
        Noise::Laplace,
        Noise::StudentT,
        Noise::Gamma,
        Noise::Window(centauri_engine::Computation::Mean),
    ] {
        for size in [(4, 1), (7, 2), (15, 4)] {
            for prior in [Prior::None, Prior::Strong, Prior::Following] {
                for wrong in [Wrong::ScaleX2, Wrong::ScaleHalf, Wrong::Family, Wrong::PriorShifted] {
                    let no_such = (wrong == Wrong::PriorShifted && prior == Prior::None)
                        || (wrong == Wrong::Family && noise.window().is_some());
                    if !no_such {
                        let scenario = Scenario { wrong, ..scenario(noise, size, prior) };
                        plans.extend(attacks.map(|attack| Plan { scenario, attack }));
                    }
                }
            }
        }
    }
    plans
}

fn drifting_and_losing() -> Vec<Plan> {
    let attacks = [Attack::None, Attack::Far, Attack::Collude(3), Attack::Silent];
    let circumstances =
        [(Drift::Bias, LOSS), (Drift::Scale, LOSS), (Drift::None, 0.0), (Drift::None, HEAVY_LOSS)];
    let mut plans = Vec::new();
    for noise in [Noise::Gaussian, Noise::StudentT] {
        for size in [(4, 1), (7, 2), (15, 4)] {
            for prior in [Prior::None, Prior::Strong, Prior::Following] {
                for (drift, loss) in circumstances {
                    let scenario = Scenario { drift, loss, ..scenario(noise, size, prior) };
                    plans.extend(attacks.map(|attack| Plan { scenario, attack }));
                }
            }
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_cell_comes_twice_and_every_number_of_faults_is_a_minority() {
        for plans in [quick(), full()] {
            let labels: BTreeSet<String> = plans.iter().map(Plan::label).collect();
            assert_eq!(labels.len(), plans.len());
            assert!(plans.iter().all(|p| 1 <= p.scenario.f && p.scenario.f <= (p.scenario.n - 1) / 2));
        }
    }
}
