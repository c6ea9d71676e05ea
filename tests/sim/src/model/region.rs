//! What the honest replicas alone would have said.

use std::collections::BTreeMap;

use centauri_engine::{Distribution, Fleet, Report, ScalarBackend, Session, Status, StreamId};

use crate::models::STEP;
use crate::violation::Finding;
use crate::{Plan, models};
use centauri_roles::Decided;

/// A model of an honest quorum, to hold the regions of decisions against.
#[derive(Debug)]
pub(crate) struct HonestOnly {
    quorum: Vec<usize>,
    /// Whether so many are honest; of a fleet with more liars than the model allows for nothing is known.
    is_quorum: bool,
    /// The models at first, and those in force.
    first: Fleet,
    fleet: Fleet,
    session: Session,
    /// By the stream's place: whether its prior comes of decisions before, which are not those of the honest alone.
    follows: Vec<bool>,
}

impl HonestOnly {
    pub(crate) fn new(plan: &Plan) -> Result<Self, models::BadModel> {
        let (quorum, fleet) = models::honest_only(plan)?;
        let session = session(&fleet);
        let units = models::units(plan);
        let lies = |unit: &&Vec<usize>| unit.iter().any(|place| plan.liars.contains_key(place));
        let is_quorum = units.iter().filter(lies).count() <= plan.faults;
        Ok(Self {
            quorum,
            is_quorum,
            first: fleet.clone(),
            fleet,
            session,
            follows: plan.streams.iter().map(|stream| stream.follows).collect(),
        })
    }

    /// Takes in what the monitor has published, as the client's driver does.
    pub(crate) fn publish(&mut self, news: &BTreeMap<String, Distribution>) -> Result<(), String> {
        self.fleet = self.fleet.published(news).map_err(|error| error.to_string())?;
        self.session = session(&self.fleet);
        Ok(())
    }

    /// Goes back to the models at first, as a client does that starts again.
    pub(crate) fn forget(&mut self) {
        self.fleet = self.first.clone();
        self.session = session(&self.fleet);
    }

    /// Holds a decision against the honest replicas' own: its region has it inside.
    pub(crate) fn check(&mut self, stream: usize, decided: &Decided<'_>) -> Result<bool, Finding> {
        if !self.is_quorum {
            return Ok(false);
        }
        let region = decided.decision.region;
        let Some(region) = region.filter(|_| self.follows.get(stream) == Some(&false)) else {
            return Ok(false);
        };
        let alone =
            self.alone(stream, decided).map_err(|error| Finding::new("the honest decide", "", error))?;
        let Some(value) = alone else { return Ok(false) };
        let slack = STEP * 1e-6;
        if region.low - slack <= value && value <= region.high + slack {
            return Ok(true);
        }
        let found = format!("{region:?} for {:?}, quorum {:?}", decided.reports, self.quorum);
        Err(Finding::new("region holds what the honest alone say", format!("{value} inside"), found))
    }

    fn alone(&mut self, stream: usize, decided: &Decided<'_>) -> Result<Option<f64>, String> {
        let reports: Vec<Report> =
            self.quorum.iter().filter_map(|place| decided.reports.get(*place)).copied().collect();
        let stream = StreamId(u32::try_from(stream).map_err(|error| error.to_string())?);
        self.session.push(stream, decided.round, &reports).map_err(|error| error.to_string())?;
        let decisions = self.session.flush().map_err(|error| error.to_string())?;
        let decision = decisions.decision(0);
        Ok((decision.status == Status::Decided).then_some(decision.value))
    }
}

fn session(fleet: &Fleet) -> Session {
    Session::new(fleet.clone(), Box::new(ScalarBackend::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Liar;
    use centauri_engine::{Decision, Region};

    fn decided<'a>(decision: &'a Decision, reports: &'a [Report]) -> Decided<'a> {
        let stream = StreamId(0);
        Decided { stream, round: 0, deadline_ns: 0, closed_ns: 0, decision, honest: None, reports }
    }

    #[test]
    fn liars_are_counted_by_group() {
        let mut plan = Plan::calm(1);
        plan.replicas = 5;
        plan.liars = [(1, Liar::default()), (2, Liar::default())].into();
        assert!(!HonestOnly::new(&plan).unwrap().is_quorum);
        plan.groups = vec![vec![1, 2]];
        let honest_only = HonestOnly::new(&plan).unwrap();
        assert_eq!((honest_only.is_quorum, &honest_only.quorum[..]), (true, &[0, 3, 4][..]));
        plan.groups = vec![vec![2, 3]];
        assert!(!HonestOnly::new(&plan).unwrap().is_quorum);
    }

    #[test]
    fn a_region_without_the_honest_value_is_found() {
        let mut plan = Plan::calm(1);
        plan.liars = [(0, Liar::default())].into();
        let reports = [30.0, 20.0, 20.5, 21.0].map(Report::Value);
        let mut clients = session(&models::clients(&plan).unwrap());
        clients.push(StreamId(0), 0, &reports).unwrap();
        let decision = *clients.flush().unwrap().decision(0);
        let mut honest_only = HonestOnly::new(&plan).unwrap();
        assert_eq!(honest_only.check(0, &decided(&decision, &reports)), Ok(true));
        // The three honest ones say 20.5.
        for (low, high, is_good) in [(20.5, 20.5, true), (21.0, 30.0, false), (10.0, 20.0, false)] {
            let region = Some(Region { low, high });
            let narrow = Decision { region, ..decision };
            assert_eq!(honest_only.check(0, &decided(&narrow, &reports)).is_ok(), is_good, "{low} {high}");
        }
    }
}
