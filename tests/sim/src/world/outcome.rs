//! What came of a run.

use std::collections::BTreeMap;

use centauri_engine::{Report, Status};

use crate::Trace;

/// A round that the client decided.
#[derive(Debug, Clone, PartialEq)]
pub struct DecidedRound {
    /// The stream's place in the plan.
    pub stream: usize,
    /// The round.
    pub round: i64,
    /// Whether a quorum was possible.
    pub status: Status,
    /// The decided value.
    pub value: f64,
    /// What was reported.
    pub reports: Vec<Report>,
    /// Each replica's probability of being honest.
    pub honest: Option<Vec<f64>>,
}

/// What came of a run in which every invariant held.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// A fingerprint of all effects: the same for the same run.
    pub trace: Trace,
    /// How many times a node was called.
    pub steps: u64,
    /// The decisions in their order.
    pub decisions: Vec<DecidedRound>,
    /// How often what happened, by name: what a run did not bring it did not check either.
    pub tally: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// How often something happened.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.tally.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, name: &'static str, count: u64) {
        *self.tally.entry(name).or_default() += count;
    }
}
