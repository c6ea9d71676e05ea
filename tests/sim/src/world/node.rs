//! A node: its clock, its disk, its role while it is up, and what is expected of it.

use std::collections::BTreeSet;

use centauri_roles::{Monitor, Replica, Role, Source};
use centauri_wire::{Limits, NodeId};

use super::health::Health;
use super::journal::Journal;
use crate::model::{Acceptance, Rounds};
use crate::sabotage::Subject;
use crate::{CLIENT, Clock, Dice, Disk, FaultyDisk, Plan, SoundDisk, replica_id, source_id};

/// A role at work.
#[derive(Debug)]
pub(super) enum Actor {
    Source(Box<Source>),
    Replica(Box<Replica>),
    Monitor(Box<Monitor>),
    Client(Box<Subject>),
}

impl Actor {
    pub(super) fn role(&mut self) -> &mut dyn Role {
        match self {
            Self::Source(source) => source.as_mut(),
            Self::Replica(replica) => replica.as_mut(),
            Self::Monitor(monitor) => monitor.as_mut(),
            Self::Client(client) => client.as_mut(),
        }
    }

    fn as_role(&self) -> &dyn Role {
        match self {
            Self::Source(source) => source.as_ref(),
            Self::Replica(replica) => replica.as_ref(),
            Self::Monitor(monitor) => monitor.as_ref(),
            Self::Client(client) => client.as_ref(),
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
        }
    }

    pub(super) fn is_client(&self) -> bool {
        self.id == CLIENT
    }

    /// The sender and stream of all records that it asks for.
    pub(super) fn tracked(plan: &Plan, id: NodeId) -> BTreeSet<(u32, u32)> {
        match id.0 {
            11..=30 => (0..plan.sources).map(|place| (source_id(place).0, source_id(place).0)).collect(),
            41.. => {
                let of_replica =
                    |place| plan.streams.iter().map(move |stream| (replica_id(place).0, stream.number));
                (0..plan.replicas).flat_map(of_replica).collect()
            }
            _ => BTreeSet::new(),
        }
    }

    /// What is due next by its own word, by its clock.
    pub(super) fn next_deadline(&self) -> Option<i64> {
        self.actor.as_ref().and_then(|actor| actor.as_role().next_deadline())
    }

    /// Looks up when it is to be called next: a client when the simulator expects a decision, too, whatever it says itself.
    pub(super) fn schedule(&mut self, plan: &Plan, at_ns: i64) {
        let expected = self.client.as_ref().and_then(|client| client.rounds.next_deadline());
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
