//! A replica that consumes the streams of replica sets: it decides on them first.

mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use centauri_engine::{Distribution, Fleet, Session, Status};
use centauri_wire::{MessageKind, NodeId, Registry, SigningIdentity, StreamId};

use crate::compute::Certainty;
use crate::counters::count_of_both;
use crate::{
    Client, ClientConfig, ConfigError, Decided, Effect, Effects, InstallError, Reading, Replica,
    ReplicaConfig, Role, Windows,
};
use ways::Ways;

/// A replica of a later stage: what it computes from is decided first, by proximal consensus on the reports of a replica set, and
/// it passes on value and certainty.
///
/// It is a [`Client`] and a [`Replica`] in one. A stream that the client decides is a source of the replica: its
/// [`crate::SourceStream`] is this node itself and the stream's number in the reports. A decision is a reading of the time
/// at which its window opened; a round without a quorum gives none. Results that are computed from decisions go out
/// as decisions ([`centauri_wire::DecisionRecord`]), whose spread is what the readings' spreads make of it:
///
/// | computation | sd | confidence |
/// |---|---|---|
/// | `mean` of k | `√(Σ sd²) / k` | the least of the readings' |
/// | `sum` | `√(Σ sd²)` | the least |
/// | `count` | `√(Σ c·(1 − c))` of the readings' confidences c | the least |
/// | `min`, `max`, `last`, `identity` | that of the reading | that of the reading |
///
/// Readings of one decision are taken as independent of those of another, as readings of sources are.
///
/// What it asks for to decide on it asks for on behalf of its own streams that are computed from it, and of the streams of others that
/// wait for those, as a replica does: a circle through what relays decide is refused wherever it closes.
#[derive(Debug)]
pub struct Relay {
    client: Client,
    replica: Replica,
    ways: Ways,
    /// Who reports to the client.
    replicas: BTreeSet<NodeId>,
    /// Numbers and windows of what is decided, in the order of the fleet.
    decided: BTreeMap<u32, (StreamId, Windows)>,
    /// What the client wants done.
    inner: Effects,
    without_quorum: u64,
}

impl Relay {
    /// A relay at time `now_ns`: `client` says what is decided, with the fleet of `session`, and `replica` what is computed from it.
    ///
    /// # Errors
    /// As [`Client::new`] and [`Replica::new`]; a node that both would listen to, or two decided streams of one number.
    pub fn new(
        client: &ClientConfig,
        replica: &ReplicaConfig,
        registry: &Arc<Registry>,
        identity: &SigningIdentity,
        session: Session,
        now_ns: i64,
    ) -> Result<Self, ConfigError> {
        let replicas: BTreeSet<NodeId> = client.streams.iter().flat_map(|s| s.replicas.clone()).collect();
        let sources = replica.streams.iter().flat_map(|stream| &stream.sources);
        let others =
            sources.map(|s| (s.node, s.stream)).chain(replica.catalogue.iter().map(|s| (s.node, s.stream)));
        if let Some((node, stream)) = others.into_iter().find(|(node, _)| replicas.contains(node)) {
            return Err(ConfigError::Twice { node, stream });
        }
        let mut decided = BTreeMap::new();
        let mut numbers = BTreeSet::new();
        for stream in &client.streams {
            if !numbers.insert(stream.stream) {
                return Err(ConfigError::Twice { node: identity.id(), stream: stream.stream });
            }
            if let Some(engine) = session.fleet().stream_id(&stream.name) {
                decided.insert(engine.0, (stream.stream, stream.timing.windows));
            }
        }
        let mut client = client.clone();
        let ways = Ways::take(&mut client, replica, identity.id())?;
        let client = Client::new(&client, Arc::clone(registry), identity.clone(), session, now_ns)?;
        let replica = Replica::new(replica, Arc::clone(registry), identity.clone(), now_ns)?;
        let (mut client, replica) = (client.taking_turns(0, 2), replica.taking_turns(1, 2));
        ways.ask(now_ns, &replica, &mut client);
        Ok(Self { client, replica, ways, replicas, decided, inner: Effects::new(), without_quorum: 0 })
    }

    /// Decides by `fleet` from the next round on, as [`Client::install`].
    ///
    /// # Errors
    /// A fleet of other streams; the one in force stays.
    pub fn install(&mut self, fleet: Fleet) -> Result<(), InstallError> {
        self.client.install(fleet)
    }

    /// The fleet in force.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        self.client.fleet()
    }

    /// Accepts no timestamp from now on that is both after `reserved_ns` and ahead of the clock.
    pub fn reserve_until(&mut self, reserved_ns: i64) {
        self.client.reserve_until(reserved_ns);
        self.replica.reserve_until(reserved_ns);
    }

    /// The newest timestamp of a frame that was accepted.
    #[must_use]
    pub fn newest_accepted_ns(&self) -> Option<i64> {
        self.client.newest_accepted_ns().max(self.replica.newest_accepted_ns())
    }

    /// The requests that it serves as bytes, by node and number, to be kept over a restart.
    pub fn kept_requests(&self) -> impl Iterator<Item = ((NodeId, u64), Vec<u8>)> {
        self.replica.kept_requests()
    }

    /// Takes up a request that was kept, until it expires; says whether it could.
    pub fn restore_request(&mut self, now_ns: i64, kept: &[u8]) -> bool {
        let is_restored = self.replica.restore_request(now_ns, kept);
        self.tell_who_waits(now_ns);
        is_restored
    }

    /// As [`Client::published`].
    pub fn published(&self) -> impl Iterator<Item = (&str, &Distribution, i64)> {
        self.client.published()
    }

    /// Tells all that were asked that nothing more is wanted.
    pub fn stop(&mut self, now_ns: i64, effects: &mut Effects) {
        self.client.finish(now_ns, effects);
        self.replica.stop(now_ns, effects);
    }

    /// Gives the replica what the client has decided, and passes the rest on.
    fn pass_on(&mut self, now_ns: i64, effects: &mut Effects) {
        for effect in self.inner.iter() {
            let Effect::Decided(Decided { stream, round, deadline_ns, decision, .. }) = effect else {
                continue;
            };
            let Some(&(number, windows)) = self.decided.get(&stream.0) else { continue };
            if decision.status != Status::Decided {
                self.without_quorum += 1;
                continue;
            }
            let Some(at_ns) = windows.opens_ns(round) else { continue };
            let certainty = Certainty { sd: decision.sd, confidence: decision.confidence.clamp(0.0, 1.0) };
            let reading = Reading { source: 0, sequence: round, at_ns, value: decision.value, certainty };
            // It is what was known by the round's deadline, however late that is looked at: windows that were due before are closed
            // first, or those of many rounds that are made up for would not find room.
            let known_ns = deadline_ns.min(now_ns);
            self.replica.catch_up(known_ns, effects);
            self.replica.take_decided(known_ns, number, reading, effects);
        }
        effects.append(&self.inner);
        self.inner.clear();
    }

    /// Has the client ask on behalf of others where others wait now than before.
    fn tell_who_waits(&mut self, now_ns: i64) {
        if self.replica.take_waiting_changed() {
            self.ways.ask(now_ns, &self.replica, &mut self.client);
        }
    }

    /// Whether a frame is for the client's part. That only divides the work: each part checks what it gets.
    fn is_for_client(&self, bytes: &[u8]) -> bool {
        let Ok(frame) = centauri_wire::FrameView::parse(bytes) else { return false };
        match frame.message().kind() {
            MessageKind::Distribution => true,
            MessageKind::Request => false,
            _ => self.replicas.contains(&frame.header().sender),
        }
    }
}

impl Role for Relay {
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        if self.is_for_client(bytes) {
            let accepted = self.client.handle(now_ns, from, bytes, &mut self.inner);
            self.pass_on(now_ns, effects);
            accepted
        } else {
            let accepted = self.replica.handle(now_ns, from, bytes, effects);
            self.tell_who_waits(now_ns);
            accepted
        }
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        // What is decided now can still count in a window that is closed now.
        self.client.tick(now_ns, &mut self.inner);
        self.pass_on(now_ns, effects);
        self.replica.tick(now_ns, effects);
        self.tell_who_waits(now_ns);
    }

    fn next_deadline(&self) -> Option<i64> {
        [self.client.next_deadline(), self.replica.next_deadline()].into_iter().flatten().min()
    }

    /// The sums of both parts', by name.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = self.client.counters();
        for (name, count) in self.replica.counters() {
            match list.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum = count_of_both(name, *sum, count),
                None => list.push((name, count)),
            }
        }
        list.push(("decisions_without_quorum", self.without_quorum));
        list
    }
}
