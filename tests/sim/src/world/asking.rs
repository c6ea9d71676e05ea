//! Requests and their answers, computations on request, and those who follow: what must hold of them after every step.

use std::net::SocketAddr;

use centauri_engine::Status;
use centauri_roles::{Effect, Followed};
use centauri_wire::NodeId;

use super::World;
use super::node::{Actor, Counted, Node};
use crate::frame::{ReadAnswer, ReadRequest, ReadStart, Said, read_frame};
use crate::model::{CYCLE, ExpectedAnswer, Own, RequestCounts, read_query};
use crate::violation::{Finding, expect};
use crate::{CLIENT, Plan, RingPlan, ring_id, source_id};

/// A decision as a follower has to see it: whether there was a quorum, and the bits of value, confidence and spread.
pub(super) type Made = (bool, [u64; 3]);

/// What the requests to a node can be for; `None` for one that serves none.
pub(super) fn own(plan: &Plan, stage: Option<&Plan>, id: NodeId) -> Option<Own> {
    let limits = plan.subscribers;
    let decided = |plan: &Plan| {
        plan.streams.iter().map(|stream| (stream.number, stream.number.to_string())).collect::<Vec<_>>()
    };
    let (streams, catalogue) = match id.0 {
        ..=10 => {
            let place = (0..plan.sources).find(|place| source_id(*place) == id)?;
            (vec![(id.0, Plan::source_name(place))], None)
        }
        11..=20 => {
            let sources = if plan.computes_on_request() { plan.sources } else { 0 };
            let unnamed = plan.own_streams().map(|stream| (stream.number, String::new()));
            (unnamed.collect(), Some((0..sources).map(Plan::source_name).collect()))
        }
        21..=26 => (vec![(plan.later.as_ref()?.stream.number, String::new())], Some(Vec::new())),
        27..=30 => {
            let place = (0..RingPlan::NODES_MAX).find(|place| ring_id(*place) == id)?;
            (vec![RingPlan::stream(place)], Some(Vec::new()))
        }
        41 if plan.shards == 1 => (decided(plan), None),
        42..=43 => (decided(stage?), None),
        _ => return None,
    };
    Some(Own { streams, catalogue, limits })
}

/// A request that was kept over a restart, by the table in `net/roles/src/requests/kept.rs`: where results go, who asked and when,
/// and what.
pub(super) fn kept(bytes: &[u8], now_ns: i64) -> Option<(SocketAddr, (u32, i64), ReadRequest)> {
    fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
        bytes.get(at..)?.first_chunk().copied()
    }
    let expires_ns = i64::from_le_bytes(number(bytes, 21)?);
    if expires_ns <= now_ns {
        return None;
    }
    let rest = bytes.get(46..)?;
    let (address, query) = rest.split_at_checked(usize::from(*bytes.get(45)?))?;
    let start = ReadStart {
        validity_ns: u64::from_le_bytes(number(bytes, 29)?),
        ttl_ns: expires_ns.abs_diff(now_ns),
        period_ns: u64::from_le_bytes(number(bytes, 37)?),
        query: String::from_utf8(query.to_vec()).ok()?,
    };
    let sender = u32::from_le_bytes(number(bytes, 1)?);
    let request = ReadRequest { number: u64::from_le_bytes(number(bytes, 5)?), start: Some(start) };
    let address = std::str::from_utf8(address).ok()?.parse().ok()?;
    Some((address, (sender, i64::from_le_bytes(number(bytes, 13)?)), request))
}

impl World<'_> {
    /// Every request that a node accepts is answered as it has to be, and what is asked for is done and nothing else.
    pub(super) fn check_requests(&mut self, place: usize, now_ns: i64) -> Result<(), Finding> {
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        let (mut answers, mut has_cancelled) = (Vec::new(), false);
        for (to, bytes) in &self.sends {
            let Some(frame) = read_frame(bytes) else { continue };
            let mut streams = Vec::new();
            match frame.said {
                Said::Request(request) => {
                    has_cancelled |= request.start.is_none();
                    node.asked.sent(frame.receiver, &request);
                    check_way(node, self.plan.ring, &request)?;
                }
                Said::Answer(answer) => answers.push((*to, frame.receiver, answer)),
                Said::Stream(records) => streams.extend(records.iter().map(|record| record.stream)),
                Said::Decisions(all) => streams.extend(all.iter().map(|decision| decision.record.stream)),
                Said::Sample { .. } | Said::Distribution(_) => {}
            }
            if let Some(requests) = &node.requests {
                let unwanted = streams.iter().find(|stream| !requests.is_wanted(now_ns, *to, **stream));
                let found = unwanted.map(|stream| format!("stream {stream} to {to}"));
                expect("nothing is sent that nobody asked for", None, found)?;
            }
        }
        check_stray(node, has_cancelled)?;
        let plays_replica = matches!(node.actor, Some(Actor::Replica(_) | Actor::Relay(_)));
        let own_ns = node.next_deadline();
        let Some(requests) = &mut node.requests else { return Ok(()) };
        check_answers(&std::mem::take(&mut requests.answers), &answers)?;
        check_counts(&requests.counts, &node.counters)?;
        if plays_replica {
            let count = |name: &str| node.counters.get(name).unwrap_or(0);
            let found = count("computations_begun").checked_sub(count("computations_ended"));
            expect("what is computed is what is asked for, once", Some(requests.running()), found)?;
            let expiry = requests.next_expiry_ns();
            let is_told = expiry.is_none_or(|expiry| own_ns.is_some_and(|own| own <= expiry));
            expect("a replica asks to be called when a request expires", true, is_told)?;
            self.outcome.add("computations shared", requests.shared());
        }
        let circles = answers.iter().filter(|(_, _, answer)| answer.outcome == CYCLE).count();
        self.outcome.add("circles refused", circles as u64);
        Ok(())
    }

    /// A follower sees decisions that the client has made, each once.
    pub(super) fn check_follower(&mut self, place: usize) -> Result<(), Finding> {
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        let mut seen = 0;
        for effect in self.effects.iter() {
            let Effect::Followed(Followed { engine, decision, .. }) = effect else { continue };
            seen += 1;
            expect("who is followed is the client", CLIENT, engine)?;
            let key = (decision.stream.0, decision.round);
            let bits = [decision.value, decision.confidence, decision.sd].map(f64::to_bits);
            let made = self.made.get(&key);
            let is_made = made.is_some_and(|made| made.contains(&(decision.decided, bits)));
            if !is_made {
                let rule = "what is followed was decided";
                return Err(Finding::new(rule, format!("{key:?}: {made:?}"), format!("{decision:?}")));
            }
            let is_new = node.followed.insert(key) || !self.incarnations.are_promised();
            expect("no decision is followed twice", true, is_new)?;
        }
        expect("every decision that is accepted is told", std::mem::take(&mut node.to_follow), seen)?;
        self.outcome.add("decisions followed", seen);
        Ok(())
    }

    /// Remembers what the client has decided, for those who follow it.
    pub(super) fn remember_made(&mut self) {
        for decided in self.effects.decisions() {
            let Some(stream) = self.plan.streams.get(decided.stream.0 as usize) else { continue };
            let decision = decided.decision;
            let bits = [decision.value, decision.confidence.clamp(0.0, 1.0), decision.sd].map(f64::to_bits);
            let made = (decision.status == Status::Decided, bits);
            self.made.entry((stream.number, decided.round)).or_default().push(made);
        }
    }
}

/// Who waits for others tells them who waits for it.
fn check_way(node: &Node, ring: Option<RingPlan>, request: &ReadRequest) -> Result<(), Finding> {
    let place = (0..RingPlan::NODES_MAX).find(|place| ring_id(*place) == node.id);
    let (Some(place), Some(ring)) = (place, ring) else { return Ok(()) };
    let (Some(requests), Some(start)) = (&node.requests, &request.start) else { return Ok(()) };
    let is_replica = |node: u32| (11..=30).contains(&node);
    // A source waits for nobody, so it need not be told.
    let asks_replica = is_replica(ring.source(place).0.0);
    let way = asks_replica.then(|| requests.way(&RingPlan::stream(place).1, is_replica));
    let found = read_query(&start.query).map(|query| query.via);
    expect("a request tells who waits for it", Some(way.unwrap_or_default()), found)
}

/// Answers to nothing are counted and no more. In the step of a cancellation it is not known which of them came before it.
fn check_stray(node: &mut Node, has_cancelled: bool) -> Result<(), Finding> {
    let found = ["answers_stray", "requests_refused_by_others"].map(|name| node.counters.get(name));
    let [Some(stray), Some(refused)] = found else { return Ok(()) };
    if has_cancelled {
        (node.asked.stray, node.asked.refused) = (stray, refused);
    }
    expect("an answer is to what was asked", (node.asked.stray, node.asked.refused), (stray, refused))
}

fn check_answers(
    expected: &[ExpectedAnswer],
    found: &[(SocketAddr, u32, ReadAnswer)],
) -> Result<(), Finding> {
    let is_as = |(expected, (to, receiver, answer)): (&ExpectedAnswer, &(SocketAddr, u32, ReadAnswer))| {
        let numbers = (answer.number, answer.outcome, answer.ttl_ns, answer.period_ns);
        let same = (expected.number, expected.outcome, expected.ttl_ns, expected.period_ns) == numbers;
        let has_reason = match &expected.reason {
            Some(reason) => *reason == answer.reason,
            None => !answer.reason.is_empty(),
        };
        same && has_reason && (expected.to, expected.receiver) == (*to, *receiver)
    };
    if expected.len() != found.len() || !expected.iter().zip(found).all(is_as) {
        let rule = "each request is answered, and as it has to be";
        return Err(Finding::new(rule, format!("{expected:?}"), format!("{found:?}")));
    }
    Ok(())
}

fn check_counts(expected: &RequestCounts, counters: &Counted) -> Result<(), Finding> {
    let RequestCounts { started, renewed, cancelled, outdated, refused, .. } = expected;
    let [_, _, query, unknown, quota, rate, cycle, full] = *refused;
    for (name, count) in [
        ("requests_started", *started),
        ("requests_renewed", *renewed),
        ("requests_cancelled", *cancelled),
        ("requests_outdated", *outdated),
        ("requests_refused_query", query),
        ("requests_refused_unknown", unknown),
        ("requests_refused_quota", quota),
        ("requests_refused_rate", rate),
        ("requests_refused_cycle", cycle),
        ("requests_refused_full", full),
    ] {
        expect(name, Some(count), counters.get(name))?;
    }
    Ok(())
}
