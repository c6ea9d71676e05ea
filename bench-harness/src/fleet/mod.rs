//! Fleets with known truth: what honest replicas would report, round by round.
//!
//! Rounds come in chains: within a chain the liars stay the same, and under a following prior the truth walks.

pub mod model;
pub mod noise;
pub mod real;
pub mod rivals;
pub mod seed;
pub mod truth;
pub mod window;

use noise::Noise;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;
use truth::Ground;
use window::Window;

/// What is known of the truth before anybody reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prior {
    /// Nothing: uniform on the support. The truth is uniform on its middle.
    None,
    /// Normal, 6 sd of noise wide.
    Weak,
    /// Normal, 1 sd of noise wide.
    Strong,
    /// A normal walk with moves of ½ sd of noise; the chain's first round has the strong prior.
    Following,
}

impl Prior {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Weak, Self::Strong, Self::Following];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Weak => "weak",
            Self::Strong => "strong",
            Self::Following => "following",
        }
    }

    /// Standard deviation of the (first) prior, in sd of noise; none where there is no prior.
    #[must_use]
    pub fn sd(self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Weak => Some(6.0),
            Self::Strong | Self::Following => Some(1.0),
        }
    }
}

/// Standard deviation of a following truth's move from round to round, in sd of noise.
pub const MOVE_SD: f64 = 0.5;
/// How far on either side of the support's middle the truth may lie without a prior, in sd of noise.
pub const FREE_REACH: f64 = 4.0;
/// How far from its mean a truth is drawn from its prior, in sd of the prior; farther ones are drawn again.
pub const PRIOR_REACH: f64 = 3.5;

/// How honest replicas change over the run, which no estimator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Not at all.
    None,
    /// Each replica's offset swings by ± ½ sd, once in the run, out of step with the others.
    Bias,
    /// Errors grow from 1 to 1.5 times their size.
    Scale,
}

impl Drift {
    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bias => "bias",
            Self::Scale => "scale",
        }
    }
}

/// What is wrong with the model that the estimators are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing.
    Right,
    /// The noise is said to be twice as wide as it is.
    ScaleX2,
    /// The noise is said to be half as wide as it is.
    ScaleHalf,
    /// Gaussian noise is said to be Laplace's, and all other noise Gaussian.
    Family,
    /// The prior is two of its standard deviations too high.
    PriorShifted,
}

impl Wrong {
    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::ScaleX2 => "scale_x2",
            Self::ScaleHalf => "scale_half",
            Self::Family => "wrong_family",
            Self::PriorShifted => "prior_shifted",
        }
    }
}

/// Everything about a cell but what the liars do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// Noise or partial window.
    pub noise: Noise,
    /// Replicas.
    pub n: usize,
    /// Faults.
    pub f: usize,
    /// What is known of the truth.
    pub prior: Prior,
    /// Probability that an honest report is lost on its way.
    pub loss: f64,
    /// Unmodelled change.
    pub drift: Drift,
    /// What is wrong with the model.
    pub wrong: Wrong,
}

/// One round: what each replica, liars included, would report if it were honest.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// The ideal output.
    pub truth: f64,
    /// What each replica measured; none where a partial window left it nothing.
    pub measured: Vec<Option<f64>>,
    /// Whose report is lost on its way, if honest.
    pub lost: Vec<bool>,
}

/// Rounds that come one after the other, with the same liars.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Which f replicas the adversary has.
    pub held: Vec<bool>,
    /// The side, +1 or −1, to which it pushes.
    pub side: f64,
    /// The rounds.
    pub rounds: Vec<Round>,
}

impl Scenario {
    /// `chains` chains of `length` rounds.
    #[must_use]
    pub fn generate(&self, rng: &mut ChaCha8Rng, chains: usize, length: usize) -> Vec<Chain> {
        let maker = Maker {
            scenario: *self,
            ground: Ground::new(self.noise, self.prior),
            window: self.noise.window().map(|window| Window::with(window, self.noise.delays())),
            phases: (0..self.n).map(|_| rng.random_range(0.0..TAU)).collect(),
            total: (chains * length).max(1),
        };
        (0..chains).map(|c| maker.chain(rng, c * length, length)).collect()
    }
}

/// Makes the chains of a scenario.
struct Maker {
    scenario: Scenario,
    ground: Ground,
    window: Option<Window>,
    phases: Vec<f64>,
    total: usize,
}

impl Maker {
    fn chain(&self, rng: &mut ChaCha8Rng, past: usize, length: usize) -> Chain {
        let held = held(rng, self.scenario.n, self.scenario.f);
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let mut truth = self.ground.first(rng, self.scenario.prior);
        let mut rounds = Vec::with_capacity(length);
        for t in 0..length {
            if t > 0 {
                truth = self.ground.next(rng, self.scenario.prior, truth);
            }
            rounds.push(self.round(rng, truth, (past + t) as f64 / self.total as f64));
        }
        Chain { held, side, rounds }
    }

    /// The round at which the share `progress` of the run is over.
    fn round(&self, rng: &mut ChaCha8Rng, truth: f64, progress: f64) -> Round {
        let readings = self.window.as_ref().map(|w| (w, w.readings(rng, truth)));
        let mut measured = Vec::with_capacity(self.scenario.n);
        for phase in &self.phases {
            let clean = match &readings {
                Some((window, readings)) => window.report(rng, readings),
                None => Some(truth + self.scenario.noise.sample(rng)),
            };
            measured.push(clean.map(|v| match self.scenario.drift {
                Drift::None => v,
                Drift::Bias => v + 0.5 * self.ground.unit * (TAU * progress + phase).sin(),
                Drift::Scale => truth + (1.0 + 0.5 * progress) * (v - truth),
            }));
        }
        let loss = self.scenario.loss;
        let lost = (0..self.scenario.n).map(|_| loss > 0.0 && rng.random_bool(loss)).collect();
        Round { truth, measured, lost }
    }
}

/// `f` of `n` replicas, any alike.
fn held(rng: &mut ChaCha8Rng, n: usize, f: usize) -> Vec<bool> {
    let mut held: Vec<bool> = (0..n).map(|i| i < f).collect();
    for i in (1..n).rev() {
        held.swap(i, rng.random_range(0..=i));
    }
    held
}

#[cfg(test)]
mod tests;
