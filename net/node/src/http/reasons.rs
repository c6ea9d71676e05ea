//! The engine's own reasons for a decision, worked out when somebody asks.

use super::record::Record;
use centauri_engine::{
    Backend, Batch, Decided, Decisions, Entry, Explainer, Fleet, Observation, ScalarBackend, StreamId,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Another backend may give a confidence that differs by so much.
const TOLERANCE: f64 = 1e-6;

/// An explanation is as much work as the model's likelihoods and one decision more than replicas: where that comes to more
/// than this many, all others would wait for it for too long. It takes some 10 ms.
const WORK_MAX: usize = 1 << 20;

/// The models in force.
#[derive(Clone, Debug)]
pub(crate) struct Shelf(Arc<Mutex<Arc<Fleet>>>);

impl Shelf {
    pub(super) fn new(fleet: Fleet) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(fleet))))
    }

    /// From now on others are in force.
    pub(crate) fn put(&self, fleet: Fleet) {
        let fleet = Arc::new(fleet);
        *self.lock() = fleet;
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Fleet>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sentence for each replica; `None` where the models at hand do not come to the decision, for one whose prior follows
    /// the stream has it no more, and there may be a new one since.
    pub(super) fn sentences(&self, stream: u32, record: &Record) -> Option<Vec<String>> {
        let fleet = Arc::clone(&self.lock());
        let id = fleet.stream(StreamId(stream))?.model();
        let model = fleet.model(id)?;
        let n = model.replicas();
        let is_too_much = n * n * model.support().points() > WORK_MAX;
        if model.follows() || n != record.reports.len() || is_too_much {
            return None;
        }
        let observations: Vec<Observation> =
            record.reports.iter().map(|report| report.quantise(model.support())).collect();
        let entry = Entry {
            model: id,
            objective: None,
            wants_marginal: false,
            wants_region: false,
            observations: &observations,
            ln_prior: None,
        };
        let mut batch = Batch::new();
        batch.push(entry);
        let mut decisions = Decisions::new();
        ScalarBackend::new().evaluate(&fleet, &batch, &mut decisions).ok()?;
        if decisions.len() != 1 {
            return None;
        }
        let (ours, theirs) = (decisions.decision(0), &record.decision);
        let is_same = (ours.status, ours.value, ours.quorum) == (theirs.status, theirs.value, theirs.quorum)
            && (ours.confidence - theirs.confidence).abs() <= TOLERANCE;
        if !is_same {
            return None;
        }
        let decided =
            Decided { entry, reports: &record.reports, decision: ours, honest: decisions.honest(0) };
        let explanation = Explainer::new().explain(model, &decided).ok()?;
        Some((0..n).map(|position| explanation.sentence(position)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_engine::{Distribution, ModelSet, OutputSpec, Report, Session, StreamSpec, Support};

    fn fleet(sd: f64) -> Fleet {
        let spec = StreamSpec::builder("road/7", ["north", "middle", "south"])
            .faults(1)
            .support(Support::new(0.0, 1.0, 101).unwrap())
            .output(OutputSpec::identity(Distribution::normal(0.0, sd).unwrap()))
            .build();
        Fleet::compile(&ModelSet { streams: vec![spec], ..ModelSet::default() }).unwrap()
    }

    fn decided(fleet: &Fleet, reports: &[Report]) -> (Record, Vec<String>) {
        let backend = Box::new(ScalarBackend::new());
        let mut session = Session::new(fleet.clone(), backend).with_explanations(true);
        session.push(StreamId(0), 1, reports).unwrap();
        let decisions = session.flush().unwrap();
        let record = Record {
            round: 1,
            deadline_ns: 0,
            closed_ns: 0,
            published_ns: 0,
            decision: *decisions.decision(0),
            honest: decisions.honest(0).map(<[f64]>::to_vec),
            reports: reports.to_vec(),
        };
        let explanation = &session.explanations()[0];
        (record, (0..reports.len()).map(|position| explanation.sentence(position)).collect())
    }

    #[test]
    fn reasons_are_those_of_the_session_that_decided() {
        let shelf = Shelf::new(fleet(2.0));
        for reports in [
            [Report::Value(50.0), Report::Value(52.0), Report::Value(90.0)],
            [Report::Missing, Report::Value(52.0), Report::Value(51.0)],
            [Report::Equivocated, Report::Value(52.0), Report::Missing],
            [Report::Missing; 3],
        ] {
            let (record, expected) = decided(&fleet(2.0), &reports);
            assert_eq!(shelf.sentences(0, &record), Some(expected), "{reports:?}");
        }
    }

    #[test]
    fn reasons_of_another_model_are_not_told() {
        let shelf = Shelf::new(fleet(2.0));
        let reports = [Report::Value(50.0), Report::Value(52.0), Report::Value(56.0)];
        let (record, expected) = decided(&fleet(3.0), &reports);
        assert_eq!(shelf.sentences(0, &record), None);
        shelf.put(fleet(3.0));
        assert_eq!(shelf.sentences(0, &record), Some(expected));
        assert_eq!(shelf.sentences(1, &record), None);
        let fewer = Record { reports: reports[..2].to_vec(), ..record };
        assert_eq!(shelf.sentences(0, &fewer), None);
    }
}
