//! The fleet that sends: groups of seven replicas with a key each, and the client that decides their streams.

use crate::fleet::seed::{self, generator};
use crate::speed::work::{MODELS, Work};
use centauri_engine::{Fleet, ModelSet, Session, StreamSpec};
use centauri_roles::{Client, ClientConfig, ClientStream, RoundTiming, Windows};
use centauri_wire::{
    KeyFile, Limits, NodeEntry, NodeId, Registry, Role, SigningIdentity, StreamId, VerifierChoice,
};
use rand::Rng as _;
use std::sync::Arc;

/// Replicas of a group: those of work A.
pub const REPLICAS: usize = 7;
/// Length of a round in the run's own time, in nanoseconds; a round is decided when the next one opens.
pub const PERIOD_NS: i64 = 1_000_000_000;
/// The client's number in the registry.
const CLIENT: NodeId = NodeId(1);
/// A node whose role may not send streams.
const MONITOR: NodeId = NodeId(2);
/// A number that the registry does not have.
pub const NOBODY: NodeId = NodeId(3);
const FIRST: u32 = 100;

/// Who sends, and what about.
#[derive(Debug)]
pub struct Senders {
    /// The replicas, group after group.
    pub nodes: Vec<SigningIdentity>,
    /// The node that may not send streams.
    pub monitor: SigningIdentity,
    /// Streams of each group.
    pub streams_each: usize,
    client: SigningIdentity,
    registry: Arc<Registry>,
    fleet: Fleet,
}

impl Senders {
    /// `groups` groups, each with `streams_each` streams.
    ///
    /// # Errors
    /// Nothing that numbers in their ranges bring about.
    pub fn new(groups: usize, streams_each: usize, seed: u64) -> anyhow::Result<Self> {
        let mut rng = generator(seed::of(seed, "keys"));
        let mut identity = |id: NodeId| {
            let mut secret = [0; 32];
            rng.fill_bytes(&mut secret);
            KeyFile::generate(secret).identity(id)
        };
        let (client, monitor) = (identity(CLIENT), identity(MONITOR));
        let nodes: Vec<SigningIdentity> =
            (FIRST..).take(groups * REPLICAS).map(|id| identity(NodeId(id))).collect();
        let entry = |identity: &SigningIdentity, role: Role| NodeEntry {
            id: identity.id(),
            name: format!("{role}-{}", identity.id()),
            role,
            key: identity.public_key(),
        };
        let mut entries = vec![entry(&client, Role::Engine), entry(&monitor, Role::Monitor)];
        entries.extend(nodes.iter().map(|node| entry(node, Role::Replica)));
        let registry = Arc::new(Registry::new(entries)?);
        let fleet =
            Fleet::compile(&ModelSet { streams: specs(groups * streams_each)?, ..ModelSet::default() })?;
        Ok(Self { nodes, monitor, streams_each, client, registry, fleet })
    }

    /// All streams.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.fleet.streams().len()
    }

    /// The nodes, with their keys.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The number, in frames, of a stream of a group.
    #[must_use]
    pub fn stream(&self, group: usize, at: usize) -> StreamId {
        StreamId((group * self.streams_each + at) as u32)
    }

    /// A client that has heard nothing and begins with round 0 at time 0. Its backend is SIMD on the thread that calls, so
    /// that the thread's time is all there is.
    ///
    /// # Errors
    /// Nothing that a fleet made here brings about.
    pub fn client(&self, verifier: VerifierChoice) -> anyhow::Result<Client> {
        let timing = RoundTiming { windows: Windows::new(0, PERIOD_NS)?, close_after_ns: PERIOD_NS };
        let stream = |number: usize, name: &str| {
            let group = number / self.streams_each;
            let replicas = self.nodes.iter().skip(group * REPLICAS).take(REPLICAS).map(SigningIdentity::id);
            ClientStream {
                name: name.to_owned(),
                stream: StreamId(number as u32),
                replicas: replicas.collect(),
                timing,
                first_round: 0,
            }
        };
        let streams = self.fleet.streams().iter().enumerate();
        let config = ClientConfig {
            streams: streams.map(|(number, spec)| stream(number, spec.name())).collect(),
            // Signed before the run, some seconds at most of which lie between; what is stale is so by an hour.
            limits: Limits {
                past_ns: 600 * 1_000_000_000,
                future_ns: 600 * 1_000_000_000,
                ..Limits::default()
            },
            verifier,
            ..ClientConfig::default()
        };
        let session = Session::new(self.fleet.clone(), Box::new(centauri::backends::simd(None, Some(1))?));
        Ok(Client::new(&config, Arc::clone(&self.registry), self.client.clone(), session, 0)?)
    }
}

/// Streams of work A's models.
fn specs(streams: usize) -> anyhow::Result<Vec<StreamSpec>> {
    let work = Work::named("A").ok_or_else(|| anyhow::anyhow!("there is no work A"))?;
    let models = (0..MODELS).map(|k| work.stream(k)).collect::<Result<Vec<_>, _>>()?;
    let named = |(number, model): (usize, &StreamSpec)| StreamSpec {
        name: format!("stream-{number}"),
        ..model.clone()
    };
    Ok(models.iter().cycle().take(streams).enumerate().map(named).collect())
}
