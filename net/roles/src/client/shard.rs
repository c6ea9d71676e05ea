//! A part of a client that runs on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use centauri_engine::{Distribution, Fleet, Session};
use centauri_wire::{BatchVerifier, NodeId, Registry, SigningIdentity};

use super::crossing::Crossing;
use super::granted::Granted;
use super::{Client, ClientConfig, Sharding};
use crate::error::check_number;
use crate::health::{Ledger, SnapshotError};
use crate::requests::Kept;
use crate::{AcceptedSet, ConfigError, Effects, InstallError, Received, Role};

/// So often a shard that is not busy looks into its queues, in nanoseconds.
const LOOK_EVERY_NS: i64 = 5_000_000;

/// One of several parts of a client, each for a core of its own, that share the streams and the senders among them by
/// [`Sharding`]. Together they decide what one [`Client`] would, and count the same.
///
/// - A frame must come to the shard of the sender that it claims ([`Sharding::of_frame`]). One that comes to another is dropped
///   and counted (`frames_missteered`): otherwise it could be played back once to each shard.
/// - The shard of a sender verifies its frames, keeps its nonces, asks it to stream and samples its latency. Records of streams of
///   other shards go to those through queues that never make anybody wait: what finds a queue full is dropped and counted
///   (`records_shard_overflow`).
/// - The shard of a stream keeps its rounds and decides them. Before it decides anything it takes in what is in its queues, each
///   record judged by the time at which its frame was received. A record that was received in time but comes out of the queue
///   after the round was decided is late.
/// - A distribution is published by the shard of its monitor alone; the new fleet is to be installed in every shard.
/// - A request for decisions is judged and answered by the shard of its sender, which tells the others what it has granted: each sends
///   the decisions that it makes. Bounds on requests hold for all shards together.
/// - Each shard's ledger follows the nodes of its own streams; [`Ledger::take_over`] puts them together.
///
/// Counters are those of a client and the shards' own; summed over the shards (the largest taken of those with `_max_` in their
/// name) they are the whole client's, but for `nodes_…`: a node may be in the ledgers of several shards.
#[derive(Debug)]
pub struct ClientShard {
    client: Client,
    /// When the queues are looked into again.
    look_ns: i64,
    missteered: u64,
}

impl ClientShard {
    /// All shards of a client at time `now_ns`, one for each of the sessions, which all have the same fleet with all the streams.
    ///
    /// # Errors
    /// As [`Client::new`]; another number of sessions than of shards, or a number of the sharding out of its range.
    pub fn group(
        config: &ClientConfig,
        registry: &Arc<Registry>,
        identity: &SigningIdentity,
        sessions: Vec<Session>,
        now_ns: i64,
        sharding: Sharding,
    ) -> Result<Vec<Self>, ConfigError> {
        sharding.check()?;
        let found = sessions.len();
        check_number("sessions", found as i128, found == sharding.count, "one for each shard")?;
        let signatures = BatchVerifier::new(registry, config.verifier);
        let crossings = Crossing::group(sharding);
        let (granted, places) = Granted::group(sharding.count);
        let shard = |((session, crossing), granted)| {
            let parts = (identity.clone(), signatures.clone());
            let mut client =
                Client::with_crossing(config, Arc::clone(registry), parts, session, now_ns, crossing)?;
            client.followers.granted = granted;
            client.followers.subscriptions.sharing(places.clone());
            Ok(Self { client, look_ns: now_ns, missteered: 0 })
        };
        sessions.into_iter().zip(crossings).zip(granted).map(shard).collect()
    }

    /// Decides by `fleet` from the next round on, as [`Client::install`].
    ///
    /// # Errors
    /// A fleet of other streams; the one in force stays.
    pub fn install(&mut self, fleet: Fleet) -> Result<(), InstallError> {
        self.client.install(fleet)
    }

    /// Begins no round that opens after `now_ns`, as [`Client::drain`].
    pub fn drain(&mut self, now_ns: i64) {
        self.client.drain(now_ns);
    }

    /// Whether no round of its own streams is open and none will be. Others may still need what it verifies.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.client.is_drained()
    }

    /// Takes in what is in its queues and decides every round that has opened at once, as [`Client::finish`]. To lose no record,
    /// call it when no shard takes in frames any more.
    pub fn finish(&mut self, now_ns: i64, effects: &mut Effects) {
        self.client.take_crossed(effects);
        self.client.followers.exchange(now_ns);
        self.client.finish(now_ns, effects);
    }

    /// As [`Client::reserve_until`].
    pub fn reserve_until(&mut self, reserved_ns: i64) {
        self.client.reserve_until(reserved_ns);
    }

    /// As [`Client::published`], of this shard's monitors.
    pub fn published(&self) -> impl Iterator<Item = (&str, &Distribution, i64)> {
        self.client.published()
    }

    /// As [`Client::health`], of this shard's streams: it has an entry for all, and judges its own, whose nodes alone it follows.
    #[must_use]
    pub fn health(&self) -> Option<&Ledger> {
        self.client.health()
    }

    /// As [`Client::restore_health`], from the snapshot of a ledger of all streams: that of a client that was not divided, or of
    /// shards' put together.
    ///
    /// # Errors
    /// As there.
    pub fn restore_health(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.client.restore_health(snapshot)
    }

    /// As [`Client::kept_requests`], of this shard's senders.
    pub fn kept_requests(&self) -> impl Iterator<Item = ((NodeId, u64), Vec<u8>)> {
        self.client.kept_requests()
    }

    /// As [`Client::restore_request`], if it is of one of this shard's senders.
    pub fn restore_request(&mut self, now_ns: i64, kept: &[u8]) -> bool {
        let node = Kept::decode(kept).map(|kept| kept.node);
        node.is_some_and(|node| self.is_own_sender(node)) && self.client.restore_request(now_ns, kept)
    }

    /// Whether this shard takes in what the node sends.
    #[must_use]
    pub fn is_own_sender(&self, node: NodeId) -> bool {
        self.client.crossing.is_own_sender(node)
    }

    /// The nodes that are known.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.client.registry()
    }

    /// As [`Client::newest_accepted_ns`], of this shard's senders.
    #[must_use]
    pub fn newest_accepted_ns(&self) -> Option<i64> {
        self.client.newest_accepted_ns()
    }

    /// What verifies the signatures, and why nothing better does.
    #[must_use]
    pub fn signatures(&self) -> &BatchVerifier {
        self.client.signatures()
    }
}

impl Role for ClientShard {
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        self.handle_batch(now_ns, &[Received { from, bytes }], effects).contains(0)
    }

    fn handle_batch(
        &mut self,
        now_ns: i64,
        datagrams: &[Received<'_>],
        effects: &mut Effects,
    ) -> AcceptedSet {
        let Crossing { sharding, own, .. } = self.client.crossing;
        let mut accepted = AcceptedSet::default();
        let (mut first, mut runs) = (0, 0);
        // Mostly all of them are one run.
        for run in datagrams.split(|datagram| sharding.of_frame(datagram.bytes) != usize::from(own)) {
            accepted.extend(first, self.client.handle_batch(now_ns, run, effects));
            // A datagram that belongs elsewhere ends each run but the last.
            first += run.len() + 1;
            runs += 1;
        }
        self.missteered += u64::saturating_sub(runs, 1);
        self.client.crossing.flush();
        accepted
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        self.client.take_crossed(effects);
        self.client.followers.exchange(now_ns);
        self.look_ns = now_ns.saturating_add(LOOK_EVERY_NS);
        self.client.tick(now_ns, effects);
    }

    fn next_deadline(&self) -> Option<i64> {
        Some(self.client.next_deadline().map_or(self.look_ns, |due| due.min(self.look_ns)))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = self.client.counters();
        let Crossing { crossed, overflowed, .. } = self.client.crossing;
        list.push(("records_crossed", crossed));
        list.push(("records_shard_overflow", overflowed));
        list.push(("frames_missteered", self.missteered));
        list
    }
}
