//! What liars do.

pub mod omniscient;

use crate::fleet::{Chain, Scenario, truth::Ground};
use centauri_engine::Report;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// What the replicas that an adversary holds report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// What they measured: nobody lies.
    None,
    /// 30 sd away, each on its own by what it measured.
    Far,
    /// Anything on the support.
    Random,
    /// What they measured in the chain's first round, all along.
    Stuck,
    /// What they measured the round before.
    Replay,
    /// Nothing.
    Silent,
    /// All the same value, 2, 3 or 4 sd from the truth on one side.
    Collude(u8),
    /// All the same value, just beyond the farthest honest report on one side.
    JustBeyond,
    /// One of them 5 sd away; the others are honest.
    Liar5,
    /// Two different values.
    Equivocate,
    /// Whatever makes the error of the estimator under attack largest.
    Omniscient,
}

/// How far beyond the farthest honest report [`Attack::JustBeyond`] goes, in sd of noise.
pub const JUST_BEYOND: f64 = 0.05;

impl Attack {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::Far,
        Self::Random,
        Self::Stuck,
        Self::Replay,
        Self::Silent,
        Self::Collude(2),
        Self::Collude(3),
        Self::Collude(4),
        Self::JustBeyond,
        Self::Liar5,
        Self::Equivocate,
        Self::Omniscient,
    ];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self {
            Self::None => "none",
            Self::Far => "far",
            Self::Random => "random",
            Self::Stuck => "stuck",
            Self::Replay => "replay",
            Self::Silent => "silent",
            Self::Collude(sd) => return format!("collude_{sd}sd"),
            Self::JustBeyond => "just_beyond",
            Self::Liar5 => "liar_5sd",
            Self::Equivocate => "equivocate",
            Self::Omniscient => "omniscient",
        };
        name.to_owned()
    }

    /// Whether it pushes to the chain's side.
    #[must_use]
    pub fn pushes(self) -> bool {
        matches!(self, Self::Far | Self::Collude(_) | Self::JustBeyond | Self::Liar5)
    }

    /// Which of the replicas that the adversary holds lie.
    #[must_use]
    pub fn liars(self, held: &[bool]) -> Vec<bool> {
        match self {
            Self::None => vec![false; held.len()],
            Self::Liar5 => {
                let first = held.iter().position(|h| *h);
                (0..held.len()).map(|i| Some(i) == first).collect()
            }
            _ => held.to_vec(),
        }
    }

    /// The reports of round `t` of `chain`. For [`Attack::Omniscient`], which depends on the estimator, the liars are silent
    /// here; see [`omniscient::search`].
    #[must_use]
    pub fn reports(self, scenario: &Scenario, chain: &Chain, t: usize, rng: &mut ChaCha8Rng) -> Vec<Report> {
        let ground = Ground::new(scenario.noise, scenario.prior);
        let round = &chain.rounds[t];
        let liars = self.liars(&chain.held);
        let mut reports = round.honest_reports();
        let honest = reports.iter().zip(&liars).filter(|(_, liar)| !**liar);
        let extreme = honest
            .filter_map(|(r, _)| if let Report::Value(v) = r { Some(chain.side * v) } else { None })
            .fold(f64::NEG_INFINITY, f64::max);
        let away = |sds: f64| round.truth + chain.side * sds * ground.unit;
        for (i, report) in reports.iter_mut().enumerate().filter(|(i, _)| liars[*i]) {
            let measured = |t: usize| {
                let earlier = chain.rounds.get(t).and_then(|r| r.measured[i]);
                Report::Value(earlier.or(round.measured[i]).unwrap_or(round.truth))
            };
            *report = match self {
                Self::None => *report,
                Self::Far => {
                    let own = round.measured[i].unwrap_or(round.truth) - round.truth;
                    Report::Value(away(30.0) + own)
                }
                Self::Random => Report::Value(rng.random_range(ground.low..ground.high)),
                Self::Stuck => measured(0),
                // In a chain's first round there is none before: the one measured now.
                Self::Replay => measured(t.saturating_sub(1)),
                Self::Silent | Self::Omniscient => Report::Missing,
                Self::Collude(sds) => Report::Value(away(f64::from(sds))),
                Self::JustBeyond if extreme.is_finite() => {
                    Report::Value(chain.side * (extreme + JUST_BEYOND * ground.unit))
                }
                Self::JustBeyond => Report::Value(round.truth),
                Self::Liar5 => Report::Value(away(5.0)),
                Self::Equivocate => Report::Equivocated,
            };
        }
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Drift, Prior, Wrong, noise::Noise, seed};

    fn scenario() -> Scenario {
        Scenario {
            noise: Noise::Gaussian,
            n: 7,
            f: 2,
            prior: Prior::None,
            loss: 0.3,
            drift: Drift::None,
            wrong: Wrong::Right,
        }
    }

    /// The liars' reports in each round of a chain, and the chain.
    fn lies(attack: Attack) -> (Vec<Vec<Report>>, Chain) {
        let chain = scenario().generate(&mut seed::generator(9), 1, 8).remove(0);
        let mut rng = seed::generator(10);
        let mut lies = Vec::new();
        for t in 0..8 {
            let reports = attack.reports(&scenario(), &chain, t, &mut rng);
            let honest = chain.rounds[t].honest_reports();
            let liars = attack.liars(&chain.held);
            assert!(
                (0..7).all(|i| liars[i] || reports[i] == honest[i]),
                "{attack:?} changed an honest report"
            );
            lies.push((0..7).filter(|&i| liars[i]).map(|i| reports[i]).collect());
        }
        (lies, chain)
    }

    #[test]
    fn attacks_do_what_they_say() {
        let held = |chain: &Chain| chain.held.iter().position(|h| *h).unwrap();
        assert!(lies(Attack::None).0.iter().all(Vec::is_empty));
        assert!(lies(Attack::Silent).0.iter().flatten().all(|r| *r == Report::Missing));
        assert!(lies(Attack::Equivocate).0.iter().flatten().all(|r| *r == Report::Equivocated));
        let (lies_5, chain) = lies(Attack::Liar5);
        for (t, told) in lies_5.iter().enumerate() {
            assert_eq!(told, &[Report::Value(chain.rounds[t].truth + 5.0 * chain.side)]);
        }
        let (colluding, chain) = lies(Attack::Collude(3));
        for (t, told) in colluding.iter().enumerate() {
            assert_eq!(told, &[Report::Value(chain.rounds[t].truth + 3.0 * chain.side); 2]);
        }
        let (stuck, chain) = lies(Attack::Stuck);
        let first = Report::Value(chain.rounds[0].measured[held(&chain)].unwrap());
        assert!(stuck.iter().all(|told| told[0] == first));
        let (replayed, chain) = lies(Attack::Replay);
        for (told, before) in replayed[1..].iter().zip(&chain.rounds) {
            assert_eq!(told[0], Report::Value(before.measured[held(&chain)].unwrap()));
        }
    }

    #[test]
    fn distances_of_attacks() {
        let value = |r: &Report| if let Report::Value(v) = r { *v } else { f64::NAN };
        let (far, chain) = lies(Attack::Far);
        for (t, told) in far.iter().enumerate() {
            for lie in told {
                assert!((chain.side * (value(lie) - chain.rounds[t].truth) - 30.0).abs() < 6.0);
            }
        }
        let (beyond, chain) = lies(Attack::JustBeyond);
        for (t, told) in beyond.iter().enumerate() {
            let round = chain.rounds[t].honest_reports();
            let honest = (0..7).filter(|&i| !chain.held[i]).map(|i| chain.side * value(&round[i]));
            let extreme = honest.filter(|v| !v.is_nan()).fold(f64::NEG_INFINITY, f64::max);
            assert!((chain.side * value(&told[0]) - extreme - JUST_BEYOND).abs() < 1e-9);
            assert_eq!(told[0], told[1]);
        }
        let (random, _) = lies(Attack::Random);
        assert!(random.iter().flatten().all(|r| value(r).abs() <= 10.0));
        assert_ne!(random[0], random[1]);
    }
}
