//! Decisions by the law: the scalar backend, one round after the other.

use centauri_engine::{Decision, Fleet, ScalarBackend, Session, StreamId};

use super::ExpectedRound;
use crate::violation::{Finding, expect};

/// Decides what the client has to decide, on the reports that the simulator expects, each round by itself.
#[derive(Debug)]
pub(crate) struct Reference {
    session: Session,
}

impl Reference {
    /// Of a client that has just started.
    pub(crate) fn new(fleet: &Fleet) -> Self {
        Self { session: Session::new(fleet.clone(), Box::new(ScalarBackend::new())) }
    }

    /// Decides by another fleet from now on.
    pub(crate) fn swap(&mut self, fleet: &Fleet) {
        self.session.swap(fleet.clone());
    }

    /// Holds a decision against that on the expected reports: to the last bit if the client's backend is `scalar`, else in
    /// status, value and quorum. Gives the scalar backend's.
    pub(crate) fn check(
        &mut self,
        round: &ExpectedRound,
        found: &Decision,
        scalar: bool,
    ) -> Result<Decision, Finding> {
        let expected =
            self.decide(round).map_err(|error| Finding::new("a round can be decided", "", error))?;
        let of = |decision: &Decision| (decision.status, decision.value, decision.quorum);
        expect("status, value and quorum are the scalar backend's", of(&expected), of(found))?;
        if scalar {
            expect("the decision is the scalar backend's", expected, *found)?;
        }
        // Float32 takes points for tied that float64 tells apart, so its ends may be others; but there are some where there are.
        expect("there is a region if there is to be", expected.region.is_some(), found.region.is_some())?;
        Ok(expected)
    }

    fn decide(&mut self, round: &ExpectedRound) -> Result<Decision, String> {
        let stream = StreamId(u32::try_from(round.stream).map_err(|error| error.to_string())?);
        self.session.push(stream, round.round, &round.reports).map_err(|error| error.to_string())?;
        let decided = self.session.flush().map_err(|error| error.to_string())?;
        Ok(*decided.decision(0))
    }
}
