//! The spread of decisions that are reported, added to the noise by which they are judged.

use std::collections::BTreeMap;

use centauri_engine::{Distribution, DistributionError, Family};
use centauri_wire::NodeId;

use crate::{ConfigError, Effects};

/// A spread moves by this part of what a report differs from it.
const SHARE: f64 = 1.0 / 32.0;
/// It is told when it has changed by this factor either way since the last time: models are compiled anew then.
const FACTOR: f64 = 1.1;
/// No report counts for more than so many times the spread of its sender so far: one absurd report must not stand for hundreds.
const JUMP: f64 = 4.0;

/// One distribution of noise, and what is reported under it.
#[derive(Debug)]
struct Noise {
    base: Distribution,
    /// The mean square of each sender's reported sds, lately.
    squares: BTreeMap<NodeId, f64>,
    told: f64,
}

/// What is known of the spreads of decisions that are reported.
///
/// For each sender the mean square of its sds is followed; what is added to the noise is the median over senders, so that fewer than
/// half of them cannot move it beyond what the others say.
#[derive(Debug, Default)]
pub(super) struct Spreads {
    noises: BTreeMap<String, Noise>,
    /// Which noise the reports of a stream are judged by.
    of_stream: BTreeMap<u32, String>,
}

impl Spreads {
    /// Streams of the engine, and the distributions of their noise.
    pub(super) fn new(
        streams: impl IntoIterator<Item = (u32, String)>,
        known: &BTreeMap<String, Distribution>,
    ) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for (stream, name) in streams {
            let Some(base) = known.get(&name) else { return Err(ConfigError::UnknownDistribution { name }) };
            let new = || Noise { base: base.clone(), squares: BTreeMap::new(), told: 0.0 };
            all.noises.entry(name.clone()).or_insert_with(new);
            all.of_stream.insert(stream, name);
        }
        Ok(all)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.noises.is_empty()
    }

    /// Takes in the sd of a decision that a node reports on a stream of the engine.
    pub(super) fn take(&mut self, stream: u32, node: NodeId, sd: f64, effects: &mut Effects) {
        let Some(name) = self.of_stream.get(&stream) else { return };
        let Some(noise) = self.noises.get_mut(name) else { return };
        let square = sd * sd;
        if !square.is_finite() {
            return;
        }
        let known = noise.squares.entry(node).or_insert(square);
        let most = if *known > 0.0 { *known * JUMP * JUMP } else { square };
        *known += (square.min(most) - *known) * SHARE;
        let spread = noise.spread();
        let has_changed = if noise.told > 0.0 {
            !(noise.told / FACTOR..=noise.told * FACTOR).contains(&spread)
        } else {
            spread > 0.0
        };
        if has_changed {
            noise.told = spread;
            noise.tell(name, effects);
        }
    }

    /// Takes a published distribution as what the spread is added to, if it is one of these.
    pub(super) fn publish(&mut self, name: &str, distribution: &Distribution, effects: &mut Effects) -> bool {
        let Some(noise) = self.noises.get_mut(name) else { return false };
        noise.base = distribution.clone();
        noise.tell(name, effects);
        true
    }
}

impl Noise {
    /// The median sender's, the lower of two.
    fn spread(&self) -> f64 {
        let mut squares: Vec<f64> = self.squares.values().copied().collect();
        squares.sort_unstable_by(f64::total_cmp);
        squares.get((squares.len().max(1) - 1) / 2).copied().unwrap_or(0.0).sqrt()
    }

    fn tell(&self, name: &str, effects: &mut Effects) {
        if let Ok(distribution) = spread_by(&self.base, self.told) {
            effects.published(name, distribution);
        }
    }
}

/// The distribution of `X + Y` for `X` of `noise` and `Y` normal with mean 0 and the standard deviation `sd`, independent: exact for a
/// normal `noise`. Otherwise, as long as `Y` is not wider than `X`, by the three points of Gauss and Hermite for `Y`, which has the sum's
/// moments right up to the fifth; a wider `Y` makes a normal distribution with the sum's mean and variance.
///
/// ```
/// use centauri_engine::Distribution;
/// let sum = centauri_roles::spread_by(&Distribution::normal(1.0, 3.0)?, 4.0)?;
/// assert_eq!(sum, Distribution::normal(1.0, 5.0)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An `sd` that is negative or not finite.
pub fn spread_by(noise: &Distribution, sd: f64) -> Result<Distribution, DistributionError> {
    if sd == 0.0 {
        return Ok(noise.clone());
    }
    if let Family::Normal { mean, sd: own } = *noise.family() {
        return Distribution::new(Family::Normal { mean, sd: own.hypot(sd) }, noise.offset());
    }
    let variance = noise.variance();
    if variance.is_finite() && sd * sd > variance {
        return Distribution::normal(noise.mean(), (variance + sd * sd).sqrt());
    }
    let step = 3.0_f64.sqrt() * sd;
    let shifted = |by: f64| Distribution::new(noise.family().clone(), noise.offset() + by);
    Distribution::mixture(vec![1.0, 4.0, 1.0], vec![shifted(-step)?, shifted(0.0)?, shifted(step)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(effects: &mut Effects) -> Vec<(String, Distribution)> {
        let of = |effect: crate::Effect<'_>| match effect {
            crate::Effect::Published { name, distribution } => Some((name.to_owned(), distribution.clone())),
            _ => None,
        };
        let all = effects.iter().filter_map(of).collect();
        effects.clear();
        all
    }

    fn spreads() -> Spreads {
        let known = [("noise".to_owned(), Distribution::normal(0.0, 3.0).unwrap())].into();
        assert!(Spreads::new([(0, "other".to_owned())], &known).is_err());
        Spreads::new([(4, "noise".to_owned())], &known).unwrap()
    }

    #[test]
    fn the_median_senders_spread_is_added_and_told_when_it_changes() {
        let (mut spreads, mut effects) = (spreads(), Effects::new());
        for _ in 0..100 {
            for (node, sd) in [(1, 4.0), (2, 4.0), (3, 1e150)] {
                spreads.take(4, NodeId(node), sd, &mut effects);
            }
            spreads.take(5, NodeId(1), 77.0, &mut effects);
        }
        let told = published(&mut effects);
        assert_eq!(told, [("noise".to_owned(), Distribution::normal(0.0, 5.0).unwrap())]);
        // It follows what most say, in steps of a tenth, and not what one says.
        for _ in 0..400 {
            for (node, sd) in [(1, 8.0), (2, 8.0), (3, 0.0)] {
                spreads.take(4, NodeId(node), sd, &mut effects);
            }
        }
        let told = published(&mut effects);
        assert!((4..=8).contains(&told.len()), "{}", told.len());
        let last = told.last().unwrap().1.variance().sqrt();
        assert!((last - 73.0_f64.sqrt()).abs() < 0.8, "{last}");
        assert!(spreads.publish("noise", &Distribution::normal(0.0, 1.0).unwrap(), &mut effects));
        assert!(!spreads.publish("other", &Distribution::normal(0.0, 1.0).unwrap(), &mut effects));
        assert_eq!(published(&mut effects).len(), 1);
    }

    #[test]
    fn one_absurd_report_moves_its_sender_little() {
        let (mut spreads, mut effects) = (spreads(), Effects::new());
        for sd in [1.0, 1e200, 1e9, f64::MAX] {
            spreads.take(4, NodeId(1), sd, &mut effects);
        }
        let last = published(&mut effects).last().unwrap().1.variance();
        assert!(last < 9.0 + 4.0, "{last}");
    }

    #[test]
    fn sums_have_the_mean_and_the_variance_of_their_parts() {
        let laplace = Distribution::laplace(2.0, 1.5).unwrap();
        let gamma = Distribution::gamma(2.0, 1.0).unwrap();
        for noise in [laplace, gamma, Distribution::uniform(-1.0, 3.0).unwrap()] {
            for sd in [0.0, 0.3, 1.0, 30.0] {
                let sum = spread_by(&noise, sd).unwrap();
                assert!((sum.mean() - noise.mean()).abs() < 1e-12);
                let expected = noise.variance() + sd * sd;
                assert!((sum.variance() / expected - 1.0).abs() < 1e-12, "{noise:?} {sd}");
            }
        }
        assert!(spread_by(&Distribution::normal(0.0, 1.0).unwrap(), f64::NAN).is_err());
    }
}
