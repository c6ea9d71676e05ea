//! Nodes with clocks of their own, and a network that delays every datagram alike.

use std::collections::BTreeMap;

use centauri_engine::Distribution;
use centauri_roles::{Effect, Effects, Note, Role};
use centauri_wire::{DecisionRecord, FrameView, MessageView, NodeId, Outcome, Record};

use super::{MS, address, count, identity};

pub(crate) const S: i64 = 1_000 * MS;
/// Of every datagram.
pub(crate) const DELAY: i64 = 3 * MS;

/// Nodes, their clocks, and the datagrams between them.
pub(crate) struct World {
    pub(crate) nodes: BTreeMap<NodeId, (Box<dyn Role>, i64)>,
    sky: BTreeMap<(i64, u64), (NodeId, NodeId, Vec<u8>)>,
    sent: u64,
    pub(crate) now: i64,
    pub(crate) notes: Vec<(NodeId, Note)>,
    pub(crate) published: Vec<(String, Distribution)>,
    /// What came to nodes that are not there, which look on: answers, records and decisions.
    pub(crate) answers: Vec<(NodeId, Outcome, i64, String)>,
    pub(crate) records: Vec<(NodeId, Record, i64)>,
    pub(crate) decisions: Vec<(NodeId, DecisionRecord)>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            nodes: BTreeMap::new(),
            sky: BTreeMap::new(),
            sent: 0,
            now: 0,
            notes: Vec::new(),
            published: Vec::new(),
            answers: Vec::new(),
            records: Vec::new(),
            decisions: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, node: NodeId, role: impl Role + 'static, clock_ahead_ns: i64) {
        self.nodes.insert(node, (Box::new(role), clock_ahead_ns));
    }

    pub(crate) fn node_at(to: std::net::SocketAddr) -> NodeId {
        NodeId(u32::from(to.port()) - 10_000)
    }

    pub(crate) fn send(&mut self, from: NodeId, to: NodeId, bytes: &[u8]) {
        self.sent += 1;
        self.sky.insert((self.now + DELAY, self.sent), (from, to, bytes.to_vec()));
    }

    /// A request of a node that is not there, signed by its key, at the world's time.
    pub(crate) fn ask(&mut self, from: NodeId, to: NodeId, request: centauri_wire::Request<'_>) {
        let mut bytes = Vec::new();
        // Two messages of a kind have two timestamps.
        let stamp = self.now + i64::try_from(self.sent).unwrap();
        request.encode(stamp, to, &identity(from), &mut bytes).unwrap();
        self.send(from, to, &bytes);
    }

    pub(crate) fn run(&mut self, until_ns: i64) {
        loop {
            let arrival = self.sky.first_key_value().map(|((at, _), _)| *at);
            let due = |(node, (role, ahead)): (&NodeId, &(Box<dyn Role>, i64))| {
                Some((role.next_deadline()?.saturating_sub(*ahead).max(self.now), *node))
            };
            let tick = self.nodes.iter().filter_map(due).min();
            let Some(now) = arrival.into_iter().chain(tick.map(|(at, _)| at)).min() else { break };
            if now > until_ns {
                break;
            }
            self.now = now;
            let mut effects = Effects::new();
            let actor = match (self.sky.first_entry(), tick) {
                (Some(first), _) if first.key().0 == now => {
                    let (from, to, bytes) = first.remove();
                    match self.nodes.get_mut(&to) {
                        Some((role, ahead)) => {
                            role.handle(now + *ahead, address(from), &bytes, &mut effects);
                        }
                        None => self.look(to, &bytes),
                    }
                    to
                }
                (_, Some((_, node))) => {
                    let (role, ahead) = self.nodes.get_mut(&node).unwrap();
                    role.tick(now + *ahead, &mut effects);
                    node
                }
                _ => break,
            };
            for effect in effects.iter() {
                match effect {
                    Effect::Send { to, bytes } => self.send(actor, Self::node_at(to), bytes),
                    Effect::Published { name, distribution } => {
                        self.published.push((name.to_owned(), distribution.clone()));
                    }
                    Effect::Note(note) => self.notes.push((actor, note.clone())),
                    _ => {}
                }
            }
        }
        self.now = until_ns;
    }

    pub(crate) fn look(&mut self, to: NodeId, bytes: &[u8]) {
        let frame = FrameView::parse(bytes).unwrap();
        let stamp = frame.header().timestamp_ns;
        match frame.message() {
            MessageView::Answer(answer) => {
                assert_eq!(frame.header().receiver, Some(to));
                let period = i64::try_from(answer.period_ns).unwrap();
                self.answers.push((to, answer.outcome, period, answer.reason.to_owned()));
            }
            MessageView::Stream(records) => {
                self.records.extend(records.iter().map(|r| (to, r, r.source_timestamp_ns(stamp))));
            }
            MessageView::Decision(decisions) => self.decisions.extend(decisions.iter().map(|d| (to, d))),
            _ => {}
        }
    }

    pub(crate) fn count(&self, node: NodeId, name: &str) -> u64 {
        count(&*self.nodes[&node].0, name)
    }

    /// Outcomes and reasons of the answers so far, which are forgotten.
    pub(crate) fn answered(&mut self) -> Vec<(Outcome, String)> {
        std::mem::take(&mut self.answers)
            .into_iter()
            .map(|(_, outcome, _, reason)| (outcome, reason))
            .collect()
    }
}
