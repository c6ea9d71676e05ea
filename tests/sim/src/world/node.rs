//! A node: its clock, its disk, its role while it is up, and what is expected of it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use centauri_roles::{Client, Follower, Monitor, Relay, Replica, Role, Source};
use centauri_wire::{Limits, NodeId};

use super::decider::Decider;
use super::health::Health;
use super::journal::Journal;
use crate::model::{Acceptance, AskedOf, Requests, Rounds};
use crate::sabotage::Subject;
use crate::{CLIENT, Clock, Dice, Disk, FaultyDisk, Plan, RingPlan, SoundDisk, ring_id, source_id};

/// A role at work.
#[derive(Debug)]
pub(super) enum Actor {
    Source(Box<Source>),
    Replica(Box<Replica>),
    Monitor(Box<Monitor>),
    Client(Box<Subject>),
    /// A client besides the client.
    Decider(Box<Client>),
    Relay(Box<Relay>),
    Follower(Box<Follower>),
}

impl Actor {
    pub(super) fn role(&mut self) -> &mut dyn Role {
        match self {
            Self::Source(source) => source.as_mut(),
            Self::Replica(replica) => replica.as_mut(),
            Self::Monitor(monitor) => monitor.as_mut(),
            Self::Client(client) => client.as_mut(),
            Self::Decider(client) => client.as_mut(),
            Self::Relay(relay) => relay.as_mut(),
            Self::Follower(follower) => follower.as_mut(),
        }
    }

    fn as_role(&self) -> &dyn Role {
        match self {
            Self::Source(source) => source.as_ref(),
            Self::Replica(replica) => replica.as_ref(),
            Self::Monitor(monitor) => monitor.as_ref(),
            Self::Client(client) => client.as_ref(),
            Self::Decider(client) => client.as_ref(),
            Self::Relay(relay) => relay.as_ref(),
            Self::Follower(follower) => follower.as_ref(),
        }
    }
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) clock: Clock,
    pub(super) disk: Box<dyn Disk>,
    /// `None` while it is down.
    pub(super) actor: Option<Actor>,
    /// It is not called before.
    pub(super) busy_until_ns: i64,
    /// When it is called next, in simulated time.
    pub(super) due_ns: Option<i64>,
    /// Datagrams given to it since it started.
    pub(super) delivered: u64,
    pub(super) acceptance: Acceptance,
    /// The client's, while it is up.
    pub(super) client: Option<ExpectedClient>,
    /// What the client's driver keeps, while it is up.
    pub(super) journal: Option<Journal>,
    /// Its counters after the last step.
    pub(super) counters: Counted,
    /// The requests that it has to serve, while it is up.
    pub(super) requests: Option<Requests>,
    /// Those that it has made.
    pub(super) asked: AskedOf,
    /// What it decides if it is not the client, as a plan of its own.
    pub(super) stage: Option<Rc<Plan>>,
    /// What it has to decide of that, while it is up.
    pub(super) decider: Option<Decider>,
    /// The newest round of each stream that it has decided, if it is not the client.
    pub(super) newest: BTreeMap<usize, i64>,
    /// Stream and round of what it has followed since it started, and decisions that it has not told yet.
    pub(super) followed: BTreeSet<(u32, i64)>,
    pub(super) to_follow: u64,
}

/// What is expected of a client besides the acceptance of frames.
#[derive(Debug)]
pub(super) struct ExpectedClient {
    pub(super) rounds: Rounds,
    /// Distributions that were accepted under names of the model, and those that were told of.
    pub(super) published: u64,
    pub(super) told: u64,
    pub(super) proofs: u64,
    pub(super) unused: u64,
    pub(super) unexpected: u64,
    pub(super) installed: u64,
    /// What it may think of the replicas, if it judges them.
    pub(super) health: Option<Health>,
    /// Subscriptions that it took up from its disk.
    pub(super) restored: u64,
}

impl ExpectedClient {
    pub(super) fn new(plan: &Plan, now_ns: i64, first_rounds: &[i64]) -> Self {
        let rounds = Rounds::new(plan, now_ns, first_rounds);
        let health = plan.health.map(|policy| Health::new(plan, policy, None));
        Self {
            rounds,
            health,
            published: 0,
            told: 0,
            proofs: 0,
            unused: 0,
            unexpected: 0,
            installed: 0,
            restored: 0,
        }
    }
}

/// Counters by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted(pub(super) Vec<(&'static str, u64)>);

impl Counted {
    /// The count of that name; `None` where there is none.
    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, count)| *count)
    }

    /// How much more there is than before.
    pub(super) fn more_than(&self, before: &Self, name: &str) -> u64 {
        self.get(name).unwrap_or(0).wrapping_sub(before.get(name).unwrap_or(0))
    }

    pub(super) fn rejected(&self) -> u64 {
        self.0.iter().filter(|(name, _)| name.starts_with("rejected_")).map(|(_, count)| count).sum()
    }
}

impl Node {
    pub(super) fn new(plan: &Plan, id: NodeId) -> Self {
        Self {
            id,
            clock: plan.clock(id),
            disk: match &plan.disk {
                Some(disk) if id == CLIENT => Box::new(FaultyDisk::new(disk, plan.seed)),
                _ => Box::new(SoundDisk::default()),
            },
            actor: None,
            busy_until_ns: 0,
            due_ns: None,
            delivered: 0,
            acceptance: Acceptance::new(id.0, Limits::default(), BTreeSet::new()),
            client: None,
            journal: None,
            counters: Counted::default(),
            requests: None,
            asked: AskedOf::default(),
            stage: plan.decided_by(id).map(Rc::new),
            decider: None,
            newest: BTreeMap::new(),
            followed: BTreeSet::new(),
            to_follow: 0,
        }
    }

    /// It is gone, with all that it had not written.
    pub(super) fn forget(&mut self) {
        (self.actor, self.client, self.journal) = (None, None, None);
        (self.requests, self.decider) = (None, None);
        self.disk.crash();
    }

    pub(super) fn is_client(&self) -> bool {
        self.id == CLIENT
    }

    /// The sender and stream of all records that it asks for.
    pub(super) fn tracked(&self, plan: &Plan) -> BTreeSet<(u32, u32)> {
        let decided = |plan: &Plan| -> BTreeSet<(u32, u32)> {
            let replicas = (0..plan.replicas).map(|place| plan.replica(place).0);
            let streams = || plan.streams.iter().map(|stream| stream.number);
            replicas.flat_map(|node| streams().map(move |stream| (node, stream))).collect()
        };
        match self.id.0 {
            11..=20 => (0..plan.sources).map(|place| (source_id(place).0, source_id(place).0)).collect(),
            27..=30 => {
                let place = (0..RingPlan::NODES_MAX).find(|place| ring_id(*place) == self.id);
                let source = place.zip(plan.ring).map(|(place, ring)| ring.source(place));
                source.map(|(node, stream)| (node.0, stream)).into_iter().collect()
            }
            51.. => plan.streams.iter().map(|stream| (CLIENT.0, stream.number)).collect(),
            _ if self.id == CLIENT => decided(plan),
            _ => self.stage.as_ref().map(|stage| decided(stage)).unwrap_or_default(),
        }
    }

    /// What is due next by its own word, by its clock.
    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.actor.as_ref().and_then(|actor| actor.as_role().next_deadline())
    }

    /// Looks up when it is to be called next: a client when the simulator expects a decision, too, whatever it says itself.
    pub(super) fn schedule(&mut self, plan: &Plan, at_ns: i64) {
        let of_client = self.client.as_ref().and_then(|client| client.rounds.next_deadline());
        let of_decider = self.decider.as_ref().and_then(|decider| decider.rounds.next_deadline());
        let of_requests = self.requests.as_ref().and_then(Requests::next_expiry_ns);
        let expected = [of_client, of_decider, of_requests].into_iter().flatten().min();
        let local = [self.next_deadline(), expected].into_iter().flatten().min();
        self.due_ns = local.filter(|_| self.actor.is_some()).map(|local_ns| {
            let due_ns = self.clock.first_at_ns(local_ns) + lateness(plan, self.id, local_ns);
            due_ns.max(self.busy_until_ns).max(at_ns)
        });
    }

    pub(super) fn count(&self) -> Counted {
        Counted(self.actor.as_ref().map(|actor| actor.as_role().counters()).unwrap_or_default())
    }
}

/// How late a node is called for what is due at `local_ns`.
fn lateness(plan: &Plan, id: NodeId, local_ns: i64) -> i64 {
    if plan.driver.late <= 0.0 {
        return 0;
    }
    let mut dice = Dice::new(plan.seed ^ local_ns.unsigned_abs(), 3_000 + u64::from(id.0));
    if dice.chance(plan.driver.late) { dice.between(0, plan.driver.late_ns) } else { 0 }
}
