//! How a replica misbehaves, for demonstrations and tests.

use std::collections::BTreeMap;

use centauri_wire::StreamId;

use crate::SplitMix64;

/// What a replica tells its clients in place of what it computed.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Behaviour {
    /// The truth.
    #[default]
    Honest,
    /// The truth and a constant.
    Offset {
        /// The constant.
        by: f64,
    },
    /// The same value in each round in which it would have a result.
    Stuck {
        /// The value.
        value: f64,
    },
    /// A value drawn evenly between two bounds.
    Random {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
        /// The generator.
        rng: SplitMix64,
    },
    /// Nothing.
    Silent,
    /// Two values for one round, each under a valid signature and a nonce of its own: the truth, and the
    /// truth and a constant.
    Equivocate {
        /// The constant.
        by: f64,
    },
    /// A value agreed on with others, in each round, whatever came of the sources.
    Collude {
        /// The value.
        target: f64,
    },
    /// Where it has a result, what was thought out beforehand for the stream and round; nothing where nothing was.
    Scripted {
        /// The values.
        values: BTreeMap<(StreamId, i64), f64>,
    },
}

impl Behaviour {
    /// What is told of a round of a stream where the computation gave `truth`: no value, one, or two.
    pub(crate) fn tell(&mut self, of: (StreamId, i64), truth: Option<f64>) -> [Option<f64>; 2] {
        let one = |value| [Some(value), None];
        let Some(truth) = truth else {
            return match self {
                Self::Collude { target } => one(*target),
                _ => [None; 2],
            };
        };
        match self {
            Self::Honest => one(truth),
            Self::Offset { by } => one(truth + *by),
            Self::Stuck { value } => one(*value),
            Self::Random { low, high, rng } => one(*low + (*high - *low) * rng.unit()),
            Self::Silent => [None; 2],
            Self::Equivocate { by } => [Some(truth), Some(truth + *by)],
            Self::Collude { target } => one(*target),
            Self::Scripted { values } => [values.get(&of).copied(), None],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_behaviour_with_and_without_a_result() {
        let random = || Behaviour::Random { low: 5.0, high: 6.0, rng: SplitMix64::new(1) };
        let (of, other) = ((StreamId(1), 5), (StreamId(1), 6));
        let scripted = || Behaviour::Scripted { values: [(of, 3.0)].into() };
        assert_eq!(scripted().tell(other, Some(2.0)), [None; 2]);
        let cases = [
            (scripted(), [Some(3.0), None], [None; 2]),
            (Behaviour::Honest, [Some(2.0), None], [None; 2]),
            (Behaviour::Offset { by: -1.0 }, [Some(1.0), None], [None; 2]),
            (Behaviour::Stuck { value: 9.0 }, [Some(9.0), None], [None; 2]),
            (Behaviour::Silent, [None; 2], [None; 2]),
            (Behaviour::Equivocate { by: 4.0 }, [Some(2.0), Some(6.0)], [None; 2]),
            (Behaviour::Collude { target: 7.0 }, [Some(7.0), None], [Some(7.0), None]),
        ];
        for (mut behaviour, with, without) in cases {
            assert_eq!(behaviour.tell(of, Some(2.0)), with);
            assert_eq!(behaviour.tell(of, None), without);
        }
        let told: Vec<_> = (0..9).map(|_| random().tell(of, Some(0.0))).collect();
        assert!(told.iter().all(|&[value, second]| {
            second.is_none() && value.is_some_and(|value| (5.0..6.0).contains(&value))
        }));
        assert_eq!(random().tell(of, Some(0.0)), random().tell(of, Some(3.0)));
    }
}
