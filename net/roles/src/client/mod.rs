//! The client: reports of replicas in, a decision for each round at its deadline out.

mod batch;
mod config;
mod crossing;
mod evidence;
mod followers;
mod granted;
mod published;
mod reports;
mod rounds;
mod shard;
mod sharding;
mod spread;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use centauri_engine::{Distribution, Fleet, Session};
use centauri_wire::{
    Accepted, BatchVerifier, Counters, DistributionView, Header, Limits, MessageView, NodeId, Pending,
    Registry, Reported, Request, Role as NodeRole, SampleKind, SignatureVerdict, SigningIdentity, StreamId,
    Verifier,
};

pub use config::{ClientConfig, ClientStream, Pacing, RoundTiming};
use crossing::{Crossed, Crossing};
use evidence::Evidence;
use followers::Followers;
pub use published::DistributionPolicy;
use published::Published;
use rounds::{Due, Rounds, StreamIndex, Taken};
pub use shard::ClientShard;
pub use sharding::Sharding;
use sharding::{Home, Homes};
use spread::Spreads;
pub use spread::spread_by;

use crate::counters::counters;
use crate::error::check_number;
use crate::health::{Ledger, SnapshotError, StreamShape};
use crate::requests::{Query, Reason, Upstreams};
use crate::sampler::{SampleSlot, Sampler};
use crate::signer::Signer;
use crate::timing::seconds_between;
use crate::{AcceptedSet, ConfigError, Effects, InstallError, Note, Received, Role, Windows, from_wire};

counters! {
    /// What became of records and rounds.
    ClientCounters {
        records_reported,
        records_repeated,
        records_equivocating,
        records_late,
        records_early,
        rounds_decided,
        rounds_undecided,
        rounds_skipped,
        rounds_missed,
        close_late_max_ns,
        distributions_unused,
        distributions_invalid,
        fleets_installed,
        frames_unexpected,
    }
}

/// A round that has been given to the engine.
#[derive(Debug, Clone)]
pub(crate) struct Closed {
    pub(crate) round: i64,
    pub(crate) deadline_ns: i64,
    pub(crate) closed_ns: i64,
    pub(crate) reports: Range<usize>,
    pub(crate) windows: Windows,
}

/// Where a replica's stream goes.
#[derive(Debug, Clone, Copy)]
struct Route {
    stream: StreamId,
    /// Among the streams of its owner.
    index: StreamIndex,
    position: u8,
    /// The shard that keeps its rounds.
    owner: u8,
}

/// What is known of a node that sends.
#[derive(Debug, Default)]
struct Sender {
    /// In the order of the streams' numbers.
    routes: Vec<Route>,
    latency: Option<SampleSlot>,
}

impl Sender {
    /// Looks first behind the route before: frames go through streams in order.
    fn route(&self, stream: StreamId, hint: &mut usize) -> Option<Route> {
        let near = self.routes.get(*hint).filter(|route| route.stream == stream);
        let route = match near {
            Some(route) => route,
            None => {
                *hint = self.routes.binary_search_by_key(&stream, |route| route.stream).ok()?;
                self.routes.get(*hint)?
            }
        };
        *hint += 1;
        Some(*route)
    }
}

/// A client, or an engine that decides for many: asks replicas for their streams, and decides each round at
/// its deadline on whatever has come, nothing at all included.
///
/// - A report counts if it comes by the round's deadline, exactly then included, and while the round is
///   open. Two different values of one replica for one round convict it ([`Note::Equivocated`]).
/// - Rounds are decided in the order of their deadlines, those of one tick in one batch of the engine.
/// - A monitor's distribution for a name that the model set uses is told as [`crate::Effect::Published`]; the
///   driver compiles it (`fleet.published(…)`) wherever it likes and hands the fleet to
///   [`Client::install`], from when on rounds are decided by it. One that is not renewed is told again, wider
///   ([`DistributionPolicy`]).
/// - The first round is the first whose window opens at or after the start, or the configured one if later.
#[derive(Debug)]
pub struct Client {
    session: Session,
    rounds: Rounds,
    /// By the node's place in the registry.
    senders: Vec<Sender>,
    closing: Vec<Closed>,
    verifier: Verifier,
    signatures: BatchVerifier,
    /// Those of the batch at hand; kept, so that a batch finds its memory.
    verdicts: Vec<SignatureVerdict>,
    signer: Signer,
    upstreams: Upstreams,
    followers: Followers,
    evidence: Evidence,
    health: Option<Ledger>,
    spreads: Spreads,
    sampler: Sampler,
    published: Published,
    pacing: Pacing,
    counters: ClientCounters,
    crossing: Crossing,
}

impl Client {
    /// A client at time `now_ns` that decides with `session`, whose fleet has all the streams.
    ///
    /// # Errors
    /// A number out of its range, a stream or replica set that is not the fleet's, a node that the registry
    /// does not have, a stream of a node given twice.
    pub fn new(
        config: &ClientConfig,
        registry: Arc<Registry>,
        identity: SigningIdentity,
        session: Session,
        now_ns: i64,
    ) -> Result<Self, ConfigError> {
        let signatures = BatchVerifier::new(&registry, config.verifier);
        Self::with_crossing(config, registry, (identity, signatures), session, now_ns, Crossing::none())
    }

    /// A client that takes its part of the senders and streams.
    fn with_crossing(
        config: &ClientConfig,
        registry: Arc<Registry>,
        (identity, signatures): (SigningIdentity, BatchVerifier),
        session: Session,
        now_ns: i64,
        crossing: Crossing,
    ) -> Result<Self, ConfigError> {
        let pacing = config.pacing;
        check_number("miss_ns", pacing.miss_ns, pacing.miss_ns >= 0, "0 or more")?;
        for (key, value) in [
            ("batch_rounds_max", pacing.batch_rounds_max),
            ("rounds_per_tick_max", pacing.rounds_per_tick_max),
        ] {
            check_number(key, value as i128, value > 0, "at least 1")?;
        }
        let replicas = config.streams.iter().flat_map(|stream| &stream.replicas);
        let pairs = replicas.filter(|node| crossing.is_own_sender(**node)).count();
        let limits = Limits { tracked_pairs_max: pairs, ..config.limits };
        let senders = std::iter::repeat_with(Sender::default).take(registry.nodes().len()).collect();
        let mut upstreams = config.upstreams.clone();
        upstreams.retain(|upstream| crossing.is_own_sender(upstream.node));
        let mut computations = config.computations.clone();
        computations.retain(|upstream| crossing.is_own_sender(upstream.node));
        let mut client = Self {
            session,
            rounds: Rounds::new(pacing.rounds_ahead_max),
            senders,
            closing: Vec::new(),
            signatures,
            verdicts: Vec::with_capacity(batch::SLICE),
            verifier: Verifier::new(registry, limits).for_node(identity.id()),
            signer: Signer::new(identity).taking_turns(crossing.own, crossing.sharding.count),
            upstreams: Upstreams::new(config.request, &upstreams, &computations, now_ns)?,
            followers: Followers::new(config.followers, config.limits.past_ns, now_ns)?,
            evidence: Evidence::new(config.evidence_bytes),
            health: None,
            spreads: Spreads::default(),
            sampler: Sampler::new(config.samples)?,
            published: Published::new(config.distributions)?,
            pacing,
            counters: ClientCounters::default(),
            crossing,
        };
        let mut homes = Homes::new(client.crossing.sharding);
        for (place, stream) in (0..).zip(&config.streams) {
            client.add_stream(homes.next(place), stream, now_ns)?;
        }
        client.sort_routes()?;
        client.know_streams(config);
        client.know_spreads(config)?;
        client.health = client.ledger(config)?;
        client.know_restored(config, now_ns);
        for (node, name) in &config.latencies {
            if !client.crossing.is_own_sender(*node) {
                continue;
            }
            let slot = client.sampler.slot(SampleKind::Latency, Some(name))?;
            client.sender_mut("latencies", *node)?.latency = slot;
        }
        Ok(client)
    }

    /// One of `count` parts of a node that sign with its key, of which no two give out the same timestamp.
    pub(crate) fn taking_turns(self, own: u8, count: usize) -> Self {
        Self { signer: self.signer.taking_turns(own, count), ..self }
    }

    /// Asks for something on behalf of others' streams, from now on ([`Upstreams::need`]).
    pub(crate) fn need(
        &mut self,
        key: (NodeId, Reason),
        address: SocketAddr,
        query: Query,
        times: (i64, i64),
        now_ns: i64,
    ) {
        self.upstreams.need(key, address, query, times, now_ns);
    }

    fn know_restored(&mut self, config: &ClientConfig, now_ns: i64) {
        let mut nodes = self.verifier.registry().nodes().iter();
        let monitor = nodes.find(|entry| entry.role == centauri_wire::Role::Monitor);
        if monitor.is_none_or(|monitor| !self.crossing.is_own_sender(monitor.id)) {
            return;
        }
        for (name, distribution, at_ns) in &config.restored {
            if self.session.fleet().distributions().contains_key(name) {
                self.published.restore(name, distribution.clone(), *at_ns, now_ns);
            }
        }
    }

    /// A ledger of the replicas, if the configuration asks for one.
    fn ledger(&self, config: &ClientConfig) -> Result<Option<Ledger>, ConfigError> {
        let Some(policy) = config.health else { return Ok(None) };
        let fleet = self.session.fleet();
        let shape = |stream: &centauri_engine::Stream| {
            fleet.model(stream.model()).map_or(StreamShape::new(1, 0), StreamShape::of)
        };
        let mut shapes: Vec<StreamShape> = fleet.streams().iter().map(shape).collect();
        let mut homes = Homes::new(self.crossing.sharding);
        for (at, stream) in (0..).zip(&config.streams) {
            // Of other shards' streams nobody is followed here: so each stream's nodes are in one shard's ledger.
            if homes.next(at).shard != self.crossing.own {
                continue;
            }
            // Nodes are followed by their place in the registry, which is small whatever their numbers are.
            let nodes = self.verifier.registry().nodes();
            let place = |node: &NodeId| nodes.binary_search_by_key(node, |entry| entry.id).ok();
            let places: Option<Vec<usize>> = stream.replicas.iter().map(place).collect();
            let engine = fleet.stream_id(&stream.name);
            let shape = engine.and_then(|engine| shapes.get_mut(engine.0 as usize));
            if let (Some(shape), Some(places)) = (shape, places) {
                let known = std::mem::replace(shape, StreamShape::new(1, 0));
                *shape = known.with_nodes(places.into_iter().filter_map(|place| u32::try_from(place).ok()));
            }
        }
        Ok(Some(Ledger::new(policy, &shapes)?))
    }

    /// What is thought of the replicas, where the configuration asks for it. Streams have their places in the fleet, nodes theirs in
    /// the registry.
    #[must_use]
    pub fn health(&self) -> Option<&Ledger> {
        self.health.as_ref()
    }

    /// Goes on with what was thought of the replicas before a restart.
    ///
    /// # Errors
    /// Bytes that are not the snapshot of a ledger of these streams; what is thought stays as it is.
    pub fn restore_health(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.health.as_mut().map_or(Ok(()), |ledger| ledger.restore(snapshot))
    }

    /// The subscriptions to decisions as bytes, by node and request, to be kept over a restart.
    pub fn kept_requests(&self) -> impl Iterator<Item = ((NodeId, u64), Vec<u8>)> {
        self.followers.subscriptions.kept()
    }

    /// Takes up a subscription that was kept, until it expires; says whether it could: its streams may be gone.
    pub fn restore_request(&mut self, now_ns: i64, kept: &[u8]) -> bool {
        self.followers.restore(now_ns, kept, self.verifier.registry(), self.session.fleet())
    }

    fn know_spreads(&mut self, config: &ClientConfig) -> Result<(), ConfigError> {
        if config.spreads.is_empty() {
            return Ok(());
        }
        let fleet = self.session.fleet();
        let senders: BTreeMap<&str, &[NodeId]> =
            config.streams.iter().map(|stream| (stream.name.as_str(), stream.replicas.as_slice())).collect();
        let of = |(stream, noise): &(String, String)| {
            let unknown = || ConfigError::UnknownStream { name: stream.clone() };
            let engine = fleet.stream_id(stream).ok_or_else(unknown)?;
            let senders = senders.get(stream.as_str()).ok_or_else(unknown)?;
            Ok::<_, ConfigError>((engine.0, noise.clone(), *senders))
        };
        let streams = config.spreads.iter().map(of).collect::<Result<Vec<_>, _>>()?;
        self.spreads = Spreads::new(streams, fleet.distributions())?;
        Ok(())
    }

    /// Tells the followers' side which streams are decided, here or in another shard.
    fn know_streams(&mut self, config: &ClientConfig) {
        let mut known = vec![None; self.session.fleet().streams().len()];
        for stream in &config.streams {
            let engine = self.session.fleet().stream_id(&stream.name);
            if let Some(place) = engine.and_then(|engine| known.get_mut(engine.0 as usize)) {
                *place = Some(stream.stream);
            }
        }
        self.followers.know(known);
    }

    fn request(
        &mut self,
        now_ns: i64,
        from: SocketAddr,
        header: Header,
        request: &Request<'_>,
        effects: &mut Effects,
    ) {
        let (fleet, from) = (self.session.fleet(), (from, header));
        let reply = self.followers.request(now_ns, from, request, fleet, effects);
        if let Some(reply) = reply {
            self.signer.answer(now_ns, reply.to, &reply.answer(), effects);
        }
    }

    fn add_stream(&mut self, home: Home, stream: &ClientStream, now_ns: i64) -> Result<(), ConfigError> {
        let name = || stream.name.clone();
        let unknown = || ConfigError::UnknownStream { name: name() };
        let engine = self.session.fleet().stream_id(&stream.name).ok_or_else(unknown)?;
        let expected = self.session.fleet().stream(engine).ok_or_else(unknown)?.replicas().len();
        let found = stream.replicas.len();
        let wrong_set = ConfigError::ReplicaSet { name: name(), found, expected };
        let replicas = u8::try_from(found).ok().filter(|_| found == expected).ok_or(wrong_set)?;
        let slots = stream.timing.slots(self.pacing.rounds_ahead_max)?;
        let first = stream.timing.windows.first_from(now_ns).unwrap_or(i64::MAX).max(stream.first_round);
        if home.shard == self.crossing.own {
            self.rounds.add(engine, stream.timing, (slots, replicas), first);
        }
        for (position, node) in (0..replicas).zip(&stream.replicas) {
            let is_own = self.crossing.is_own_sender(*node);
            let sender = self.sender_mut("streams", *node)?;
            if is_own {
                let Home { shard: owner, index } = home;
                sender.routes.push(Route { stream: stream.stream, index, position, owner });
            }
        }
        Ok(())
    }

    /// Puts every sender's routes in order and has the verifier accept exactly those.
    fn sort_routes(&mut self) -> Result<(), ConfigError> {
        let nodes: Vec<NodeId> = self.verifier.registry().nodes().iter().map(|entry| entry.id).collect();
        for (sender, node) in self.senders.iter_mut().zip(nodes) {
            sender.routes.sort_unstable_by_key(|route| route.stream);
            let twice = sender.routes.windows(2).find_map(|pair| match pair {
                [a, b] if a.stream == b.stream => Some(a.stream),
                _ => None,
            });
            if let Some(stream) = twice {
                return Err(ConfigError::Twice { node, stream });
            }
            for route in &sender.routes {
                self.verifier.track(node, route.stream)?;
            }
        }
        Ok(())
    }

    fn sender_mut(&mut self, key: &'static str, node: NodeId) -> Result<&mut Sender, ConfigError> {
        let nodes = self.verifier.registry().nodes();
        let place = nodes.binary_search_by_key(&node, |entry| entry.id).ok();
        place.and_then(|place| self.senders.get_mut(place)).ok_or(ConfigError::UnknownNode { key, node })
    }

    /// The fleet in force.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        self.session.fleet()
    }

    /// Decides by `fleet` from the next round on. It must come from the fleet in force by
    /// [`Fleet::published`]: the same streams in the same order.
    ///
    /// # Errors
    /// A fleet of other streams; the one in force stays.
    pub fn install(&mut self, fleet: Fleet) -> Result<(), InstallError> {
        let (found, expected) = (fleet.streams(), self.session.fleet().streams());
        if found.len() != expected.len() {
            return Err(InstallError::Streams { found: found.len(), expected: expected.len() });
        }
        for (found, expected) in found.iter().zip(expected) {
            let same = found.model() == expected.model() && found.replicas() == expected.replicas();
            if !same || found.name() != expected.name() {
                let (found, expected) = (found.name().to_owned(), expected.name().to_owned());
                return Err(InstallError::Stream { found, expected });
            }
        }
        self.session.swap(fleet);
        self.counters.fleets_installed += 1;
        Ok(())
    }

    /// Begins no round that opens after `now_ns`. Those open are still decided at their deadlines; then
    /// [`Client::is_drained`].
    pub fn drain(&mut self, now_ns: i64) {
        self.rounds.drain(now_ns);
    }

    /// Whether no round is open and none will be.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.rounds.next_deadline().is_none()
    }

    /// Decides every round that has opened at once, on what has come so far, and tells the replicas that nothing more is wanted.
    /// However many rounds that are, all are decided in this call.
    pub fn finish(&mut self, now_ns: i64, effects: &mut Effects) {
        self.rounds.drain(now_ns);
        while self.close_until(i64::MAX, now_ns, effects) {}
        self.upstreams.cancel(now_ns, &mut self.signer, effects);
    }

    /// What verifies the signatures, and why nothing better does.
    #[must_use]
    pub fn signatures(&self) -> &BatchVerifier {
        &self.signatures
    }

    /// What became of the frames so far; [`Role::counters`] has these and what became of records and rounds.
    #[must_use]
    pub fn frame_counters(&self) -> &Counters {
        self.verifier.counters()
    }

    /// Accepts no timestamp from now on that is both after `reserved_ns` and ahead of the clock ([`Verifier::reserve_until`]).
    pub fn reserve_until(&mut self, reserved_ns: i64) {
        self.verifier.reserve_until(reserved_ns);
    }

    /// The last good distribution that was published under each name, as it came, and when: for [`ClientConfig::restored`].
    pub fn published(&self) -> impl Iterator<Item = (&str, &Distribution, i64)> {
        self.published.last()
    }

    /// The nodes that are known.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.verifier.registry()
    }

    /// The newest timestamp of a frame that was accepted.
    #[must_use]
    pub fn newest_accepted_ns(&self) -> Option<i64> {
        self.verifier.newest_accepted_ns()
    }

    /// Reads where a frame's records will go, as [`Verifier::read_ahead`] does: for all frames of a batch before the first of
    /// them is taken in. At most so many records; gives how many are left.
    fn read_ahead(&self, pending: &Pending<'_>, records_max: usize) -> usize {
        let MessageView::Stream(records) = pending.frame().message() else { return records_max };
        let Some(sender) = self.senders.get(pending.node_index()) else { return records_max };
        let Some(first) = records.iter().next() else { return records_max };
        // Where the records go if they are of streams one after the other, which is how senders put them.
        let (count, mut next) = (records.len().min(records_max), 0);
        if sender.route(first.stream, &mut next).is_some() {
            let routes = sender.routes.get(next.saturating_sub(1)..).unwrap_or_default().iter().take(count);
            let own = |route: &&Route| route.owner == self.crossing.own;
            let some = routes.step_by(rounds::STREAMS_A_LINE).filter(own);
            self.rounds.read_ahead(some.map(|route| (route.index, route.position)), first.round);
        }
        records_max - count
    }

    fn accept(&mut self, now_ns: i64, from: SocketAddr, accepted: &Accepted<'_>, effects: &mut Effects) {
        match accepted.message() {
            MessageView::Stream(_) => {
                let records = accepted
                    .records()
                    .map(|record| (record.stream, record.round, record.value, record.age_us, None));
                self.absorb(now_ns, accepted, records, effects);
            }
            MessageView::Decision(_) => {
                let decided = accepted.decisions().filter(|decision| decision.decided);
                let records = decided.map(|of| (of.stream, of.round, of.value, of.age_us, Some(of.sd)));
                self.absorb(now_ns, accepted, records, effects);
            }
            MessageView::Distribution(view) => self.publish(now_ns, view, effects),
            MessageView::Request(request) => self.request(now_ns, from, accepted.header(), request, effects),
            MessageView::Answer(answer) => {
                self.upstreams.answered(now_ns, accepted.header(), answer, effects);
            }
            _ => self.counters.frames_unexpected += 1,
        }
    }

    /// Takes in what a replica reports: streams, rounds, values, ages, and how sure it says that it is if it has decided.
    fn absorb(
        &mut self,
        now_ns: i64,
        accepted: &Accepted<'_>,
        records: impl Iterator<Item = (StreamId, i64, f64, u32, Option<f64>)>,
        effects: &mut Effects,
    ) {
        let header = accepted.header();
        self.upstreams.heard(header.sender, effects);
        let Some(sender) = self.senders.get(accepted.node_index()) else { return };
        if sender.latency.is_some() {
            let latency = seconds_between(now_ns, header.timestamp_ns);
            self.sampler.push(now_ns, sender.latency, latency, &mut self.signer, effects);
        }
        // Before it is looked at: a frame can contradict itself, which proves as much.
        self.evidence.keep(accepted.node_index(), accepted.frame().bytes());
        let mut hint = 0;
        for (wire, round, value, age_us, sd) in records {
            // The verifier accepts no record without a route.
            let Some(route) = sender.route(wire, &mut hint) else { continue };
            if route.owner != self.crossing.own {
                let Route { index, position, owner, .. } = route;
                let (received_ns, node) = (now_ns, header.sender);
                self.crossing.push(owner, Crossed { received_ns, round, value, index, node, position });
                continue;
            }
            let taken = self.rounds.take(now_ns, (route.index, route.position), round, value);
            self.counters.count(taken);
            // Of each round the first report counts, and none that comes too early or too late: saying it again gives it no weight.
            if let (Taken::Reported, Some(sd), Some(stream)) = (taken, sd, self.rounds.engine_id(route.index))
            {
                self.spreads.take(stream.0, header.sender, sd, effects);
            }
            if taken == Taken::Equivocated {
                let stream = self.rounds.engine_id(route.index);
                note_equivocation(stream, header.sender, round, effects);
                let at_ns = header.timestamp_ns.saturating_sub(i64::from(age_us) * 1_000);
                let report = Reported { stream: wire, round, value, at_ns };
                let node = accepted.node_index();
                let role = self.verifier.registry().nodes().get(node).map_or(NodeRole::Source, |n| n.role);
                if let Some(first) = self.evidence.against(now_ns, (node, role), &report) {
                    effects.proof(header.sender, first, accepted.frame().bytes());
                }
            }
        }
    }

    /// Takes in what other shards have handed over so far.
    fn take_crossed(&mut self, effects: &mut Effects) {
        for queue in &mut self.crossing.incoming {
            let Ok(chunk) = queue.read_chunk(queue.slots()) else { continue };
            let (before_the_end, from_the_start) = chunk.as_slices();
            for record in before_the_end.iter().chain(from_the_start) {
                let Crossed { received_ns, round, value, index, node, position } = *record;
                let taken = self.rounds.take(received_ns, (index, position), round, value);
                self.counters.count(taken);
                if taken == Taken::Equivocated {
                    note_equivocation(self.rounds.engine_id(index), node, round, effects);
                }
            }
            chunk.commit_all();
        }
    }

    fn publish(&mut self, now_ns: i64, view: &DistributionView<'_>, effects: &mut Effects) {
        if !self.session.fleet().distributions().contains_key(view.name) {
            self.counters.distributions_unused += 1;
            return;
        }
        match view.to_body().ok().and_then(|body| from_wire(&body).ok()) {
            Some(distribution) => {
                let published = (view.name, distribution);
                self.published.take(now_ns, published, &mut self.spreads, effects);
            }
            None => self.counters.distributions_invalid += 1,
        }
    }

    /// Closes the rounds whose deadline is not after `until_ns`, as many as one tick may; says whether it
    /// closed any.
    fn close_until(&mut self, until_ns: i64, now_ns: i64, effects: &mut Effects) -> bool {
        let mut closed = 0;
        while closed < self.pacing.rounds_per_tick_max {
            let Some(due) = self.rounds.pop(until_ns) else { break };
            closed += 1;
            let is_full = self.closing.len() >= self.pacing.batch_rounds_max;
            if is_full || self.session.must_flush_before(due.engine) {
                self.flush(effects);
            }
            let late_ns = now_ns.saturating_sub(due.deadline_ns).max(0);
            self.counters.close_late_max_ns = self.counters.close_late_max_ns.max(late_ns.unsigned_abs());
            self.counters.rounds_missed += u64::from(late_ns > self.pacing.miss_ns);
            let reports = self.rounds.reports(due.stream);
            match self.session.push(due.engine, due.round, reports) {
                Ok(()) => {
                    let reports = effects.keep_reports(reports);
                    let Due { round, deadline_ns, windows, .. } = due;
                    self.closing.push(Closed { round, deadline_ns, closed_ns: now_ns, reports, windows });
                }
                Err(error) => self.undecided(1, error.to_string(), effects),
            }
            if let Some((first, rounds)) =
                self.rounds.finish(due.stream, now_ns, self.pacing.catch_up_rounds_max)
            {
                self.counters.rounds_skipped += rounds;
                effects.note(Note::Skipped { stream: due.engine, first, rounds });
            }
        }
        self.flush(effects);
        self.followers.send(now_ns, &mut self.signer, effects);
        closed > 0
    }

    /// Has the engine decide the rounds that were pushed.
    fn flush(&mut self, effects: &mut Effects) {
        if self.closing.is_empty() {
            return;
        }
        let streams: Vec<_> = self.session.pending().iter().map(|(stream, _)| *stream).collect();
        let failed = match self.session.flush() {
            Ok(decided) => {
                // The engine decides as many rounds as were pushed, in their order.
                for (at, (closed, stream)) in self.closing.iter().zip(streams).enumerate().take(decided.len())
                {
                    let decision = *decided.decision(at);
                    if let Some(wire) = self.followers.stream(stream) {
                        let reports = effects.reports(closed.reports.clone());
                        self.followers.take((wire, closed.windows), closed.round, &decision, reports);
                    }
                    effects.decided(stream, closed, decision, decided.honest(at));
                    if let Some(ledger) = &mut self.health {
                        let proven = effects.equivocated(closed.reports.clone());
                        let stream = stream.0 as usize;
                        ledger.observe(stream, closed.round, decided.honest(at), proven, |event| {
                            effects.note(Note::Health(event));
                        });
                    }
                    self.counters.rounds_decided += 1;
                }
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed {
            self.undecided(self.closing.len() as u64, error, effects);
        }
        self.closing.clear();
    }

    fn undecided(&mut self, rounds: u64, error: String, effects: &mut Effects) {
        self.counters.rounds_undecided += rounds;
        effects.note(Note::Undecided { rounds, error });
    }
}

impl ClientCounters {
    fn count(&mut self, taken: Taken) {
        let count = match taken {
            Taken::Reported => &mut self.records_reported,
            Taken::Repeated => &mut self.records_repeated,
            Taken::Equivocated => &mut self.records_equivocating,
            Taken::Late => &mut self.records_late,
            Taken::Early => &mut self.records_early,
        };
        *count += 1;
    }
}

fn note_equivocation(
    stream: Option<centauri_engine::StreamId>,
    node: NodeId,
    round: i64,
    effects: &mut Effects,
) {
    if let Some(stream) = stream {
        effects.note(Note::Equivocated { stream, round, node });
    }
}

impl Role for Client {
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        self.handle_batch(now_ns, &[Received { from, bytes }], effects).contains(0)
    }

    fn handle_batch(
        &mut self,
        now_ns: i64,
        datagrams: &[Received<'_>],
        effects: &mut Effects,
    ) -> AcceptedSet {
        let mut slices = datagrams.chunks(batch::SLICE);
        let first = slices.next().map(|slice| self.handle_slice(now_ns, slice, effects));
        for slice in slices {
            self.handle_slice(now_ns, slice, effects);
        }
        first.unwrap_or_default()
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        self.close_until(now_ns, now_ns, effects);
        self.published.tick(now_ns, &mut self.spreads, effects);
        self.sampler.tick(now_ns, &mut self.signer, effects);
        self.upstreams.tick(now_ns, &mut self.signer, effects);
    }

    fn next_deadline(&self) -> Option<i64> {
        let waits = [
            self.rounds.next_deadline(),
            self.published.next_deadline(),
            self.sampler.next_deadline(),
            self.upstreams.next_deadline(),
        ];
        waits.into_iter().flatten().min()
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = Vec::new();
        self.counters.list(&mut list);
        self.published.counters.list(&mut list);
        self.upstreams.list(&mut list);
        self.followers.subscriptions.counters.list(&mut list);
        list.push(("decisions_sent", self.followers.sent));
        list.push(("equivocations_proven", self.evidence.proofs));
        let names = ["nodes_healthy", "nodes_recovering", "nodes_suspect", "nodes_faulty"];
        let states = self.health.as_ref().map_or([0; 4], Ledger::node_counts);
        list.extend(names.into_iter().zip(states));
        self.sampler.list(&mut list);
        list.push(("encode_failed", self.signer.failed));
        list.extend(self.verifier.counters().iter());
        list
    }
}
