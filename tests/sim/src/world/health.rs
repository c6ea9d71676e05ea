//! What the client may think of the replicas: states follow each other as they may, and proofs are of those who lied.

use std::collections::BTreeMap;

use centauri_engine::Report;
use centauri_roles::health::{HealthEvent, HealthPolicy, HealthState, Ledger};
use centauri_roles::{Decided, Effect, Effects, Note};

use super::node::Counted;
use crate::violation::{Finding, expect};
use crate::{Plan, replica_id};

/// The states of all replicas as they have been told.
#[derive(Debug)]
pub(super) struct Health {
    policy: HealthPolicy,
    /// Stream's place and replica's; healthy where there is none.
    states: BTreeMap<(usize, usize), HealthState>,
}

/// How many events of which kind there were.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HealthCounts {
    pub(super) events: u64,
    pub(super) proven: u64,
    pub(super) better: u64,
}

impl Health {
    /// Of a client that starts with this snapshot of a ledger, or with none.
    pub(super) fn new(plan: &Plan, policy: HealthPolicy, snapshot: Option<&[u8]>) -> Self {
        Self { policy, states: snapshot.map(|bytes| read_states(plan, bytes)).unwrap_or_default() }
    }

    fn state(&self, stream: usize, place: usize) -> HealthState {
        self.states.get(&(stream, place)).copied().unwrap_or_default()
    }

    /// Holds what a step tells against what may be: each event belongs to the round that was decided just before it.
    pub(super) fn check(&mut self, plan: &Plan, effects: &Effects) -> Result<HealthCounts, Finding> {
        let mut counts = HealthCounts::default();
        let mut round: Option<Decided<'_>> = None;
        for effect in effects.iter() {
            match effect {
                Effect::Decided(decided) => {
                    self.convicts_are_faulty(round.as_ref())?;
                    round = Some(decided);
                }
                Effect::Note(Note::Health(event)) => self.enter(plan, round.as_ref(), event, &mut counts)?,
                _ => {}
            }
        }
        self.convicts_are_faulty(round.as_ref())?;
        Ok(counts)
    }

    fn convicts_are_faulty(&self, round: Option<&Decided<'_>>) -> Result<(), Finding> {
        let Some(round) = round else { return Ok(()) };
        for (place, report) in round.reports.iter().enumerate() {
            if *report == Report::Equivocated {
                let state = self.state(round.stream.0 as usize, place);
                expect("a convict is faulty", HealthState::Faulty, state)?;
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        plan: &Plan,
        round: Option<&Decided<'_>>,
        event: &HealthEvent,
        counts: &mut HealthCounts,
    ) -> Result<(), Finding> {
        let HealthEvent { stream, position, node, from, to, statistic, proven, .. } = *event;
        let of = round.map(|round| (round.stream.0 as usize, round.round));
        expect("a change of health is told with its round", of, Some((stream, event.round)))?;
        // The registry has the sources first.
        let expected = u32::try_from(plan.sources + position).ok();
        expect("a change of health names the replica's node", expected, node)?;
        expect("a change of health goes on from the state before", self.state(stream, position), from)?;
        expect("states change as they may", true, may_follow(from, to) || proven)?;
        expect("a change of health is one", true, from != to)?;
        let most = self.policy.rounds_between_false_alarms * 1.001;
        expect("the statistic is from 1 to A", true, (1.0..=most).contains(&statistic))?;
        let report = round.and_then(|round| round.reports.get(position));
        expect("a proof is of a convict", report == Some(&Report::Equivocated), proven)?;
        if proven {
            expect("a proof makes faulty", HealthState::Faulty, to)?;
            let lies = plan.liars.contains_key(&position);
            expect("no honest replica is proven faulty", Some(true), lies.then_some(true))?;
        }
        self.states.insert((stream, position), to);
        counts.events += 1;
        counts.proven += u64::from(proven);
        counts.better += u64::from(to < from);
        Ok(())
    }

    /// The ledger says what its events said, and so do the counters: of each node the worst of its states.
    pub(super) fn hold(&self, plan: &Plan, ledger: &Ledger, counted: &Counted) -> Result<(), Finding> {
        let mut worst = [0_u64; 4];
        for place in 0..plan.replicas {
            let mut states = Vec::new();
            for stream in 0..plan.streams.len() {
                let state = self.state(stream, place);
                expect("the ledger has the states that were told", Some(state), ledger.state(stream, place))?;
                states.push(state);
            }
            let of_node = states.into_iter().max().unwrap_or_default();
            let names = HealthState::ALL.into_iter().zip(&mut worst);
            names.filter(|(state, _)| *state == of_node).for_each(|(_, count)| *count += 1);
        }
        let names = ["nodes_healthy", "nodes_recovering", "nodes_suspect", "nodes_faulty"];
        names
            .into_iter()
            .zip(worst)
            .try_for_each(|(name, count)| expect(name, Some(count), counted.get(name)))
    }

    /// What a snapshot says is what was told.
    pub(super) fn is_in(&self, plan: &Plan, snapshot: &[u8]) -> Result<(), Finding> {
        let states = read_states(plan, snapshot);
        for stream in 0..plan.streams.len() {
            for place in 0..plan.replicas {
                let found = states.get(&(stream, place)).copied();
                let who = (stream, replica_id(place).0);
                expect(
                    "a snapshot has the states that were told",
                    (who, Some(self.state(stream, place))),
                    (who, found),
                )?;
            }
        }
        Ok(())
    }
}

fn may_follow(from: HealthState, to: HealthState) -> bool {
    use HealthState::{Faulty, Healthy, Recovering, Suspect};
    match from {
        Healthy => matches!(to, Suspect | Faulty),
        Suspect | Recovering => matches!(to, Healthy | Faulty),
        Faulty => to == Recovering,
    }
}

/// The states of a snapshot, by the table in `net/roles/src/health/snapshot.rs`.
fn read_states(plan: &Plan, bytes: &[u8]) -> BTreeMap<(usize, usize), HealthState> {
    let pairs = (0..plan.streams.len()).flat_map(|stream| (0..plan.replicas).map(move |at| (stream, at)));
    let (entries, _) = bytes.get(16..).unwrap_or_default().as_chunks::<8>();
    let state = |entry: &[u8; 8]| {
        let [.., high] = *entry;
        HealthState::ALL.get(usize::from(high >> 6)).copied().unwrap_or_default()
    };
    pairs.zip(entries.iter().map(state)).collect()
}
