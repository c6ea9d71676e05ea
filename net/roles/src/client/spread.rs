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
    /// The mean square of each sender's reported sds, lately. All who can report are here, `None` as long as they have not.
    squares: BTreeMap<NodeId, Option<f64>>,
    told: f64,
}

/// What is known of the spreads of decisions that are reported.
///
/// For each sender the mean square of its sds is followed. What is added to the noise is the median over all senders that the streams
/// of the noise have, the lower of two; one that has never reported stands there with 0. So nothing is added until more than half of
/// them have reported, and fewer than half of them, whichever report first, never move it beyond the largest of the others'. Once all
/// of those have reported, they do not move it below the least of the others' either.
#[derive(Debug, Default)]
pub(super) struct Spreads {
    noises: BTreeMap<String, Noise>,
    /// Which noise the reports of a stream are judged by.
    of_stream: BTreeMap<u32, String>,
}

impl Spreads {
    /// Streams of the engine, the distributions of their noise, and who reports on them.
    pub(super) fn new<'a>(
        streams: impl IntoIterator<Item = (u32, String, &'a [NodeId])>,
        known: &BTreeMap<String, Distribution>,
    ) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for (stream, name, senders) in streams {
            let Some(base) = known.get(&name) else { return Err(ConfigError::UnknownDistribution { name }) };
            let new = || Noise { base: base.clone(), squares: BTreeMap::new(), told: 0.0 };
            let noise = all.noises.entry(name.clone()).or_insert_with(new);
            noise.squares.extend(senders.iter().map(|sender| (*sender, None)));
            all.of_stream.insert(stream, name);
        }
        Ok(all)
    }

    /// Takes in the sd of a decision that a node reports on a stream of the engine.
    pub(super) fn take(&mut self, stream: u32, node: NodeId, sd: f64, effects: &mut Effects) {
        let Some(name) = self.of_stream.get(&stream) else { return };
        let Some(noise) = self.noises.get_mut(name) else { return };
        let square = sd * sd;
        if !square.is_finite() {
            return;
        }
        let Some(known) = noise.squares.get_mut(&node) else { return };
        let known = known.get_or_insert(square);
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

    /// Tells a distribution that comes into force: with the spread added if it is the noise of such streams, else as it is.
    pub(super) fn publish(&mut self, name: &str, distribution: Distribution, effects: &mut Effects) {
        match self.noises.get_mut(name) {
            Some(noise) => {
                noise.base = distribution;
                noise.tell(name, effects);
            }
            None => effects.published(name, distribution),
        }
    }
}

impl Noise {
    /// The median sender's, the lower of two; who has not reported counts as one who is sure.
    fn spread(&self) -> f64 {
        let mut squares: Vec<f64> = self.squares.values().map(|square| square.unwrap_or(0.0)).collect();
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

    fn spreads(senders: u32) -> Spreads {
        let known = [("noise".to_owned(), Distribution::normal(0.0, 3.0).unwrap())].into();
        assert!(Spreads::new([(0, "other".to_owned(), &[][..])], &known).is_err());
        let senders: Vec<NodeId> = (1..=senders).map(NodeId).collect();
        Spreads::new([(4, "noise".to_owned(), &senders[..])], &known).unwrap()
    }

    #[test]
    fn the_median_senders_spread_is_added_and_told_when_it_changes() {
        let (mut spreads, mut effects) = (spreads(3), Effects::new());
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
        let narrow = Distribution::normal(0.0, 1.0).unwrap();
        spreads.publish("noise", narrow.clone(), &mut effects);
        spreads.publish("other", narrow.clone(), &mut effects);
        let told = published(&mut effects);
        assert_eq!(told[1], ("other".to_owned(), narrow), "no noise of these streams");
        let added = told[0].1.variance() - 1.0;
        assert!((added / (last * last - 9.0) - 1.0).abs() < 1e-9, "{added}");
    }

    /// Senders of 1 to 7 of whom fewer than half lie, or never report; who lies, what they say and who reports when is drawn.
    #[test]
    fn fewer_than_half_do_not_move_it_beyond_the_others_whoever_reports_first() {
        let mut rng = crate::SplitMix64::new(7);
        let mut below = |count: usize| (rng.unit() * count as f64) as usize;
        for draw in 0..3_000_u32 {
            let senders = 1 + draw % 7;
            let liars = below(senders.div_ceil(2) as usize) as u32;
            let (mut spreads, mut effects) = (spreads(senders), Effects::new());
            let sd = |node: u32| f64::from(4 + node);
            let (least, most) = (sd(liars + 1), sd(senders));
            let mut order: Vec<u32> = (1..=senders).collect();
            for at in (1..order.len()).rev() {
                order.swap(at, below(at + 1));
            }
            let (silent, lie) = (below(3) == 0, [0.0, 1e6][below(2)]);
            let mut last = None;
            for (heard, node) in (1..).zip(order) {
                let says = if node <= liars { lie } else { sd(node) };
                if node > liars || !silent {
                    spreads.take(4, NodeId(node), says, &mut effects);
                }
                for (_, told) in published(&mut effects) {
                    let added = (told.variance() - 9.0).sqrt();
                    assert!(2 * heard > senders, "told after {heard} of {senders}");
                    assert!(added < most * (1.0 + 1e-9), "{added}, {liars} liars of {senders}");
                    last = Some(added);
                }
            }
            // What was told last may be a tenth off.
            let last = last.expect("more than half have reported");
            assert!(last * FACTOR > least * (1.0 - 1e-9), "{last}, {liars} liars of {senders}");
        }
    }

    #[test]
    fn one_absurd_report_moves_its_sender_little() {
        let (mut spreads, mut effects) = (spreads(1), Effects::new());
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
