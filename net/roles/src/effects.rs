//! What a role wants done, in order.

use std::net::SocketAddr;
use std::ops::Range;

use centauri_engine::{Decision, Distribution, Quorum, Report, StreamId};
use centauri_wire::{EquivocationProof, NodeId, Outcome};

use crate::follower::Followed;
use crate::health::HealthEvent;

/// What a role wants done, in order; kept and reused by the driver, so that a steady state allocates nothing.
///
/// ```
/// use centauri_roles::{Effect, Effects};
/// let mut effects = Effects::new();
/// // … role.handle(now, from, bytes, &mut effects) …
/// for effect in effects.iter() {
///     if let Effect::Send { to, bytes } = effect { /* socket.send_to(bytes, to) */ }
/// }
/// effects.clear();
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    items: Vec<Item>,
    /// The frames, one after the other.
    bytes: Vec<u8>,
    decided: Vec<Held>,
    honest: Vec<f64>,
    reports: Vec<Report>,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Send { to: SocketAddr, bytes: Range<usize> },
    Decided(usize),
    Followed(Followed),
    Published { name: String, distribution: Distribution },
    Proof { node: NodeId, first: Range<usize>, second: Range<usize> },
    Note(Note),
}

#[derive(Debug, Clone, PartialEq)]
struct Held {
    stream: StreamId,
    round: i64,
    deadline_ns: i64,
    closed_ns: i64,
    decision: Decision,
    honest: Option<Range<usize>>,
    reports: Range<usize>,
}

/// One thing to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect<'a> {
    /// Send a datagram.
    Send {
        /// To whom.
        to: SocketAddr,
        /// The signed frame.
        bytes: &'a [u8],
    },
    /// A round has been decided.
    Decided(Decided<'a>),
    /// A decision came from the engine that is followed.
    Followed(Followed),
    /// A distribution was published: by this monitor, or by a monitor that this client believes. The client's driver
    /// compiles it into a new fleet and installs that.
    Published {
        /// The distribution's name.
        name: &'a str,
        /// The distribution.
        distribution: &'a Distribution,
    },
    /// A node has signed two values for one round: both frames.
    Proof {
        /// The node.
        node: NodeId,
        /// What it signed.
        proof: EquivocationProof<'a>,
    },
    /// Something worth a line in a log.
    Note(&'a Note),
}

/// The decision on one round of a logical stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decided<'a> {
    /// The stream in the engine's fleet.
    pub stream: StreamId,
    /// The round.
    pub round: i64,
    /// When the round was to be closed.
    pub deadline_ns: i64,
    /// When it was.
    pub closed_ns: i64,
    /// The decision.
    pub decision: &'a Decision,
    /// For each replica in the model's order, the probability that it is honest; `None` without a quorum.
    pub honest: Option<&'a [f64]>,
    /// What came from each replica, in the model's order.
    pub reports: &'a [Report],
}

/// Something worth a line in a log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// A node subscribed, or renewed under another address.
    Subscribed {
        /// The node.
        node: NodeId,
        /// Where it receives.
        address: SocketAddr,
    },
    /// A node cancelled its subscription.
    Cancelled {
        /// The node.
        node: NodeId,
    },
    /// The first accepted frame of a node that was asked to stream.
    Heard {
        /// The node.
        node: NodeId,
    },
    /// A replica sent two different, validly signed values for one round: it is proven faulty.
    Equivocated {
        /// The logical stream in the engine's fleet.
        stream: StreamId,
        /// The round.
        round: i64,
        /// The replica.
        node: NodeId,
    },
    /// A node refuses what it was asked for; told once, and again when the reason changes.
    Refused {
        /// The node that refuses.
        node: NodeId,
        /// The kind of reason.
        outcome: Outcome,
        /// What it was asked for.
        query: String,
        /// The reason in its words.
        reason: String,
    },
    /// A node's clock is further off than the bound, surely.
    ClockOff {
        /// The node.
        node: NodeId,
        /// How far it is ahead, in nanoseconds.
        offset_ns: i64,
        /// How wrong that can be, either way.
        error_ns: i64,
    },
    /// A node's clock that was off may be within the bound again.
    ClockBack {
        /// The node.
        node: NodeId,
        /// How far it is ahead, in nanoseconds.
        offset_ns: i64,
        /// How wrong that can be, either way.
        error_ns: i64,
    },
    /// What is thought of a replica on a stream has changed.
    Health(HealthEvent),
    /// Rounds passed unattended and too many to be made up for; they get no decision.
    Skipped {
        /// The logical stream in the engine's fleet.
        stream: StreamId,
        /// The first of them.
        first: i64,
        /// How many.
        rounds: u64,
    },
    /// So many senders' samples of a distribution show a jump that the monitor has forgotten what was before it.
    Changed {
        /// The distribution's name.
        name: String,
        /// How many senders.
        senders: usize,
    },
    /// A published distribution has not been renewed for so long that decisions are made with a wider one.
    Aged {
        /// The distribution's name.
        name: String,
        /// How long it has not been renewed, in nanoseconds.
        age_ns: i64,
        /// How many times as wide it is taken to be.
        factor: f64,
    },
    /// A distribution so far from the one before that it is not used until another message confirms it.
    Doubted {
        /// The distribution's name.
        name: String,
    },
    /// The engine refused rounds; they get no decision.
    Undecided {
        /// How many.
        rounds: u64,
        /// Why.
        error: String,
    },
}

impl Effects {
    /// No effects.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the effects and keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
        self.decided.clear();
        self.honest.clear();
        self.reports.clear();
    }

    /// Takes over what another wants done, after one's own.
    pub(crate) fn append(&mut self, other: &Self) {
        let (bytes, honest, reports) = (self.bytes.len(), self.honest.len(), self.reports.len());
        let decided = self.decided.len();
        let moved = |range: &Range<usize>, by: usize| range.start + by..range.end + by;
        self.items.extend(other.items.iter().map(|item| match item {
            Item::Send { to, bytes: range } => Item::Send { to: *to, bytes: moved(range, bytes) },
            Item::Decided(at) => Item::Decided(at + decided),
            Item::Proof { node, first, second } => {
                Item::Proof { node: *node, first: moved(first, bytes), second: moved(second, bytes) }
            }
            other => other.clone(),
        }));
        self.decided.extend(other.decided.iter().map(|held| Held {
            honest: held.honest.as_ref().map(|range| moved(range, honest)),
            reports: moved(&held.reports, reports),
            ..held.clone()
        }));
        self.bytes.extend_from_slice(&other.bytes);
        self.honest.extend_from_slice(&other.honest);
        self.reports.extend_from_slice(&other.reports);
    }

    /// How many effects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The effects in order.
    pub fn iter(&self) -> impl Iterator<Item = Effect<'_>> {
        self.items.iter().filter_map(|item| self.view(item))
    }

    /// The frames to send, in order.
    pub fn sends(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.iter().filter_map(|effect| match effect {
            Effect::Send { to, bytes } => Some((to, bytes)),
            _ => None,
        })
    }

    /// The decisions, in order.
    pub fn decisions(&self) -> impl Iterator<Item = Decided<'_>> {
        self.decided.iter().filter_map(|held| self.view_decided(held))
    }

    // Every range kept is of the arenas as they are, so nothing is left out here.
    fn view<'a>(&'a self, item: &'a Item) -> Option<Effect<'a>> {
        Some(match item {
            Item::Send { to, bytes } => Effect::Send { to: *to, bytes: self.bytes.get(bytes.clone())? },
            Item::Decided(at) => Effect::Decided(self.view_decided(self.decided.get(*at)?)?),
            Item::Published { name, distribution } => Effect::Published { name, distribution },
            Item::Proof { node, first, second } => {
                let (first, second) = (self.bytes.get(first.clone())?, self.bytes.get(second.clone())?);
                Effect::Proof { node: *node, proof: EquivocationProof { first, second } }
            }
            Item::Followed(followed) => Effect::Followed(*followed),
            Item::Note(note) => Effect::Note(note),
        })
    }

    fn view_decided<'a>(&'a self, held: &'a Held) -> Option<Decided<'a>> {
        let honest = match &held.honest {
            Some(range) => Some(self.honest.get(range.clone())?),
            None => None,
        };
        Some(Decided {
            stream: held.stream,
            round: held.round,
            deadline_ns: held.deadline_ns,
            closed_ns: held.closed_ns,
            decision: &held.decision,
            honest,
            reports: self.reports.get(held.reports.clone())?,
        })
    }

    /// Keeps a frame; it can then be sent to several addresses.
    pub(crate) fn keep(&mut self, frame: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame);
        start..self.bytes.len()
    }

    /// Sends a kept frame.
    pub(crate) fn send_kept(&mut self, to: SocketAddr, bytes: Range<usize>) {
        self.items.push(Item::Send { to, bytes });
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, to: SocketAddr, frame: &[u8]) {
        let bytes = self.keep(frame);
        self.send_kept(to, bytes);
    }

    pub(crate) fn proof(&mut self, node: NodeId, first: &[u8], second: &[u8]) {
        let (first, second) = (self.keep(first), self.keep(second));
        self.items.push(Item::Proof { node, first, second });
    }

    pub(crate) fn followed(&mut self, followed: Followed) {
        self.items.push(Item::Followed(followed));
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.items.push(Item::Note(note));
    }

    pub(crate) fn published(&mut self, name: &str, distribution: Distribution) {
        self.items.push(Item::Published { name: name.to_owned(), distribution });
    }

    /// Keeps what was reported in a round that is about to be decided.
    pub(crate) fn keep_reports(&mut self, reports: &[Report]) -> Range<usize> {
        let start = self.reports.len();
        self.reports.extend_from_slice(reports);
        start..self.reports.len()
    }

    /// Who was proven faulty by reports that were kept.
    pub(crate) fn equivocated(&self, kept: Range<usize>) -> Quorum {
        let reports = self.reports(kept).iter().enumerate();
        reports.filter(|(_, report)| **report == Report::Equivocated).map(|(place, _)| place).collect()
    }

    /// Reports that were kept.
    pub(crate) fn reports(&self, kept: Range<usize>) -> &[Report] {
        self.reports.get(kept).unwrap_or_default()
    }

    pub(crate) fn decided(
        &mut self,
        stream: StreamId,
        closed: &crate::client::Closed,
        decision: Decision,
        honest: Option<&[f64]>,
    ) {
        let honest = honest.map(|honest| {
            let start = self.honest.len();
            self.honest.extend_from_slice(honest);
            start..self.honest.len()
        });
        self.items.push(Item::Decided(self.decided.len()));
        self.decided.push(Held {
            stream,
            round: closed.round,
            deadline_ns: closed.deadline_ns,
            closed_ns: closed.closed_ns,
            decision,
            honest,
            reports: closed.reports.clone(),
        });
    }
}
