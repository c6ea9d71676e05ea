//! Why a round was decided as it was: for each replica what was seen of it, how well that fits, and what the decision
//! would have been without it.

mod sentence;

use crate::batch::Entry;
use crate::compile::CompiledModel;
use crate::decide::Decider;
use crate::decision::{Decision, Quorum, Status, first_within_tie};
use crate::observation::{Observation, Report};
use crate::spec::Objective;

/// A decided round that is to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// The round as a backend got it, with the prior that it had.
    pub entry: Entry<'a>,
    /// What came from each replica, before it was quantised.
    pub reports: &'a [Report],
    /// The decision.
    pub decision: &'a Decision,
    /// P(honest) of each replica; `None` without a quorum.
    pub honest: Option<&'a [f64]>,
}

/// The reasons of one decision. See `docs/NUMERICS.md`, section "Reasons".
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The decision that is explained.
    pub decision: Decision,
    /// The objective by which it was made.
    pub objective: Objective,
    /// Replicas that equivocation left in the set.
    pub replicas_left: usize,
    /// The units of fault among them: fault groups, and replicas of no group.
    pub units_left: usize,
    /// How many units may be faulty.
    pub faults_left: usize,
    /// The probability that a faulty replica stays silent.
    pub silence: f64,
    /// A reason for each replica, in the order of the model.
    pub replicas: Vec<ReplicaReason>,
}

/// What speaks for and against one replica. Logarithms are natural.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaReason {
    /// What came from it.
    pub report: Report,
    /// `L_i` at the decision's value: the log-probability that an honest replica shows this when that value is right.
    /// `None` where that is impossible, and for an equivocation. It is the replica's own, not that of its fault group.
    pub ln_likelihood: Option<f64>,
    /// `ln u_i`: the log-probability that a faulty replica shows this, as all objectives but `coalition` have it. `None` for
    /// an equivocation, which is proof.
    pub ln_faulty: Option<f64>,
    /// Mean and standard deviation of what an honest replica reports when the decision's value is right, see
    /// [`CompiledModel::expected_report`].
    pub expected: Option<(f64, f64)>,
    /// The grid point at which a reported value would be most likely (the smallest of several), and `L_i` there. `None`
    /// where it is impossible everywhere, and without a value.
    pub best_fit: Option<(f64, f64)>,
    /// P(honest given everything observed) under the `marginal` model, or that of `coalition` where it decides; `None` for a
    /// round without a quorum.
    pub honest: Option<f64>,
    /// Whether it left the set because another replica of its fault group equivocated.
    pub left_with_group: bool,
    /// Whether the decision's quorum has it.
    pub in_quorum: bool,
    /// What the decision would have been without it.
    pub without: Without,
}

/// The decision on the same round, with the same prior, by the same objective, as if one replica were not in the set.
///
/// Of the others as many may be faulty as before, but not all of them. Without the only replica nothing is left but the
/// prior. An equivocator, with its fault group, has left the set already: without it, everything stays as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Without {
    /// Whether a quorum would have been possible.
    pub status: Status,
    /// The value.
    pub value: f64,
    /// The probability of the value.
    pub confidence: f64,
    /// Lower end of the credible interval.
    pub low: f64,
    /// Upper end of the credible interval.
    pub high: f64,
    /// The quorum, by position in the whole set.
    pub quorum: Quorum,
}

impl From<&Decision> for Without {
    fn from(decision: &Decision) -> Self {
        let Decision { status, value, confidence, low, high, quorum, .. } = *decision;
        Self { status, value, confidence, low, high, quorum }
    }
}

/// A round that does not fit the model by which it is to be explained.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// As many observations, reports and decisions are needed as the model or the batch has.
    #[error("found {found} {what}, expected {expected}")]
    Shape {
        /// What there is the wrong number of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// The decision is none of the model's.
    #[error("found point {found} as the decided one, expected a point below {points}")]
    Point {
        /// The index of the decided point.
        found: usize,
        /// Points of the model's support.
        points: usize,
    },
}

/// Explains rounds one after the other and keeps its memory from round to round.
///
/// An explanation takes as long as `n + 1` decisions of the scalar backend, whatever backend decided the round.
///
/// ```
/// use centauri_engine::*;
///
/// let spec = StreamSpec::builder("road/7", ["north", "middle", "south"])
///     .faults(1)
///     .support(Support::new(0.0, 1.0, 101)?)
///     .output(OutputSpec::identity(Distribution::normal(0.0, 2.0)?))
///     .build();
/// let set = ModelSet { streams: vec![spec], ..ModelSet::default() };
/// let mut session = Session::new(Fleet::compile(&set)?, Box::new(ScalarBackend::new())).with_explanations(true);
///
/// let stream = session.fleet().stream_id("road/7").unwrap();
/// session.push(stream, 1, &[Report::Value(50.0), Report::Value(52.0), Report::Value(90.0)])?;
/// session.flush()?;
/// let south = &session.explanations()[0].replicas[2];
/// assert!(!south.in_quorum && south.honest < Some(1e-9));
/// assert_eq!(south.without.value, 51.0);
/// assert!(session.explanations()[0].sentence(2).starts_with("left out: its value 90 lies 19.5 sd above"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Explainer {
    decider: Decider,
    row: Vec<f64>,
}

impl Explainer {
    /// An explainer with no memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The reasons of a decision that was made with `model`.
    ///
    /// # Errors
    /// Not as many observations, reports or probabilities as replicas, or prior masses as points, or a value beyond the
    /// support.
    pub fn explain(
        &mut self,
        model: &CompiledModel,
        decided: &Decided<'_>,
    ) -> Result<Explanation, ExplainError> {
        fits(model, decided)?;
        let left: Vec<Quorum> = model.units_left(decided.entry.observations).collect();
        let replicas_left = left.iter().copied().fold(Quorum::EMPTY, Quorum::union);
        let reason = |position| ReplicaReason {
            left_with_group: decided.entry.observations[position] != Observation::Equivocated
                && !replicas_left.contains(position),
            ..self.reason(model, decided, position)
        };
        let replicas = (0..model.replicas()).map(reason).collect();
        Ok(Explanation {
            decision: *decided.decision,
            objective: decided.entry.objective.unwrap_or(model.objective()),
            replicas_left: replicas_left.len(),
            units_left: left.len(),
            faults_left: model.faults().saturating_sub(model.unit_count() - left.len()),
            silence: model.ln_faulty(Observation::Missing).exp(),
            replicas,
        })
    }

    fn reason(&mut self, model: &CompiledModel, decided: &Decided<'_>, position: usize) -> ReplicaReason {
        let (observation, decision) = (decided.entry.observations[position], decided.decision);
        self.row.clear();
        self.row.resize(model.support().points(), f64::NEG_INFINITY);
        if observation != Observation::Equivocated {
            model.likelihood(position, observation, &mut self.row);
        }
        let possible = |ln: f64| (ln > f64::NEG_INFINITY).then_some(ln);
        let best = first_within_tie(&self.row);
        let best_fit = matches!(observation, Observation::Bin(_)).then(|| possible(self.row[best])).flatten();
        let without = if observation == Observation::Equivocated {
            Without::from(decision)
        } else {
            Without::from(&self.decider.decide_without(model, &decided.entry, position))
        };
        ReplicaReason {
            report: decided.reports[position],
            ln_likelihood: possible(self.row[decision.point]),
            ln_faulty: (observation != Observation::Equivocated).then(|| model.ln_faulty(observation)),
            expected: model.expected_report(position, decision.point),
            best_fit: best_fit.map(|ln| (model.support().point(best), ln)),
            honest: decided.honest.map(|honest| honest[position]),
            left_with_group: false,
            in_quorum: decision.quorum.contains(position),
            without,
        }
    }
}

fn fits(model: &CompiledModel, decided: &Decided<'_>) -> Result<(), ExplainError> {
    let (n, points) = (model.replicas(), model.support().points());
    let shape = |what, found, expected| {
        if found == expected { Ok(()) } else { Err(ExplainError::Shape { what, found, expected }) }
    };
    shape("observations", decided.entry.observations.len(), n)?;
    shape("reports", decided.reports.len(), n)?;
    shape("probabilities of being honest", decided.honest.map_or(n, <[f64]>::len), n)?;
    shape("prior masses", decided.entry.ln_prior.map_or(points, <[f64]>::len), points)?;
    let found = decided.decision.point;
    if found < points { Ok(()) } else { Err(ExplainError::Point { found, points }) }
}
