//! What a run has besides sources, replicas, a monitor and a client: computations on request, a later stage, followers, replicas
//! that wait for each other, and replicas that fail together.

use std::collections::BTreeMap;

use centauri_engine::{Computation, Objective};
use centauri_roles::{ComputationQuery, SubscriberLimits};
use centauri_wire::NodeId;

use super::random::{liar, part};
use super::{Happening, Liar, MS, Plan, StreamPlan};
use crate::{CLIENT, Clock, Dice, LATER, OTHER_CLIENT, relay_id, ring_id, source_id};

/// How a stream is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The computation, without the request's period and validity.
    pub query: String,
    /// The same in other words.
    pub other_words: String,
    /// Readings older than this when the window is closed do not count.
    pub validity_ns: i64,
}

/// A later stage: relays that decide on the first stream and compute from that, and a client that decides on what they say.
#[derive(Debug, Clone)]
pub struct LaterPlan {
    /// How many relays.
    pub relays: usize,
    /// How many of them the model takes to lie at most.
    pub faults: usize,
    /// Those that do, by place.
    pub liars: BTreeMap<usize, Liar>,
    /// What they compute, and when.
    pub stream: StreamPlan,
}

/// Replicas of which each computes from the next one's stream.
#[derive(Debug, Clone, Copy)]
pub struct RingPlan {
    /// How many, at most four.
    pub nodes: usize,
    /// Whether the last computes from the first one's stream; from a source's if not.
    pub is_closed: bool,
}

/// The number of the first stream that relays compute.
const LATER_STREAM: u32 = 61;
/// That of the first stream of replicas that wait for each other.
const RING_STREAM: u32 = 71;

impl RingPlan {
    /// No more than this.
    pub const NODES_MAX: usize = 4;

    /// The number and the name of the stream of the node at `place`.
    #[must_use]
    pub fn stream(place: usize) -> (u32, String) {
        (RING_STREAM + place as u32, format!("ring/{place}"))
    }

    /// The node and the number of the stream from which the node at `place` computes.
    #[must_use]
    pub fn source(self, place: usize) -> (NodeId, u32) {
        match (place + 1 < self.nodes, self.is_closed) {
            (true, _) => (ring_id(place + 1), Self::stream(place + 1).0),
            (false, true) => (ring_id(0), Self::stream(0).0),
            (false, false) => (source_id(0), source_id(0).0),
        }
    }
}

impl LaterPlan {
    /// Relays that take the mean of what they decide on `span` rounds of the plan's first stream, and send it so long after the
    /// last of them was due; the client waits as long again.
    #[must_use]
    pub fn on(plan: &Plan, relays: usize, span: i64, wait_ns: i64) -> Option<Self> {
        let first = plan.streams.first()?;
        let period_ns = span * first.period_ns;
        let replica_deadline_ns = period_ns - first.period_ns + first.close_after_ns + wait_ns;
        let stream = StreamPlan {
            number: LATER_STREAM,
            period_ns,
            replica_deadline_ns,
            close_after_ns: replica_deadline_ns + wait_ns,
            computation: if span > 1 { Computation::Mean } else { Computation::Last },
            objective: Objective::Marginal,
            follows: false,
            ..first.clone()
        };
        Some(Self { relays, faults: (relays - 1) / 2, liars: BTreeMap::new(), stream })
    }
}

impl StreamPlan {
    /// A stream that is computed when it is asked for: `name(patterns)` every `every_ns`, over windows of `over_ns` that are closed
    /// `by_ns` after they open. `None` for what is no query.
    #[must_use]
    pub fn on_request(
        (name, patterns): (&str, &str),
        (every_ns, over_ns, by_ns): (i64, i64, i64),
        validity_ns: i64,
        close_after_ns: i64,
    ) -> Option<Self> {
        let times = format!("over {over_ns}ns by {by_ns}ns");
        let reversed: Vec<&str> = patterns.split(',').rev().collect();
        let mut other_words = format!("{name}({}) by {by_ns}ns", reversed.join(","));
        if over_ns != every_ns {
            other_words.push_str(&format!(" over {over_ns}ns"));
        }
        let query = format!("{name}({patterns}) {times}");
        let computed: ComputationQuery = query.parse().ok()?;
        Some(Self {
            number: computed.stream(every_ns, validity_ns).0,
            epoch_ns: 0,
            period_ns: every_ns,
            replica_deadline_ns: by_ns,
            close_after_ns,
            computation: computed.computation,
            objective: Objective::Marginal,
            follows: false,
            asked: Some(Asked { query, other_words, validity_ns }),
        })
    }
}

impl Plan {
    /// The name of the stream of the source at `place`, by which computations ask for it.
    #[must_use]
    pub fn source_name(place: usize) -> String {
        format!("s/{}", place + 1)
    }

    /// Whether replicas compute on request.
    #[must_use]
    pub fn computes_on_request(&self) -> bool {
        self.streams.iter().any(|stream| stream.asked.is_some())
    }

    /// The streams that replicas compute unasked.
    pub fn own_streams(&self) -> impl Iterator<Item = &StreamPlan> {
        self.streams.iter().filter(|stream| stream.asked.is_none())
    }

    /// The replica at `place` of those that are decided on.
    #[must_use]
    pub fn replica(&self, place: usize) -> NodeId {
        crate::cast::numbered(self.first_replica.0, place)
    }

    /// What a node besides the client decides, as a plan of its own; `None` for one that decides nothing.
    #[must_use]
    pub fn decided_by(&self, node: NodeId) -> Option<Self> {
        let alone = Self {
            health: None,
            disk: None,
            shards: 1,
            publish_every_ns: None,
            later: None,
            followers: 0,
            evidence_bytes: 0,
            ..self.clone()
        };
        let later = self.later.as_ref();
        if node == OTHER_CLIENT {
            let mut streams = self.streams.clone();
            streams.retain(|stream| stream.asked.is_some());
            for asked in streams.iter_mut().filter_map(|stream| stream.asked.as_mut()) {
                std::mem::swap(&mut asked.query, &mut asked.other_words);
            }
            Some(Self { streams, ..alone })
        } else if node == LATER {
            let later = later?;
            Some(Self {
                streams: vec![later.stream.clone()],
                replicas: later.relays,
                faults: later.faults,
                liars: later.liars.clone(),
                groups: Vec::new(),
                first_replica: relay_id(0),
                ..alone
            })
        } else if (0..later?.relays).any(|place| relay_id(place) == node) {
            Some(Self { streams: self.streams.first().cloned().into_iter().collect(), ..alone })
        } else {
            None
        }
    }
}

/// Gives some plans more: drawn by itself, so that nothing else in a plan depends on it.
pub(super) fn widen(plan: &mut Plan) {
    let dice = &mut Dice::new(plan.seed, 6);
    if dice.chance(0.25) {
        group(plan, dice);
    }
    if dice.chance(0.3) {
        ask(plan, dice);
    }
    if dice.chance(0.12) {
        stage(plan, dice);
    }
    if dice.chance(0.1) {
        plan.ring = Some(RingPlan { nodes: 2 + dice.below(3), is_closed: dice.chance(0.7) });
    }
    if dice.chance(0.25) {
        plan.followers = 1 + dice.below(2);
    }
    let before = plan.nodes().iter().position(|node| *node == CLIENT).map_or(0, |client| client + 1);
    let new: Vec<NodeId> = plan.nodes().split_off(before);
    for node in &new {
        let offset_ns = if dice.chance(0.5) { 0 } else { dice.between(-6_000_000, 6_000_000) };
        plan.clocks.insert(node.0, Clock { offset_ns, drift_ppb: 0 });
    }
    for _ in 0..if new.is_empty() { 0 } else { dice.below(4) } {
        let node = *dice.pick(&new).unwrap_or(&CLIENT);
        let at_ns = dice.between(0, plan.length_ns);
        let until_ns = at_ns + dice.between(1, 300) * MS;
        let happening = match dice.below(3) {
            0 => Happening::Pause { until_ns },
            _ => Happening::Crash { until_ns, slow_ns: 0 },
        };
        plan.happenings.push((at_ns, node, happening));
    }
}

/// Replicas in groups; as many groups lie as there may.
fn group(plan: &mut Plan, dice: &mut Dice) {
    let count = 1 + dice.below(3);
    let mut groups = vec![Vec::new(); count];
    let mut alone = 0;
    for place in 0..plan.replicas {
        match groups.get_mut(dice.below(count + 1)) {
            Some(group) => group.push(place),
            None => alone += 1,
        }
    }
    groups.retain(|group| !group.is_empty());
    let units = groups.len() + alone;
    if units < 2 {
        return;
    }
    let most = (units - 1) / 2;
    plan.faults = if dice.chance(0.7) { most } else { dice.below(most + 1) };
    plan.liars.clear();
    let mut all: Vec<Vec<usize>> = groups.clone();
    all.extend(
        (0..plan.replicas).filter(|place| !groups.iter().flatten().any(|at| at == place)).map(|at| vec![at]),
    );
    for _ in 0..plan.faults {
        // Mostly a group: those who are alone lie elsewhere.
        let unit = all.remove(dice.below(all.len().min(groups.len() + 1)));
        for place in unit {
            if dice.chance(0.8) {
                plan.liars.insert(place, liar(dice));
            }
        }
    }
    plan.groups = groups;
}

/// Streams that are computed on request.
fn ask(plan: &mut Plan, dice: &mut Dice) {
    let all: Vec<String> = (0..plan.sources).map(Plan::source_name).collect();
    for _ in 0..1 + dice.below(2) {
        let name = *dice.pick(&["mean", "last", "max", "min", "sum", "count"]).unwrap_or(&"mean");
        let named = if dice.chance(0.5) { all.join(",") } else { "s/*".to_owned() };
        let every_ns = dice.between(60, 160) * MS;
        let over_ns = if dice.chance(0.7) { every_ns } else { part(every_ns, dice.real(0.5, 2.5)) };
        let by_ns = part(over_ns, dice.real(0.5, 1.4));
        let validity_ns = if dice.chance(0.8) { 60_000 * MS } else { part(by_ns, dice.real(0.5, 0.9)) };
        let close_after_ns = (by_ns + part(every_ns, dice.real(0.05, 0.9))) / MS * MS;
        let stream =
            StreamPlan::on_request((name, &named), (every_ns, over_ns, by_ns), validity_ns, close_after_ns);
        plan.streams.extend(stream.filter(|new| plan.streams.iter().all(|known| known.number != new.number)));
    }
    let few = dice.chance(0.3);
    plan.subscribers = SubscriberLimits {
        per_node_max: if few { 1 + dice.below(4) } else { 16 },
        subscriptions_max: if few { 2 + dice.below(6) } else { 1_024 },
        period_min_ns: if dice.chance(0.2) { dice.between(50, 100) * MS } else { MS },
        ..SubscriberLimits::default()
    };
    plan.has_other_client = dice.chance(0.5);
}

fn stage(plan: &mut Plan, dice: &mut Dice) {
    let (relays, span) = (3 + dice.below(2), dice.between(1, 2));
    let Some(mut later) = LaterPlan::on(plan, relays, span, dice.between(0, 60) * MS) else { return };
    if dice.chance(0.6) {
        let behaviour = liar(dice).behaviour;
        later.liars.insert(dice.below(relays), Liar { behaviour, ..Liar::default() });
    }
    plan.later = Some(later);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_ask_are_for_the_same() {
        for (over_ms, validity_ms) in [(80, 60_000), (130, 40)] {
            let times = (80 * MS, over_ms * MS, 90 * MS);
            let stream =
                StreamPlan::on_request(("sum", "s/1,s/2"), times, validity_ms * MS, 200 * MS).unwrap();
            let asked = stream.asked.unwrap();
            assert_ne!(asked.query, asked.other_words);
            let other: ComputationQuery = asked.other_words.parse().unwrap();
            assert_eq!(other.stream(80 * MS, validity_ms * MS).0, stream.number);
        }
    }

    #[test]
    fn no_more_groups_lie_than_the_model_allows_for() {
        let grouped = (0..400).map(Plan::of_seed).filter(|plan| !plan.groups.is_empty());
        let mut several = 0;
        for plan in grouped {
            let unit = |place: usize| {
                plan.groups.iter().position(|group| group.contains(&place)).unwrap_or(100 + place)
            };
            let mut units: Vec<usize> = plan.liars.keys().map(|place| unit(*place)).collect();
            several += usize::from(units.len() > plan.faults);
            units.sort_unstable();
            units.dedup();
            assert!(units.len() <= plan.faults, "{plan:?}");
        }
        assert!(several > 5, "{several}");
    }
}
