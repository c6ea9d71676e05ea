//! Partial windows: messages of a round's window that reach a replica too late.

use super::real::Delays;
use super::seed;
use centauri_engine::{Computation, Distribution, DistributionError, OutputSpec};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp1, StandardNormal};

/// Messages of a window of readings.
pub const READINGS: usize = 8;
/// Messages of a window that is counted.
pub const COUNTED: usize = 40;
/// Emission offset of a window's last message, in seconds; the first is sent at 0.
pub const LAST_OFFSET: f64 = 0.7;
/// A replica's deadline, in seconds.
pub const DEADLINE: f64 = 0.8;
/// Mean latency from source to replica, in seconds; it is exponential where it is not real.
pub const LATENCY: f64 = 0.2;

/// One kind of partial window. Its readings are scaled such that an honest report's distance to the ideal output has
/// standard deviation 1 (`count`, which cannot be scaled, tells its own in `unit`).
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    computation: Computation,
    delays: Option<&'static Delays>,
    offsets: Vec<f64>,
    scale: f64,
    /// Standard deviation of report − truth.
    pub unit: f64,
}

impl Window {
    /// The window of `count`, `mean`, `last` or `min`, with exponential delays; every other computation is taken as `mean`.
    #[must_use]
    pub fn new(computation: Computation) -> Self {
        Self::with(computation, None)
    }

    /// The same with real delays, where there are any.
    #[must_use]
    pub fn with(computation: Computation, delays: Option<&'static Delays>) -> Self {
        let messages = if computation == Computation::Count { COUNTED } else { READINGS };
        let offset = |j: usize| LAST_OFFSET * j as f64 / (messages - 1) as f64;
        let mut window =
            Self { computation, delays, offsets: (0..messages).map(offset).collect(), scale: 1.0, unit: 1.0 };
        let sd = window.spread();
        if computation == Computation::Count {
            window.unit = sd;
        } else {
            window.scale = 1.0 / sd;
        }
        window
    }

    /// Standard deviation of report − truth, by simulation from a seed of its own.
    fn spread(&self) -> f64 {
        let mut rng = seed::generator(seed::of(0, "spread of partial windows"));
        let truth = if self.computation == Computation::Count { COUNTED as f64 / 2.0 } else { 0.0 };
        let mut errors = Vec::new();
        for _ in 0..20_000 {
            let readings = self.readings(&mut rng, truth);
            errors.extend(self.report(&mut rng, &readings).map(|v| v - truth));
        }
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        (errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / errors.len() as f64).sqrt()
    }

    /// The source's readings, oldest first, given that the computation on all of them gives `truth`.
    pub fn readings(&self, rng: &mut ChaCha8Rng, truth: f64) -> Vec<f64> {
        let m = self.offsets.len();
        let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
        let mut readings: Vec<f64> = match self.computation {
            Computation::Count => (0..m).map(|j| if (j as f64) < truth { 1.0 } else { 0.0 }).collect(),
            Computation::Min => {
                let beyond = |rng: &mut ChaCha8Rng| -> f64 { Exp1.sample(rng) };
                (0..m).map(|j| if j == 0 { truth } else { truth + self.scale * beyond(rng) }).collect()
            }
            _ => (0..m).map(|_| self.scale * normal(rng)).collect(),
        };
        match self.computation {
            Computation::Count | Computation::Min => {
                for i in (1..m).rev() {
                    readings.swap(i, rng.random_range(0..=i));
                }
            }
            Computation::Last => {
                // Backwards from the newest, which is the truth; a reading's own draw is the step after it.
                let mut newer = truth;
                for reading in readings.iter_mut().rev() {
                    let step = *reading;
                    *reading = newer;
                    newer -= step;
                }
            }
            _ => {
                let mean = readings.iter().sum::<f64>() / m as f64;
                readings.iter_mut().for_each(|r| *r += truth - mean);
            }
        }
        readings
    }

    /// What one replica makes of the readings that reach it; none where it has nothing to report.
    pub fn report(&self, rng: &mut ChaCha8Rng, readings: &[f64]) -> Option<f64> {
        let mut arrived = Vec::with_capacity(readings.len());
        for (reading, offset) in readings.iter().zip(&self.offsets) {
            let latency = match self.delays {
                Some(delays) => delays.sample(rng),
                None => {
                    let latency: f64 = Exp1.sample(rng);
                    LATENCY * latency
                }
            };
            if latency <= DEADLINE - offset {
                arrived.push(*reading);
            }
        }
        match self.computation {
            Computation::Count => Some(arrived.iter().sum()),
            Computation::Last => arrived.last().copied(),
            Computation::Min => arrived.iter().copied().min_by(f64::total_cmp),
            _ if arrived.is_empty() => None,
            // The mean of all is the truth itself, which another order of summation would miss by a rounding.
            _ => Some(arrived.iter().sum::<f64>() / arrived.len() as f64),
        }
    }

    /// The window as the engine's model has it, its source `scale` times as wide; `low` is the support's lower end, beyond
    /// which `min`'s readings do not go.
    ///
    /// # Errors
    /// A scale that is not positive.
    pub fn output(&self, scale: f64, low: f64) -> Result<OutputSpec, DistributionError> {
        let width = self.scale * scale;
        let source = match self.computation {
            Computation::Count => None,
            Computation::Min => {
                let family = centauri_engine::Family::Exponential { mean: width };
                Some(Distribution::new(family, low - 1.0)?)
            }
            _ => Some(Distribution::normal(0.0, width)?),
        };
        Ok(OutputSpec {
            messages: self.offsets.clone(),
            arrival: Some(match self.delays {
                Some(delays) => delays.told().clone().into(),
                None => Distribution::exponential(LATENCY)?.into(),
            }),
            deadline: Some(DEADLINE),
            source: source.map(Into::into),
            ..OutputSpec::new(self.computation)
        })
    }
}
