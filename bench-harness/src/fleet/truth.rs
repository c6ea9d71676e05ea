//! Where the truth lies, and on which grid the estimators look for it.

use super::noise::Noise;
use super::window::{self, Window};
use super::{FREE_REACH, MOVE_SD, PRIOR_REACH, Prior};
use centauri_engine::{Computation, ModelError, Support};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// The line on which a scenario's truth lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ground {
    /// Standard deviation of an honest replica's error: the unit of all lengths in results.
    pub unit: f64,
    /// The middle of the support, and the mean of priors.
    pub centre: f64,
    /// Ends of the support.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Distance of its points.
    pub step: f64,
    whole: bool,
}

impl Ground {
    /// Of a noise and a prior: the support reaches past every truth that is drawn by several sd of noise.
    #[must_use]
    pub fn new(noise: Noise, prior: Prior) -> Self {
        if let Some(Computation::Count) = noise.window() {
            let high = window::COUNTED as f64;
            let unit = Window::with(Computation::Count, noise.delays()).unit;
            return Self { unit, centre: high / 2.0, low: 0.0, high, step: 1.0, whole: true };
        }
        let (reach, step) = match prior {
            Prior::None => (10.0, 0.1),
            Prior::Weak => (22.2, 0.12),
            Prior::Strong => (8.0, 0.1),
            Prior::Following => (14.0, 0.1),
        };
        Self { unit: 1.0, centre: 0.0, low: -reach, high: reach, step, whole: false }
    }

    /// The grid.
    ///
    /// # Errors
    /// Never, for the grounds that [`Ground::new`] makes.
    pub fn support(&self) -> Result<Support, ModelError> {
        Support::new(self.low, self.step, ((self.high - self.low) / self.step).round() as usize + 1)
    }

    fn settle(&self, x: f64) -> f64 {
        if self.whole { x.round() } else { x }
    }

    fn holds(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }

    /// The truth of a chain's first round.
    pub(crate) fn first(&self, rng: &mut ChaCha8Rng, prior: Prior) -> f64 {
        let Some(sd) = prior.sd() else {
            let reach = FREE_REACH * self.unit;
            return self.settle(self.centre + rng.random_range(-reach..reach));
        };
        loop {
            let z: f64 = StandardNormal.sample(rng);
            let truth = self.settle(self.centre + z * sd * self.unit);
            if z.abs() <= PRIOR_REACH && self.holds(truth) {
                return truth;
            }
        }
    }

    /// The truth of the round after one whose truth was `truth`.
    pub(crate) fn next(&self, rng: &mut ChaCha8Rng, prior: Prior, truth: f64) -> f64 {
        if prior != Prior::Following {
            return self.first(rng, prior);
        }
        loop {
            let z: f64 = StandardNormal.sample(rng);
            let next = truth + self.settle(z * MOVE_SD * self.unit);
            if self.holds(next) {
                return next;
            }
        }
    }
}
