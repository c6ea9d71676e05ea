//! Rounds of streams, one after the other: what a stream's prior takes from the round before.

use crate::backend::{Backend, BackendError};
use crate::batch::{Batch, Entry};
use crate::decision::Decisions;
use crate::explain::{Decided, ExplainError, Explainer, Explanation};
use crate::fleet::{Fleet, StreamId};
use crate::observation::{Observation, Report};
use crate::spec::Objective;

/// Evaluates rounds of a fleet's streams in batches, and keeps what following priors need.
///
/// Rounds of one stream are pushed in ascending order. A round's decision depends on the rounds of its own stream
/// alone, not on how rounds were put into batches.
#[derive(Debug)]
pub struct Session {
    fleet: Fleet,
    backend: Box<dyn Backend>,
    objective: Option<Objective>,
    batch: Batch,
    pending: Vec<(StreamId, i64)>,
    flushed: Vec<(StreamId, i64)>,
    decided: Decisions,
    last: Vec<Option<Box<Last>>>,
    observations: Vec<Observation>,
    reasons: Option<Box<Reasons>>,
}

/// What explaining needs beside the batch.
#[derive(Debug, Default)]
struct Reasons {
    explainer: Explainer,
    /// The reports of the rounds that wait, one round after the other.
    reports: Vec<Report>,
    explanations: Vec<Explanation>,
}

/// The last round of a stream whose prior follows.
#[derive(Debug)]
struct Last {
    round: i64,
    /// Waits in the batch: its distribution is not known yet.
    pending: bool,
    ln_distribution: Vec<f64>,
}

/// A round that cannot be pushed, or a batch that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The fleet has no such stream.
    #[error("found stream {0:?}, expected a stream of the fleet")]
    UnknownStream(StreamId),
    /// Not as many reports as replicas.
    #[error("stream {stream:?}: found {found} reports, expected {expected}")]
    Reports {
        /// The stream's name.
        stream: String,
        /// How many reports there are.
        found: usize,
        /// How many replicas the stream has.
        expected: usize,
    },
    /// A value that is not finite.
    #[error("stream {stream:?}, replica {replica:?}: found {value}, expected a finite value")]
    NotFinite {
        /// The stream's name.
        stream: String,
        /// The replica's name.
        replica: String,
        /// The value.
        value: f64,
    },
    /// A following stream's round that does not come after the one before.
    #[error("stream {stream:?}: found round {found} after round {last}, expected a later one")]
    Order {
        /// The stream's name.
        stream: String,
        /// The round.
        found: i64,
        /// The round before.
        last: i64,
    },
    /// A following stream's earlier round still waits for [`Session::flush`].
    #[error("stream {stream:?}: round {last} waits to be flushed, expected that before round {found}")]
    Unflushed {
        /// The stream's name.
        stream: String,
        /// The round.
        found: i64,
        /// The round that waits.
        last: i64,
    },
    /// The backend refused the batch.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A decision that does not fit its round, of which there is thus no explanation.
    #[error("explaining: {0}")]
    Explain(#[from] ExplainError),
}

impl Session {
    /// A session without rounds.
    #[must_use]
    pub fn new(fleet: Fleet, backend: Box<dyn Backend>) -> Self {
        let last = std::iter::repeat_with(|| None).take(fleet.streams().len()).collect();
        Self {
            fleet,
            backend,
            objective: None,
            batch: Batch::new(),
            pending: Vec::new(),
            flushed: Vec::new(),
            decided: Decisions::new(),
            last,
            observations: Vec::new(),
            reasons: None,
        }
    }

    /// Decides by `objective` instead of each model's own.
    #[must_use]
    pub fn with_objective(mut self, objective: Option<Objective>) -> Self {
        self.objective = objective;
        self
    }

    /// Whether each decision is explained, see [`Session::explanations`]. It takes many times as long as deciding.
    #[must_use]
    pub fn with_explanations(mut self, wanted: bool) -> Self {
        self.reasons = wanted.then(Box::default);
        self
    }

    /// The fleet in force.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Swaps in a fleet that came from this one by [`Fleet::published`]; rounds that wait are evaluated with it.
    pub fn swap(&mut self, fleet: Fleet) {
        self.fleet = fleet;
    }

    /// Rounds that wait for [`Session::flush`], with their streams, in order.
    #[must_use]
    pub fn pending(&self) -> &[(StreamId, i64)] {
        &self.pending
    }

    /// Whether a round of `stream` must wait until what was pushed before is flushed, because its prior comes of it.
    #[must_use]
    pub fn must_flush_before(&self, stream: StreamId) -> bool {
        self.last_of(stream).is_some_and(|last| last.pending)
    }

    /// The decisions of the last [`Session::flush`], in the order of [`Session::flushed`].
    #[must_use]
    pub fn decided(&self) -> &Decisions {
        &self.decided
    }

    /// The rounds that the last [`Session::flush`] decided, with their streams.
    #[must_use]
    pub fn flushed(&self) -> &[(StreamId, i64)] {
        &self.flushed
    }

    /// The explanations of [`Session::decided`], in the same order; empty unless they were asked for.
    #[must_use]
    pub fn explanations(&self) -> &[Explanation] {
        self.reasons.as_deref().map_or(&[], |reasons| &reasons.explanations)
    }

    fn last_of(&self, stream: StreamId) -> Option<&Last> {
        self.last.get(stream.0 as usize).and_then(Option::as_deref)
    }

    /// Adds a round: a report for each replica, in the order of the model.
    ///
    /// # Errors
    /// An unknown stream, a wrong number of reports, a value that is not finite; for a stream whose prior follows,
    /// a round that does not come later than the one before, or that comes before that was flushed.
    pub fn push(&mut self, stream: StreamId, round: i64, reports: &[Report]) -> Result<(), SessionError> {
        self.check(stream, round, reports)?;
        let (Some(info), Some(slot)) = (self.fleet.stream(stream), self.last.get_mut(stream.0 as usize))
        else {
            return Err(SessionError::UnknownStream(stream));
        };
        let Some(model) = self.fleet.model(info.model()) else {
            return Err(SessionError::UnknownStream(stream));
        };
        self.observations.clear();
        self.observations.extend(reports.iter().map(|report| report.quantise(model.support())));
        let mut ln_prior = None;
        if model.follows() {
            ln_prior = slot.take().map(|last| {
                let mut ln = last.ln_distribution;
                model.advance(&mut ln, round.abs_diff(last.round));
                ln
            });
            *slot = Some(Box::new(Last { round, pending: true, ln_distribution: Vec::new() }));
        }
        self.batch.push(Entry {
            model: info.model(),
            objective: self.objective,
            wants_marginal: model.follows(),
            wants_region: true,
            observations: &self.observations,
            ln_prior: ln_prior.as_deref(),
        });
        self.pending.push((stream, round));
        if let Some(reasons) = &mut self.reasons {
            reasons.reports.extend_from_slice(reports);
        }
        Ok(())
    }

    fn check(&self, stream: StreamId, round: i64, reports: &[Report]) -> Result<(), SessionError> {
        let info = self.fleet.stream(stream).ok_or(SessionError::UnknownStream(stream))?;
        let name = || info.name().to_owned();
        if reports.len() != info.replicas().len() {
            let (found, expected) = (reports.len(), info.replicas().len());
            return Err(SessionError::Reports { stream: name(), found, expected });
        }
        for (report, replica) in reports.iter().zip(info.replicas()) {
            if let Report::Value(value) = *report
                && !value.is_finite()
            {
                return Err(SessionError::NotFinite { stream: name(), replica: replica.clone(), value });
            }
        }
        match self.last_of(stream) {
            Some(last) if last.pending => {
                Err(SessionError::Unflushed { stream: name(), found: round, last: last.round })
            }
            Some(last) if round <= last.round => {
                Err(SessionError::Order { stream: name(), found: round, last: last.round })
            }
            _ => Ok(()),
        }
    }

    /// Evaluates the rounds that wait and gives their decisions, in the order in which they were pushed: those of
    /// [`Session::flushed`] after the call.
    ///
    /// # Errors
    /// What the backend says of the batch; the rounds of the batch are then lost.
    pub fn flush(&mut self) -> Result<&Decisions, SessionError> {
        let result = self.backend.evaluate(&self.fleet, &self.batch, &mut self.decided);
        for (i, (stream, _)) in self.pending.iter().enumerate() {
            let Some(slot) = self.last.get_mut(stream.0 as usize) else { continue };
            match slot {
                Some(last) if result.is_ok() => {
                    last.pending = false;
                    last.ln_distribution.extend_from_slice(self.decided.ln_marginal(i));
                }
                _ => *slot = None,
            }
        }
        let explained = match &mut self.reasons {
            Some(reasons) if result.is_ok() => reasons.explain(&self.fleet, &self.batch, &self.decided),
            Some(reasons) => {
                reasons.forget();
                Ok(())
            }
            None => Ok(()),
        };
        self.batch.clear();
        std::mem::swap(&mut self.pending, &mut self.flushed);
        self.pending.clear();
        result?;
        explained?;
        Ok(&self.decided)
    }
}

impl Reasons {
    fn forget(&mut self) {
        self.explanations.clear();
        self.reports.clear();
    }

    /// Explains the rounds of `batch`, whose reports it has.
    fn explain(&mut self, fleet: &Fleet, batch: &Batch, decided: &Decisions) -> Result<(), ExplainError> {
        let reports = std::mem::take(&mut self.reports);
        self.forget();
        let shape = |what, found, expected| ExplainError::Shape { what, found, expected };
        if decided.len() != batch.len() {
            return Err(shape("decisions", decided.len(), batch.len()));
        }
        let mut left = reports.as_slice();
        for (i, entry) in batch.iter().enumerate() {
            let model = fleet.model(entry.model).ok_or(shape("models", 0, 1))?;
            let (reports, rest) = left.split_at_checked(model.replicas()).ok_or(shape(
                "reports",
                left.len(),
                model.replicas(),
            ))?;
            left = rest;
            let decided =
                Decided { entry, reports, decision: decided.decision(i), honest: decided.honest(i) };
            self.explanations.push(self.explainer.explain(model, &decided)?);
        }
        self.reports = reports;
        self.reports.clear();
        Ok(())
    }
}
