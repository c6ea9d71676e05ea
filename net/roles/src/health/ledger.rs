//! The ledger: a record for each replica of each stream.

use super::HealthState;
use super::error::HealthError;
use super::evidence::Limits;
use super::policy::HealthPolicy;
use super::record::Record;
use super::shape::StreamShape;
use centauri_engine::Quorum;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The health of all replicas on all streams.
///
/// Memory: 8 bytes for each replica of each stream, 48 for each stream, and 16 for each node. A round takes some nanoseconds a
/// replica and allocates nothing.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) limits: Limits,
    pub(super) streams: Vec<Stream>,
    pub(super) records: Vec<Record>,
    /// For each node on how many streams it is in each state.
    nodes: Vec<NodeHealth>,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// Of its replicas among the records.
    first: usize,
    pub(super) replicas: u8,
    pub(super) faults: u8,
    units: u8,
    /// Shared by the streams that have the same; empty where each replica is a unit.
    groups: Arc<[Quorum]>,
    /// Shared likewise; empty where no nodes are followed.
    nodes: Arc<[u32]>,
}

/// A replica's state on a stream has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthEvent {
    /// The stream's index.
    pub stream: usize,
    /// The replica's position in its set.
    pub position: usize,
    /// Its node, where nodes are followed.
    pub node: Option<u32>,
    /// The round in which it happened.
    pub round: i64,
    /// The state before.
    pub from: HealthState,
    /// The state now.
    pub to: HealthState,
    /// M, from 1 to A: what who bets on its lying has won.
    pub statistic: f64,
    /// Whether it was proven by two values signed for one round.
    pub proven: bool,
}

/// A node over all its streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeHealth {
    /// Streams on which it is in each state, in the order of [`HealthState::ALL`].
    pub streams: [u32; 4],
}

impl NodeHealth {
    /// The worst state that it is in on any stream; healthy where it has none.
    #[must_use]
    pub fn worst(&self) -> HealthState {
        let found = HealthState::ALL.into_iter().zip(self.streams).rev().find(|&(_, streams)| streams > 0);
        found.map_or(HealthState::Healthy, |(state, _)| state)
    }
}

impl Ledger {
    /// A ledger in which every replica is healthy; streams are numbered in the order of `shapes`.
    ///
    /// # Errors
    /// A policy or a stream with a number outside its range.
    pub fn new(policy: HealthPolicy, shapes: &[StreamShape]) -> Result<Self, HealthError> {
        policy.check()?;
        let mut streams = Vec::with_capacity(shapes.len());
        let mut first = 0;
        let mut known_groups: BTreeMap<Vec<u128>, Arc<[Quorum]>> = BTreeMap::new();
        let mut known_nodes: BTreeMap<&[u32], Arc<[u32]>> = BTreeMap::new();
        for (stream, shape) in shapes.iter().enumerate() {
            shape.check(stream)?;
            let bits = shape.groups.iter().map(|group| group.bits()).collect();
            let groups = known_groups.entry(bits).or_insert_with(|| shape.groups.as_slice().into());
            let nodes = known_nodes.entry(&shape.nodes).or_insert_with(|| shape.nodes.as_slice().into());
            streams.push(Stream {
                first,
                // Checked: at most 128 of each.
                replicas: shape.replicas as u8,
                faults: shape.faults as u8,
                units: shape.units() as u8,
                groups: groups.clone(),
                nodes: nodes.clone(),
            });
            first += shape.replicas;
        }
        let mut ledger = Self {
            limits: Limits::of(&policy),
            streams,
            records: vec![Record::default(); first],
            nodes: Vec::new(),
        };
        ledger.count_nodes();
        Ok(ledger)
    }

    /// Counts each node's states anew.
    pub(super) fn count_nodes(&mut self) {
        let most = self.streams.iter().flat_map(|stream| stream.nodes.iter()).max();
        self.nodes.clear();
        self.nodes.resize(most.map_or(0, |&node| node as usize + 1), NodeHealth::default());
        for stream in &self.streams {
            let records = self.records.get(stream.first..).unwrap_or_default();
            for (record, &node) in records.iter().zip(stream.nodes.iter()) {
                if let Some(node) = self.nodes.get_mut(node as usize) {
                    node.streams[record.state() as usize] += 1;
                }
            }
        }
    }

    /// Takes over what another ledger of the same streams has on those of which it follows nodes: so the ledgers of a client's shards,
    /// each of which follows the nodes of its own streams, become one. Streams that differ stay as they are.
    pub fn take_over(&mut self, other: &Self) {
        for (own, theirs) in self.streams.iter_mut().zip(&other.streams) {
            let is_same =
                (own.first, own.replicas, own.faults) == (theirs.first, theirs.replicas, theirs.faults);
            if theirs.nodes.is_empty() || !is_same {
                continue;
            }
            let place = own.first..own.first + usize::from(own.replicas);
            if let (Some(to), Some(from)) = (self.records.get_mut(place.clone()), other.records.get(place)) {
                to.copy_from_slice(from);
                own.nodes = Arc::clone(&theirs.nodes);
            }
        }
        self.count_nodes();
    }

    /// Takes in a round: P(honest) of each replica, as decisions have it (`None` for a round without a quorum, which says
    /// nothing), and who was proven faulty in it. Rounds of one stream come in order. Each replica whose state changes is an
    /// event, so there are at most as many as replicas.
    ///
    /// What is no probability says nothing, and neither does a stream or replica that there is not.
    pub fn observe(
        &mut self,
        stream: usize,
        round: i64,
        honest: Option<&[f64]>,
        equivocated: Quorum,
        mut on_event: impl FnMut(HealthEvent),
    ) {
        let Some(of) = self.streams.get(stream) else { return };
        let end = of.first + usize::from(of.replicas);
        let Some(records) = self.records.get_mut(of.first..end) else { return };
        let prior_odds = of.prior_odds(equivocated);
        let told = honest.filter(|_| prior_odds.is_some()).unwrap_or_default();
        let odds = prior_odds.unwrap_or(1.0);
        for (position, record) in records.iter_mut().enumerate() {
            let p = told.get(position).copied();
            let proven = equivocated.contains(position);
            // Nearly all rounds of nearly all replicas, without a division or a logarithm.
            if !proven && p.is_none_or(|p| record.is_spotless() && Limits::speaks_for(p, odds)) {
                continue;
            }
            let from = record.state();
            if proven {
                record.convict(&self.limits);
            } else if let Some(ratio) = p.and_then(|p| Limits::ratio(p, odds)) {
                record.absorb(&self.limits, ratio);
            }
            let to = record.state();
            if to == from {
                continue;
            }
            let node = of.nodes.get(position).copied();
            if let Some(counts) = node.and_then(|node| self.nodes.get_mut(node as usize)) {
                counts.streams[from as usize] = counts.streams[from as usize].saturating_sub(1);
                counts.streams[to as usize] += 1;
            }
            on_event(HealthEvent {
                stream,
                position,
                node,
                round,
                from,
                to,
                statistic: record.suspicion(),
                proven,
            });
        }
    }

    /// How many nodes of those that streams have named are in each state, by the worst on their streams, in the order of
    /// [`HealthState::ALL`].
    #[must_use]
    pub fn node_counts(&self) -> [u64; 4] {
        let mut counts = [0; 4];
        for node in self.nodes.iter().filter(|node| node.streams != [0; 4]) {
            counts[node.worst() as usize] += 1;
        }
        counts
    }

    fn record(&self, stream: usize, position: usize) -> Option<&Record> {
        let of = self.streams.get(stream)?;
        if position < usize::from(of.replicas) { self.records.get(of.first + position) } else { None }
    }

    /// The state of the replica at `position` on a stream; `None` where there is none.
    #[must_use]
    pub fn state(&self, stream: usize, position: usize) -> Option<HealthState> {
        self.record(stream, position).map(|record| record.state())
    }

    /// M of the replica at `position` on a stream, from 1 to A; `None` where there is none.
    #[must_use]
    pub fn statistic(&self, stream: usize, position: usize) -> Option<f64> {
        self.record(stream, position).map(|record| record.suspicion())
    }

    /// A node over all its streams; `None` for one that no stream has named.
    #[must_use]
    pub fn node(&self, node: u32) -> Option<&NodeHealth> {
        self.nodes.get(node as usize)
    }

    /// How many replicas, each counted once for each of its streams, are in each state, in the order of
    /// [`HealthState::ALL`]. It looks at all records.
    #[must_use]
    pub fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        self.records.iter().for_each(|record| counts[record.state() as usize] += 1);
        counts
    }

    /// The number of streams.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }
}

impl Stream {
    /// Odds of honest to faulty before anything is observed, of a replica that did not equivocate: b of the n units that are
    /// left are faulty, b uniform on 0 … f. `None` where none of them may be: such a round says nothing.
    fn prior_odds(&self, equivocated: Quorum) -> Option<f64> {
        let gone = if equivocated.is_empty() {
            0
        } else if self.groups.is_empty() {
            (0..usize::from(self.replicas)).filter(|&position| equivocated.contains(position)).count()
        } else {
            self.groups.iter().filter(|group| group.bits() & equivocated.bits() != 0).count()
        };
        let n = usize::from(self.units).saturating_sub(gone) as f64;
        let f = usize::from(self.faults).saturating_sub(gone) as f64;
        (f > 0.0).then(|| (2.0 * n - f) / f)
    }
}
