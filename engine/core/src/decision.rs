//! What a round's decision holds.

use crate::support::Support;

/// Whether a round could be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// At least one quorum is possible under the model.
    Decided,
    /// Every quorum is impossible, or none is left after equivocation: the decision is the prior's.
    NoQuorum,
}

impl Status {
    /// The name in decision files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::NoQuorum => "no_quorum",
        }
    }
}

/// A subset of the replica set, by position in the model (at most 128 replicas).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quorum(u128);

impl Quorum {
    /// The empty quorum.
    pub const EMPTY: Self = Self(0);

    /// The quorum with the replica at `position` (below 128) added.
    #[must_use]
    pub fn with(self, position: usize) -> Self {
        Self(self.0 | 1u128 << position)
    }

    /// Positions that a quorum can hold.
    pub(crate) const POSITIONS_MAX: usize = 128;

    /// The quorum with the replicas of `other` added.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The quorum without the replica at `position`.
    pub(crate) fn without(self, position: usize) -> Self {
        if position < Self::POSITIONS_MAX { Self(self.0 & !(1u128 << position)) } else { self }
    }

    /// The same where `is_in`.
    pub(crate) fn with_if(self, position: usize, is_in: bool) -> Self {
        Self(self.0 | u128::from(is_in) << position)
    }

    /// Whether the replica at `position` is in the quorum; `false` from 128 on.
    #[must_use]
    pub fn contains(self, position: usize) -> bool {
        position < 128 && self.0 >> position & 1 == 1
    }

    /// The number of replicas in the quorum.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether the quorum has no replica.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The positions in ascending order.
    pub fn positions(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| left.trailing_zeros() as usize);
            left &= left.wrapping_sub(1);
            next
        })
    }

    /// The set as bits, bit `i` for the replica at position `i`.
    #[must_use]
    pub fn bits(self) -> u128 {
        self.0
    }
}

impl FromIterator<usize> for Quorum {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        positions.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// Hull of the most probable values over all possible quorums.
///
/// With at most f faults one of those quorums is all honest, so the region holds what the honest replicas alone
/// would have said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// The smallest of the most probable values.
    pub low: f64,
    /// The largest of the most probable values.
    pub high: f64,
}

/// The decision on one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Whether a quorum was possible. Where not, value, confidence, mean, sd, low and high are the prior's.
    pub status: Status,
    /// The most probable grid point of the reported distribution.
    pub value: f64,
    /// The index of `value` on the support.
    pub point: usize,
    /// The probability of `value`.
    pub confidence: f64,
    /// Mean of the reported distribution.
    pub mean: f64,
    /// Standard deviation of the reported distribution.
    pub sd: f64,
    /// Lower end of the equal-tailed credible interval.
    pub low: f64,
    /// Upper end of the equal-tailed credible interval.
    pub high: f64,
    /// The chosen replicas, by position; empty without a quorum.
    pub quorum: Quorum,
    /// Natural logarithm of the chosen quorum's evidence; `None` where that is −∞ or there is no quorum.
    pub log_evidence: Option<f64>,
    /// `None` without a quorum, or where there are more than [`crate::limits::QUORUMS_MAX`] quorums.
    pub region: Option<Region>,
    /// Whether the choice of the quorum is proven best. `false` only where a search over more than
    /// [`crate::limits::QUORUMS_MAX`] quorums could not prove its result.
    pub exhaustive: bool,
}

impl Decision {
    /// Whether `x` lies in the credible interval.
    #[must_use]
    pub fn covers(&self, x: f64) -> bool {
        self.low <= x && x <= self.high
    }
}

/// The decisions of a batch, in the order of its rounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    items: Vec<Decision>,
    honest: Vec<f64>,
    honest_from: Vec<usize>,
    marginal: Vec<f64>,
    marginal_from: Vec<usize>,
}

impl Decisions {
    /// No decisions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the decisions and keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.honest.clear();
        self.honest_from.clear();
        self.marginal.clear();
        self.marginal_from.clear();
    }

    /// The number of decisions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The decision on round `i` of the batch.
    ///
    /// # Panics
    /// Where the batch had no round `i`.
    #[must_use]
    pub fn decision(&self, i: usize) -> &Decision {
        &self.items[i]
    }

    /// P(honest given everything observed) of each replica of round `i` under the `marginal` model (`coalition`'s where that
    /// decides), in the order of the model's replicas; 0 for one that equivocated, or whose fault group did. `None` for a round without a quorum.
    #[must_use]
    pub fn honest(&self, i: usize) -> Option<&[f64]> {
        let probabilities = span(&self.honest, &self.honest_from, i);
        (self.items[i].status == Status::Decided).then_some(probabilities)
    }

    /// Natural log-probabilities over the support of round `i` under the `marginal` model (`coalition`'s where that decides;
    /// the prior's without a quorum). Empty unless the batch asked for it.
    #[must_use]
    pub fn ln_marginal(&self, i: usize) -> &[f64] {
        span(&self.marginal, &self.marginal_from, i)
    }

    /// Adds the decision on the next round. A backend calls it once for each round, in order.
    pub fn push(&mut self, decision: Decision, honest: &[f64], ln_marginal: &[f64]) {
        self.items.push(decision);
        self.honest_from.push(self.honest.len());
        self.honest.extend_from_slice(honest);
        self.marginal_from.push(self.marginal.len());
        self.marginal.extend_from_slice(ln_marginal);
    }

    /// Adds the decisions of `later` behind these.
    pub(crate) fn append(&mut self, later: &Self) {
        self.items.extend_from_slice(&later.items);
        let (honest, marginal) = (self.honest.len(), self.marginal.len());
        self.honest_from.extend(later.honest_from.iter().map(|from| from + honest));
        self.honest.extend_from_slice(&later.honest);
        self.marginal_from.extend(later.marginal_from.iter().map(|from| from + marginal));
        self.marginal.extend_from_slice(&later.marginal);
    }
}

fn span<'a>(values: &'a [f64], from: &[usize], i: usize) -> &'a [f64] {
    let end = from.get(i + 1).copied().unwrap_or(values.len());
    &values[from[i]..end]
}

/// What is told of a distribution over the support: its peak, moments and credible interval.
pub(crate) struct Summary {
    pub(crate) point: usize,
    pub(crate) confidence: f64,
    pub(crate) mean: f64,
    pub(crate) sd: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Summary {
    /// Of `ln_probability`, normalised over the support, at the level `credible`.
    pub(crate) fn of(ln_probability: &[f64], support: &Support, credible: f64) -> Self {
        let point = first_within_tie(ln_probability);
        let mass = |s: usize| ln_probability[s].exp();
        let mean = (0..ln_probability.len()).map(|s| mass(s) * support.point(s)).sum::<f64>();
        let variance =
            (0..ln_probability.len()).map(|s| mass(s) * (support.point(s) - mean).powi(2)).sum::<f64>();
        let tail = (1.0 - credible) / 2.0;
        let (low, high) = interval(ln_probability, tail);
        Self {
            point,
            confidence: mass(point),
            mean,
            sd: variance.max(0.0).sqrt(),
            low: support.point(low),
            high: support.point(high),
        }
    }
}

/// The least points whose CDF reaches `tail` and `1 − tail`; the last one where rounding leaves it short.
fn interval(ln_probability: &[f64], tail: f64) -> (usize, usize) {
    /// The CDF is a rounded sum: a threshold that it misses by less than this it has reached.
    const ROUNDING: f64 = 1e-12;
    let last = ln_probability.len() - 1;
    let (mut low, mut high) = (None, None);
    let mut cdf = 0.0;
    for (s, ln) in ln_probability.iter().enumerate() {
        cdf += ln.exp();
        if low.is_none() && cdf >= tail - ROUNDING {
            low = Some(s);
        }
        if cdf >= 1.0 - tail - ROUNDING {
            high = Some(s);
            break;
        }
    }
    (low.unwrap_or(last), high.unwrap_or(last))
}

/// The smallest index whose value is within a tie of the largest.
pub(crate) fn first_within_tie(values: &[f64]) -> usize {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter().position(|&v| v >= top - crate::limits::TIE).unwrap_or(0)
}
