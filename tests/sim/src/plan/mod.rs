//! What a run consists of: everything that is fixed before it begins.

mod random;
mod wider;

use std::collections::{BTreeMap, BTreeSet};

use centauri_engine::{Computation, Objective};
use centauri_roles::health::HealthPolicy;
use centauri_roles::{
    Behaviour, DistributionPolicy, Pacing, RequestPolicy, ReservationPolicy, SubscriberLimits,
};
use centauri_wire::{Limits, NodeId, VerifierChoice};

pub use wider::{Asked, LaterPlan, RingPlan};

use crate::{
    CLIENT, Clock, EPOCH_NS, LATER, MONITOR, OTHER_CLIENT, follower_id, relay_id, replica_id, ring_id,
    source_id,
};

/// A millisecond.
pub const MS: i64 = 1_000_000;

/// A logical stream.
#[derive(Debug, Clone)]
pub struct StreamPlan {
    /// Its number in frames; its name in the model is the same.
    pub number: u32,
    /// When round 0 opens.
    pub epoch_ns: i64,
    /// The rounds' length.
    pub period_ns: i64,
    /// When a replica sends its result, after the round opens.
    pub replica_deadline_ns: i64,
    /// When the client decides, after the round opens.
    pub close_after_ns: i64,
    /// What replicas compute.
    pub computation: Computation,
    /// How the client decides.
    pub objective: Objective,
    /// Whether the prior follows the stream.
    pub follows: bool,
    /// How it is asked for, if replicas compute it on request only.
    pub asked: Option<Asked>,
}

/// A replica that lies.
#[derive(Debug, Clone, Default)]
pub struct Liar {
    /// What it tells instead of what it computed.
    pub behaviour: Behaviour,
    /// How often it makes a frame by hand, with its own key; `None` for never.
    pub by_hand_every_ns: Option<i64>,
    /// Added to what it tells the monitor.
    pub sample_offset: f64,
}

/// Nodes that are cut off from all others for a time.
#[derive(Debug, Clone)]
pub struct Partition {
    /// When it begins.
    pub from_ns: i64,
    /// When it ends.
    pub until_ns: i64,
    /// Who is on one side.
    pub nodes: BTreeSet<u32>,
}

/// How datagrams fare.
#[derive(Debug, Clone)]
pub struct NetworkPlan {
    /// Mean probability of a loss; each link has its own, from none to twice as much.
    pub loss: f64,
    /// Probability of a second copy.
    pub duplication: f64,
    /// The least time under way.
    pub delay_ns: i64,
    /// Mean of what comes on top of it, which differs from datagram to datagram: they overtake each other.
    pub jitter_ns: i64,
    /// Probability that a datagram is held up for a long time.
    pub held_up: f64,
    /// How long it then takes at most.
    pub held_up_ns: i64,
    /// Datagrams arrive at multiples of this: what falls on one is received together.
    pub grid_ns: i64,
    /// Who is cut off when.
    pub partitions: Vec<Partition>,
}

/// Somebody without a key, who reads everything and sends anything.
#[derive(Debug, Clone, Copy)]
pub struct OutsiderPlan {
    /// How often it sends something.
    pub every_ns: i64,
    /// Probability that it sends a damaged copy of a frame ahead of the frame itself.
    pub ahead: f64,
    /// Probability that what it sends is a flood.
    pub flood: f64,
}

/// How punctual the programs around the roles are.
#[derive(Debug, Clone, Copy, Default)]
pub struct DriverPlan {
    /// Probability that a node is called late.
    pub late: f64,
    /// How late at most.
    pub late_ns: i64,
    /// How often the client is called for nothing; `None` for never.
    pub early_every_ns: Option<i64>,
}

/// The client's disk, and what it keeps there.
#[derive(Debug, Clone)]
pub struct DiskPlan {
    /// How far ahead timestamps are reserved.
    pub reservation: ReservationPolicy,
    /// How often what has come is written.
    pub look_ns: i64,
    /// How long a write takes at most.
    pub write_ns: i64,
    /// Probability that it takes up to `slow_ns` instead.
    pub slow: f64,
    /// How long a slow write takes at most.
    pub slow_ns: i64,
    /// Probability that a write fails, or that the disk says so.
    pub fail: f64,
    /// When the disk is full: from, and until.
    pub full: Vec<(i64, i64)>,
}

impl DiskPlan {
    /// Whether there is no room at this simulated time.
    #[must_use]
    pub fn is_full(&self, at_ns: i64) -> bool {
        self.full.iter().any(|(from_ns, until_ns)| (*from_ns..*until_ns).contains(&at_ns))
    }
}

/// Something that happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// It loses its memory, and comes back at this time.
    Crash {
        /// When it starts again.
        until_ns: i64,
        /// How long it then takes to get going: datagrams wait for it.
        slow_ns: i64,
    },
    /// It ends in an orderly way, and comes back at this time.
    End {
        /// When it starts again.
        until_ns: i64,
    },
    /// It does nothing until this time; datagrams wait.
    Pause {
        /// When it goes on.
        until_ns: i64,
    },
    /// Its clock is set.
    SetClock {
        /// By so much ahead, or back.
        by_ns: i64,
    },
}

/// Everything that is fixed before a run begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What all that is left to chance comes of.
    pub seed: u64,
    /// How long the run is.
    pub length_ns: i64,
    /// How many sources.
    pub sources: usize,
    /// How often each takes a reading.
    pub reading_every_ns: i64,
    /// How many replicas.
    pub replicas: usize,
    /// How many of them the model takes to lie at most.
    pub faults: usize,
    /// Those that do, by place.
    pub liars: BTreeMap<usize, Liar>,
    /// The logical streams.
    pub streams: Vec<StreamPlan>,
    /// Clocks that are not right, by node.
    pub clocks: BTreeMap<u32, Clock>,
    /// The acceptance of frames.
    pub limits: Limits,
    /// How nodes ask for streams.
    pub request: RequestPolicy,
    /// How datagrams fare.
    pub network: NetworkPlan,
    /// The outsider.
    pub outsider: Option<OutsiderPlan>,
    /// How punctual drivers are.
    pub driver: DriverPlan,
    /// How the client judges replicas; `None` for not at all.
    pub health: Option<HealthPolicy>,
    /// What the client's disk is like, if it keeps anything; then it is in one piece.
    pub disk: Option<DiskPlan>,
    /// What happens when to whom.
    pub happenings: Vec<(i64, NodeId, Happening)>,
    /// How often the monitor publishes; `None` for no monitor.
    pub publish_every_ns: Option<i64>,
    /// Into how many shards the client is divided: 1 for none.
    pub shards: usize,
    /// How much the client takes on.
    pub pacing: Pacing,
    /// What verifies the client's signatures.
    pub verifier: VerifierChoice,
    /// Whether the client decides by the SIMD backend; by the scalar one if not.
    pub simd: bool,
    /// So many bytes of frames the client keeps for proofs.
    pub evidence_bytes: usize,
    /// How the client uses what the monitor publishes.
    pub distributions: DistributionPolicy,
    /// How many requests nodes serve.
    pub subscribers: SubscriberLimits,
    /// Replicas that fail together, by place; each of them counts as one fault.
    pub groups: Vec<Vec<usize>>,
    /// How many nodes follow the client's decisions.
    pub followers: usize,
    /// Whether another client asks for the same computations in other words.
    pub has_other_client: bool,
    /// A later stage, which decides on the first stream.
    pub later: Option<LaterPlan>,
    /// Replicas that wait for each other.
    pub ring: Option<RingPlan>,
    /// The number of the first replica that is decided on.
    pub first_replica: NodeId,
}

impl Plan {
    /// Three sources, four honest replicas of which one might lie, one stream of 20 rounds a second, a network that loses nothing:
    /// what scenarios start from.
    #[must_use]
    pub fn calm(seed: u64) -> Self {
        let stream = StreamPlan {
            number: 1,
            epoch_ns: EPOCH_NS,
            period_ns: 50 * MS,
            replica_deadline_ns: 60 * MS,
            close_after_ns: 80 * MS,
            computation: Computation::Mean,
            objective: Objective::Marginal,
            follows: false,
            asked: None,
        };
        Self {
            seed,
            length_ns: 2_000 * MS,
            sources: 3,
            reading_every_ns: 20 * MS,
            replicas: 4,
            faults: 1,
            liars: BTreeMap::new(),
            streams: vec![stream],
            clocks: BTreeMap::new(),
            limits: Limits::default(),
            request: RequestPolicy { ttl_ns: 400 * MS, retry_ns: 40 * MS, ..RequestPolicy::default() },
            network: NetworkPlan {
                loss: 0.0,
                duplication: 0.0,
                delay_ns: MS,
                jitter_ns: MS,
                held_up: 0.0,
                held_up_ns: 0,
                grid_ns: 250_000,
                partitions: Vec::new(),
            },
            outsider: None,
            driver: DriverPlan::default(),
            health: None,
            disk: None,
            happenings: Vec::new(),
            publish_every_ns: None,
            shards: 1,
            pacing: Pacing::default(),
            verifier: VerifierChoice::Auto,
            simd: true,
            evidence_bytes: 1 << 16,
            distributions: DistributionPolicy::default(),
            subscribers: SubscriberLimits::default(),
            groups: Vec::new(),
            followers: 0,
            has_other_client: false,
            later: None,
            ring: None,
            first_replica: replica_id(0),
        }
    }

    /// The clock of a node.
    #[must_use]
    pub fn clock(&self, node: NodeId) -> Clock {
        self.clocks.get(&node.0).copied().unwrap_or_default()
    }

    /// The nodes that take part.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = (0..self.sources).map(source_id).collect();
        nodes.extend((0..self.replicas).map(replica_id));
        if self.publish_every_ns.is_some() {
            nodes.push(MONITOR);
        }
        nodes.push(CLIENT);
        if let Some(later) = &self.later {
            nodes.extend((0..later.relays).map(relay_id));
            nodes.push(LATER);
        }
        if let Some(ring) = self.ring {
            nodes.extend((0..ring.nodes).map(ring_id));
        }
        if self.has_other_client {
            nodes.push(OTHER_CLIENT);
        }
        nodes.extend((0..self.followers).map(follower_id));
        nodes
    }

    /// The truth that sources measure, at a time of their clock.
    #[must_use]
    pub fn truth(&self, local_ns: i64) -> f64 {
        let second = local_ns.wrapping_sub(EPOCH_NS) as f64 * 1e-9;
        20.0 + 4.0 * (std::f64::consts::TAU * second / 3.0).sin()
    }
}

impl StreamPlan {
    /// The round that is open at a time of the local clock.
    #[must_use]
    pub fn round_at(&self, local_ns: i64) -> i64 {
        (i128::from(local_ns) - i128::from(self.epoch_ns)).div_euclid(i128::from(self.period_ns)) as i64
    }
}
