//! The client in the simulator, and known bugs that can be put around it and around other nodes: what a simulator does not find,
//! it does not check.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use centauri_engine::Fleet;
use centauri_roles::{AcceptedSet, Client, ClientShard, Effects, InstallError, Received, Role, Sharding};

use centauri_wire::Limits;

use crate::frame::{ReadFrame, ReadRecord, Said, read_frame};
use crate::{MONITOR, replica_id};

/// A bug put around the real client, or around other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sabotage {
    /// None: the client as it is.
    #[default]
    None,
    /// Nonces are remembered before the signature is verified: whoever forges a frame ahead of it shuts out the real one.
    NonceBeforeSignature,
    /// Rounds are closed this many nanoseconds after their deadline.
    ClosesLate(i64),
    /// A report that comes after the deadline counts as long as the round has not been closed.
    CountsLate,
    /// Of two values of a replica for a round the second is never looked at.
    SparesEquivocators,
    /// Timestamps have no floor when the client starts: what it accepted before it went down it accepts once more.
    NoFloor,
    /// A client that starts goes by its clock alone and forgets what is reserved on its disk, though senders' clocks may be ahead.
    ForgetsReservation,
    /// A replica goes on computing after the request for it has expired.
    RunsOn,
    /// A request that comes after its cancellation begins again what was cancelled.
    RevivesCancelled,
    /// A replica of a later stage does not say how sure it is.
    ForgetsSpread,
    /// A node takes an answer for its own that is for another node.
    AnswersFromAnybody,
}

impl Sabotage {
    /// All of them with their names on the command line.
    pub const ALL: [(&'static str, Self); 11] = [
        ("none", Self::None),
        ("nonce-before-signature", Self::NonceBeforeSignature),
        ("closes-late", Self::ClosesLate(3_000_000)),
        ("counts-late", Self::CountsLate),
        ("spares-equivocators", Self::SparesEquivocators),
        ("no-floor", Self::NoFloor),
        ("forgets-reservation", Self::ForgetsReservation),
        ("runs-on", Self::RunsOn),
        ("revives-cancelled", Self::RevivesCancelled),
        ("forgets-spread", Self::ForgetsSpread),
        ("answers-from-anybody", Self::AnswersFromAnybody),
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        let same = |known: Self| std::mem::discriminant(&known) == std::mem::discriminant(&self);
        Self::ALL.iter().find(|(_, known)| same(*known)).map_or("none", |(name, _)| name)
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(name, _)| *name == text);
        let names = || Self::ALL.map(|(name, _)| name).join(", ");
        known
            .map(|(_, sabotage)| *sabotage)
            .ok_or_else(|| format!("found {text:?}, expected one of {}", names()))
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A client, whole or in shards.
#[derive(Debug)]
enum Inner {
    Whole(Box<Client>),
    Divided(Vec<ClientShard>, Sharding),
}

/// The client as the simulator drives it.
#[derive(Debug)]
pub(crate) struct Subject {
    inner: Inner,
    sabotage: Sabotage,
    limits: Limits,
    /// Sender, stream and nonce (or round) of what came, whoever had signed it.
    seen: BTreeSet<(u32, u32, u64)>,
    /// Frames kept from the client, which it would have counted as replays.
    withheld: u64,
}

impl Subject {
    pub(crate) fn whole(client: Client, sabotage: Sabotage, limits: Limits) -> Self {
        let inner = Inner::Whole(Box::new(client));
        Self { inner, sabotage, limits, seen: BTreeSet::new(), withheld: 0 }
    }

    pub(crate) fn divided(shards: Vec<ClientShard>, sharding: Sharding) -> Self {
        let inner = Inner::Divided(shards, sharding);
        let limits = Limits::default();
        Self { inner, sabotage: Sabotage::None, limits, seen: BTreeSet::new(), withheld: 0 }
    }

    /// Whether rounds may be closed as datagrams are taken in, too: shards look into their queues after each batch.
    pub(crate) fn ticks_always(&self) -> bool {
        matches!(self.inner, Inner::Divided(..))
    }

    /// Decides by what the monitor has published from now on.
    pub(crate) fn install(&mut self, fleet: &Fleet) -> Result<(), InstallError> {
        match &mut self.inner {
            Inner::Whole(client) => client.install(fleet.clone()),
            Inner::Divided(shards, _) => shards.iter_mut().try_for_each(|shard| shard.install(fleet.clone())),
        }
    }

    /// The client in one piece; `None` of one in shards.
    pub(crate) fn whole_mut(&mut self) -> Option<&mut Client> {
        match &mut self.inner {
            Inner::Whole(client) => Some(client),
            Inner::Divided(..) => None,
        }
    }

    /// Hands over what the bug does not keep from the client.
    fn handle_kept(&mut self, now_ns: i64, datagrams: &[Received<'_>], effects: &mut Effects) -> AcceptedSet {
        let mut accepted = AcceptedSet::default();
        for (place, datagram) in datagrams.iter().enumerate() {
            if self.withholds(now_ns, datagram.bytes) {
                self.withheld += 1;
            } else if self.inner.handle(now_ns, &[*datagram], effects).contains(0) {
                accepted.insert(place);
            }
        }
        accepted
    }

    /// How many parts install a fleet.
    pub(crate) fn parts(&self) -> u64 {
        match &self.inner {
            Inner::Whole(_) => 1,
            Inner::Divided(shards, _) => shards.len() as u64,
        }
    }

    /// Whether the bug keeps this frame from the client. What would not come as far as the nonces is left alone, as it would be
    /// by a client that had the bug inside.
    fn withholds(&mut self, now_ns: i64, bytes: &[u8]) -> bool {
        let Some(frame) = read_frame(bytes) else { return false };
        let ReadFrame { sender, timestamp_ns, said: Said::Stream(records), .. } = frame else { return false };
        let oldest = now_ns.saturating_sub_unsigned(self.limits.past_ns).max(self.limits.not_before_ns);
        let newest = now_ns.saturating_add_unsigned(self.limits.future_ns);
        let known = |record: &ReadRecord| (1..=3).contains(&record.stream) || record.stream >> 31 == 1;
        let is_replica = (replica_id(0).0..MONITOR.0).contains(&sender);
        if !(oldest..=newest).contains(&timestamp_ns) || !is_replica || !records.iter().all(known) {
            return false;
        }
        let key = |record: &ReadRecord| match self.sabotage {
            Sabotage::SparesEquivocators => (sender, record.stream, record.round as u64),
            _ => (sender, record.stream, record.nonce),
        };
        let keys: Vec<_> = records.iter().map(key).collect();
        // Every key is remembered, those after a fresh one too.
        keys.into_iter().filter(|key| self.seen.insert(*key)).count() == 0
    }
}

impl Inner {
    fn role(&mut self) -> Option<&mut dyn Role> {
        match self {
            Self::Whole(client) => Some(client.as_mut()),
            Self::Divided(..) => None,
        }
    }

    fn handle(&mut self, now_ns: i64, datagrams: &[Received<'_>], effects: &mut Effects) -> AcceptedSet {
        let (shards, sharding) = match self {
            Self::Whole(client) => return client.handle_batch(now_ns, datagrams, effects),
            Self::Divided(shards, sharding) => (shards, sharding),
        };
        let mut accepted = AcceptedSet::default();
        for (own, shard) in shards.iter_mut().enumerate() {
            let of_own = |datagram: &Received<'_>| sharding.of_frame(datagram.bytes) == own;
            let (places, some): (Vec<usize>, Vec<Received<'_>>) = datagrams
                .iter()
                .enumerate()
                .filter(|(_, datagram)| of_own(datagram))
                .map(|(at, d)| (at, *d))
                .unzip();
            // Only the first 64 of a batch are told of.
            for (chunk, places) in some.chunks(64).zip(places.chunks(64)) {
                let told = shard.handle_batch(now_ns, chunk, effects);
                places.iter().enumerate().filter(|(at, _)| told.contains(*at)).for_each(|(_, place)| {
                    accepted.insert(*place);
                });
            }
        }
        for shard in shards {
            shard.tick(now_ns, effects);
        }
        accepted
    }
}

impl Role for Subject {
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        self.handle_batch(now_ns, &[Received { from, bytes }], effects).contains(0)
    }

    fn handle_batch(
        &mut self,
        now_ns: i64,
        datagrams: &[Received<'_>],
        effects: &mut Effects,
    ) -> AcceptedSet {
        match self.sabotage {
            Sabotage::NonceBeforeSignature | Sabotage::SparesEquivocators => {
                self.handle_kept(now_ns, datagrams, effects)
            }
            Sabotage::CountsLate => {
                let due = self.inner.role().and_then(|role| role.next_deadline());
                self.inner.handle(due.map_or(now_ns, |due| due.min(now_ns)), datagrams, effects)
            }
            _ => self.inner.handle(now_ns, datagrams, effects),
        }
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        if let Sabotage::ClosesLate(_) = self.sabotage
            && self.next_deadline().is_some_and(|due| now_ns < due)
        {
            return;
        }
        match &mut self.inner {
            Inner::Whole(client) => client.tick(now_ns, effects),
            Inner::Divided(shards, _) => shards.iter_mut().for_each(|shard| shard.tick(now_ns, effects)),
        }
    }

    fn next_deadline(&self) -> Option<i64> {
        let due = match &self.inner {
            Inner::Whole(client) => client.next_deadline(),
            Inner::Divided(shards, _) => shards.iter().filter_map(Role::next_deadline).min(),
        };
        match self.sabotage {
            Sabotage::ClosesLate(by_ns) => due.map(|due| due.saturating_add(by_ns)),
            _ => due,
        }
    }

    /// Summed over shards, the largest taken where the name has `_max_` in it.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut all = match &self.inner {
            Inner::Whole(client) => client.counters(),
            Inner::Divided(shards, _) => summed(shards),
        };
        for (name, count) in &mut all {
            if matches!(*name, "frames_received" | "rejected_replayed") {
                *count += self.withheld;
            }
        }
        all
    }
}

fn summed(shards: &[ClientShard]) -> Vec<(&'static str, u64)> {
    let mut each = shards.iter().map(Role::counters);
    let mut all = each.next().unwrap_or_default();
    for list in each {
        for ((_, sum), (name, count)) in all.iter_mut().zip(list) {
            *sum = if name.contains("_max_") { count.max(*sum) } else { *sum + count };
        }
    }
    all
}
