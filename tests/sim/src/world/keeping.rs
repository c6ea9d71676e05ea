//! The client's disk in a run: what its driver keeps there, and what the next client does with it.

use centauri_roles::Decided;

use centauri_roles::health::Ledger;

use super::World;
use super::asking::kept;
use super::health::Health;
use super::journal::{Journal, Kept, State, live, request_key};
use super::node::{Actor, Node};
use crate::build::Start;
use crate::model::Acceptance;
use crate::violation::{Finding, expect};
use crate::{CLIENT, Sabotage, Trace};

/// Tells the client how far timestamps are reserved, as its driver does before each call.
pub(super) fn reserve(actor: &mut Actor, acceptance: &mut Acceptance, journal: &Journal) {
    acceptance.reserved_ns = journal.reserved_ns();
    if let Some(client) = whole(actor) {
        client.reserve_until(journal.reserved_ns());
    }
}

fn whole(actor: &mut Actor) -> Option<&mut centauri_roles::Client> {
    match actor {
        Actor::Client(subject) => subject.whole_mut(),
        _ => None,
    }
}

fn state(node: &mut Node) -> State {
    let client = node.actor.as_mut().and_then(whole);
    let state = |client: &mut centauri_roles::Client| State {
        requests: client.kept_requests().map(|(_, bytes)| bytes).collect(),
        ledger: client.health().map(Ledger::snapshot),
    };
    client.map(state).unwrap_or_default()
}

impl World<'_> {
    /// Begins the client's journal; `None` where the disk does not let it, in which case the client starts later.
    pub(super) fn begin_journal(
        &mut self,
        place: usize,
        start: Start,
    ) -> Result<Option<(Start, State)>, Finding> {
        let forgets = self.sabotage == Sabotage::ForgetsReservation;
        let Some(node) = self.nodes.get_mut(place) else { return Ok(None) };
        let Some(disk) = &self.plan.disk else { return Ok(None) };
        let times = (self.at_ns, start.now_ns);
        let begun = Journal::begin(self.plan, disk, node.disk.as_mut(), times, forgets);
        let Some((journal, beginning)) = begun else {
            let id = node.id;
            self.outcome.add("starts put off by the disk", 1);
            self.start_later(id);
            return Ok(None);
        };
        node.journal = Some(journal);
        self.incarnations.begin(&beginning)?;
        self.outcome.add("rounds told to be missing", gap_rounds(&beginning.gap));
        self.outcome.add("starts above the clock", u64::from(beginning.floor_ns > start.now_ns));
        let (floor_ns, first_rounds) = (beginning.floor_ns, beginning.first_rounds);
        Ok(Some((Start { floor_ns, first_rounds, ..start }, beginning.state)))
    }

    /// Has the client that has just started go on with the subscriptions that were kept: with each that has not expired.
    pub(super) fn restore(&mut self, place: usize, now_ns: i64, state: &State) -> Result<(), Finding> {
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        let Some(client) = node.actor.as_mut().and_then(whole) else { return Ok(()) };
        if let Some(ledger) = &state.ledger {
            expect("a snapshot can be restored", Ok(()), client.restore_health(ledger))?;
            self.outcome.add("ledgers restored", 1);
        }
        let requests = &state.requests;
        let restored = requests.iter().filter(|kept| client.restore_request(now_ns, kept)).count() as u64;
        let expected = live(requests, now_ns);
        let found = client.kept_requests().filter_map(|(_, bytes)| request_key(&bytes)).map(|(key, _)| key);
        expect("subscriptions that were kept go on until they expire", expected, found.collect())?;
        if let Some(known) = &mut node.requests {
            for (address, from, request) in requests.iter().filter_map(|bytes| kept(bytes, now_ns)) {
                known.restore(now_ns, address, from, &request);
            }
        }
        if let Some(client) = &mut node.client {
            client.restored = restored;
            client.health =
                self.plan.health.map(|policy| Health::new(self.plan, policy, state.ledger.as_deref()));
        }
        self.outcome.add("subscriptions restored", restored);
        Ok(())
    }

    /// What the thread that writes does now and then, whatever the client does meanwhile.
    pub(super) fn look_journal(&mut self) -> Result<(), Finding> {
        let Some(disk) = &self.plan.disk else { return Ok(()) };
        self.look_later(disk.look_ns);
        let Some(node) = self.nodes.iter_mut().find(|node| node.id == CLIENT) else { return Ok(()) };
        let state = state(node);
        let health = node.client.as_ref().and_then(|client| client.health.as_ref());
        if let (Some(health), Some(ledger)) = (health, &state.ledger) {
            health.is_in(self.plan, ledger)?;
        }
        let times = (self.at_ns, node.clock.shows_ns(self.at_ns));
        let Some(journal) = &mut node.journal else { return Ok(()) };
        match journal.look(node.disk.as_mut(), times, state) {
            Some(true) => self.outcome.add("writes stored", 1),
            Some(false) => self.outcome.add("writes failed", 1),
            None => {}
        }
        Ok(())
    }

    /// Ends the journal in an orderly way, if there is one.
    pub(super) fn close_journal(&mut self, place: usize) {
        let Some(node) = self.nodes.get_mut(place) else { return };
        let state = state(node);
        let newest_ns = node.actor.as_mut().and_then(whole).and_then(|client| client.newest_accepted_ns());
        let times = (self.at_ns, node.clock.shows_ns(self.at_ns));
        if let Some(journal) = node.journal.take() {
            journal.close(node.disk.as_mut(), times, newest_ns, &state);
        }
    }

    /// Hands a decision over to be kept.
    pub(super) fn keep(&mut self, stream: usize, decided: &Decided<'_>) -> Result<(), Finding> {
        let is_full = self.plan.disk.as_ref().is_some_and(|disk| disk.is_full(self.at_ns));
        let Some(node) = self.nodes.iter_mut().find(|node| node.id == CLIENT) else { return Ok(()) };
        let Some(journal) = &mut node.journal else { return Ok(()) };
        let kept = Kept { stream: stream as u32, round: decided.round, digest: digest(decided) };
        journal.decided(kept);
        self.outcome.add("decided while the disk is full", u64::from(is_full));
        self.incarnations.decided(kept)
    }
}

fn gap_rounds(gap: &[(u32, i64, i64)]) -> u64 {
    gap.iter().map(|(_, first, last)| last.abs_diff(*first) + 1).sum()
}

fn digest(decided: &Decided<'_>) -> u64 {
    let decision = decided.decision;
    let mut trace = Trace::default();
    for number in [decision.value, decision.confidence, decision.low, decision.high] {
        trace.bytes(&number.to_bits().to_le_bytes());
    }
    trace.number(decided.deadline_ns);
    trace.value()
}
