//! What must hold after every step.

use std::collections::BTreeMap;

use centauri_engine::{Report, Status};
use centauri_roles::{Decided, Effect, Note};
use centauri_wire::NodeId;

use super::node::{Actor, Counted, ExpectedClient, Node};
use super::{DecidedRound, World};
use crate::build::{LINK, NOISE};
use crate::frame::{ReadFrame, ReadRecord, Said, read_frame};
use crate::model::{AcceptanceCounts, ExpectedRound, RoundCounts};
use crate::violation::{Finding, expect};
use crate::{CLIENT, Plan, relay_id, replica_id};

/// A subscription beyond these is one too many: as many as the roles' limits say.
const SUBSCRIPTIONS_OF_A_NODE_MAX: usize = 16;

/// What nodes that do not lie have signed.
#[derive(Debug, Default)]
pub(super) struct Signed {
    /// Sender, stream and nonce; round and the value's bits.
    nonces: BTreeMap<(u32, u32, u64), (i64, u64)>,
    /// Sender, stream and round; the value's bits.
    rounds: BTreeMap<(u32, u32, i64), u64>,
}

/// What was sent in a step.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sent {
    records: u64,
    requests: u64,
    sample_values: u64,
    distributions: u64,
    decisions: u64,
}

impl World<'_> {
    /// Holds a step against the simulator's own account.
    pub(super) fn check(
        &mut self,
        place: usize,
        now_ns: i64,
        given: usize,
        expected: &[ExpectedRound],
    ) -> Result<(), Finding> {
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        node.delivered += given as u64;
        let counted = node.count();
        let before = std::mem::replace(&mut node.counters, counted);
        check_frames(node)?;
        let restored = node.client.as_ref().map_or(0, |client| client.restored);
        let most = node.acceptance.subscriptions_max(SUBSCRIPTIONS_OF_A_NODE_MAX) + restored;
        let circled = node.requests.as_ref().map_or(0, |requests| requests.counts.circled);
        check_subscriptions(&node.counters, circled, most)?;
        let requests = std::mem::take(&mut node.acceptance.counts.requests);
        self.check_sent(place, &before, requests)?;
        self.check_requests(place, now_ns)?;
        let is = |what: fn(&Actor) -> bool| {
            self.nodes.get(place).and_then(|node| node.actor.as_ref()).is_some_and(what)
        };
        if is(|actor| matches!(actor, Actor::Decider(_) | Actor::Relay(_))) {
            return self.check_decider(place, (now_ns, given == 0), expected);
        }
        if is(|actor| matches!(actor, Actor::Follower(_))) {
            return self.check_follower(place);
        }
        if self.nodes.get(place).is_some_and(Node::is_client) {
            self.check_rounds(now_ns, expected)?;
            self.remember_made();
            self.check_notes(place)?;
            self.check_health(place)?;
            self.check_client(place)
        } else {
            self.check_bounds(place, given, &before)
        }
    }

    /// Everything that is sent is counted, and those who do not lie sign one value for each nonce and round.
    fn check_sent(&mut self, place: usize, before: &Counted, requests: u64) -> Result<(), Finding> {
        let Some(node) = self.nodes.get(place) else { return Ok(()) };
        let honest = is_honest(self.plan, node.id);
        let (mut sent, mut answers) = (Sent::default(), 0);
        for (_, bytes) in &self.sends {
            let Some(frame) = read_frame(bytes) else {
                return Err(Finding::new("what is sent is a frame", "a frame", format!("{bytes:?}")));
            };
            expect("a node signs as itself", node.id.0, frame.sender)?;
            match &frame.said {
                Said::Request(_) => sent.requests += 1,
                Said::Stream(records) => sent.records += records.len() as u64,
                Said::Sample { values, .. } => sent.sample_values += values,
                Said::Distribution(_) => sent.distributions += 1,
                Said::Decisions(records) => sent.decisions += records.len() as u64,
                Said::Answer(_) => answers += 1,
            }
            if honest && !self.genuine.contains(bytes) {
                self.signed.enter(&frame)?;
            }
        }
        let more = |name: &str| node.counters.more_than(before, name);
        let is_monitor = node.id == crate::MONITOR;
        // A relay's records are decisions.
        if matches!(node.actor, Some(Actor::Relay(_))) {
            sent.records += std::mem::take(&mut sent.decisions);
        }
        let counted = Sent {
            records: more("records_sent"),
            requests: more("requests_sent"),
            sample_values: more("sample_values_sent"),
            distributions: if is_monitor { more("distributions_published") } else { 0 },
            decisions: more("decisions_sent"),
        };
        expect("what is sent is counted", sent, counted)?;
        expect("no request is answered twice", true, answers <= requests)?;
        expect("everything can be encoded", Some(0), node.counters.get("encode_failed"))
    }

    /// Apart from what it sends and counts, a node that is no client has at most four things to say of a datagram.
    fn check_bounds(&self, place: usize, given: usize, before: &Counted) -> Result<(), Finding> {
        let Some(node) = self.nodes.get(place) else { return Ok(()) };
        let said = self.effects.len() - self.effects.sends().count();
        let published = node.counters.more_than(before, "distributions_published");
        let bound = 4 * given as u64 + published;
        expect("effects are bounded", true, said as u64 <= bound)
    }

    fn check_rounds(&mut self, now_ns: i64, expected: &[ExpectedRound]) -> Result<(), Finding> {
        let found = self.effects.decisions().count();
        if found != expected.len() {
            let expected: Vec<_> = expected.iter().map(|round| (round.stream, round.round)).collect();
            let found: Vec<_> = self.effects.decisions().map(|d| (d.stream.0, d.round)).collect();
            return Err(Finding::new(
                "rounds are decided at their deadlines, each once",
                format!("streams and rounds {expected:?}"),
                format!("{found:?}"),
            ));
        }
        let effects = std::mem::take(&mut self.effects);
        let checked = effects.decisions().zip(expected).try_for_each(|(decided, expected)| {
            check_round(now_ns, &decided, expected)?;
            let decision = self.reference.check(expected, decided.decision, !self.plan.simd)?;
            self.enter_decision(&Decided { decision: &decision, ..decided }, expected.stream)
        });
        self.effects = effects;
        checked
    }

    fn enter_decision(&mut self, decided: &Decided<'_>, stream: usize) -> Result<(), Finding> {
        let newest = self.newest.insert(stream, decided.round);
        if newest.is_some_and(|newest| newest >= decided.round) && self.incarnations.are_promised() {
            let expected = format!("stream {stream}: a round after {newest:?}");
            return Err(Finding::new("no round is decided twice", expected, decided.round.to_string()));
        }
        self.keep(stream, decided)?;
        if self.honest_only.check(stream, decided)? {
            self.outcome.add("regions checked", 1);
        }
        let is_decided = decided.decision.status == Status::Decided;
        self.outcome.add(if is_decided { "decided" } else { "no quorum" }, 1);
        let equivocated = decided.reports.contains(&Report::Equivocated);
        self.outcome.add("rounds with a convict", u64::from(equivocated));
        self.outcome.decisions.push(DecidedRound {
            stream,
            round: decided.round,
            status: decided.decision.status,
            value: decided.decision.value,
            reports: decided.reports.to_vec(),
            honest: decided.honest.map(<[f64]>::to_vec),
        });
        Ok(())
    }

    /// Convictions, rounds left out and publications are told exactly when there are any.
    fn check_notes(&mut self, place: usize) -> Result<(), Finding> {
        let replicas = self.plan.replicas;
        let Some(client) = self.nodes.get_mut(place).and_then(|node| node.client.as_mut()) else {
            return Ok(());
        };
        let (mut convicted, mut left_out) = (Vec::new(), Vec::new());
        for effect in self.effects.iter() {
            match effect {
                Effect::Note(Note::Equivocated { stream, round, node }) => {
                    convicted.push((
                        stream.0 as usize,
                        *round,
                        node.0.saturating_sub(replica_id(0).0) as usize,
                    ));
                }
                Effect::Note(Note::Skipped { stream, first, rounds }) => {
                    left_out.push((stream.0 as usize, *first, *rounds));
                    self.incarnations.left_out(stream.0, *first, *rounds);
                }
                Effect::Note(Note::Heard { node }) => {
                    expect(
                        "who is heard is a replica",
                        true,
                        (0..replicas).any(|at| replica_id(at) == *node),
                    )?;
                }
                // Of subscriptions, clocks and distributions.
                Effect::Note(Note::Undecided { .. }) => {
                    return Err(Finding::new("every round can be decided", "", format!("{effect:?}")));
                }
                Effect::Note(_) => {}
                Effect::Published { name, .. } => {
                    expect("what is published has a name of the model", true, [NOISE, LINK].contains(&name))?;
                    client.told += 1;
                }
                Effect::Proof { node, proof } => {
                    let proven = proof.verify(&self.registry).map(|proven| proven.node);
                    expect("a proof proves", Ok(node), proven)?;
                    client.proofs += 1;
                    self.outcome.add("proofs", 1);
                }
                // There is no follower here.
                Effect::Send { .. } | Effect::Decided(_) | Effect::Followed(_) => {}
            }
        }
        // Shards tell of what they found in another order.
        convicted.sort_unstable();
        client.rounds.convicted.sort_unstable();
        expect(
            "two values convict, and nothing else",
            std::mem::take(&mut client.rounds.convicted),
            convicted,
        )?;
        expect("what is left out is told", std::mem::take(&mut client.rounds.left_out), left_out)
    }

    fn check_health(&mut self, place: usize) -> Result<(), Finding> {
        let Some(node) = self.nodes.get_mut(place) else { return Ok(()) };
        let (Some(client), Some(Actor::Client(subject))) = (&mut node.client, &mut node.actor) else {
            return Ok(());
        };
        let Some(health) = &mut client.health else { return Ok(()) };
        let counts = health.check(self.plan, &self.effects)?;
        // Each shard has a ledger of its own streams.
        if let Some(ledger) = subject.whole_mut().and_then(|client| client.health()) {
            health.hold(self.plan, ledger, &node.counters)?;
        }
        self.outcome.add("health: changes", counts.events);
        self.outcome.add("health: proven faulty", counts.proven);
        self.outcome.add("health: better again", counts.better);
        Ok(())
    }

    fn check_client(&mut self, place: usize) -> Result<(), Finding> {
        let Some(node) = self.nodes.get(place) else { return Ok(()) };
        let Some(client) = &node.client else { return Ok(()) };
        check_client_counters(&node.counters, client)?;
        let (own, expected) = (node.next_deadline(), client.rounds.next_deadline());
        if own > expected || own.is_none() {
            let expected = format!("{expected:?} or earlier");
            return Err(Finding::new(
                "the client asks to be called by the next deadline",
                expected,
                format!("{own:?}"),
            ));
        }
        Ok(())
    }
}

impl Signed {
    fn enter(&mut self, frame: &ReadFrame) -> Result<(), Finding> {
        let records: Vec<ReadRecord> = match &frame.said {
            Said::Stream(records) => records.clone(),
            // What the client decides is held against what it decided before elsewhere.
            Said::Decisions(all) if frame.sender != CLIENT.0 => {
                all.iter().map(|decision| decision.record).collect()
            }
            _ => return Ok(()),
        };
        for record in records {
            let (round, value) = (record.round, record.value.to_bits());
            let known =
                *self.nonces.entry((frame.sender, record.stream, record.nonce)).or_insert((round, value));
            expect("an honest node uses a nonce for one record", known, (round, value))?;
            let known = *self.rounds.entry((frame.sender, record.stream, round)).or_insert(value);
            let shown = |bits| (record.stream, round, f64::from_bits(bits));
            expect("an honest node signs one value for a round", shown(known), shown(value))?;
        }
        Ok(())
    }
}

fn is_honest(plan: &Plan, id: NodeId) -> bool {
    let relays = plan.later.iter().flat_map(|later| later.liars.keys());
    !plan.liars.keys().any(|place| replica_id(*place) == id)
        && !relays.into_iter().any(|at| relay_id(*at) == id)
}

pub(super) fn check_round(
    now_ns: i64,
    decided: &Decided<'_>,
    expected: &ExpectedRound,
) -> Result<(), Finding> {
    let found = (decided.stream.0 as usize, decided.round, decided.deadline_ns, decided.closed_ns);
    let wanted = (expected.stream, expected.round, expected.deadline_ns, now_ns);
    expect("a round is decided at its deadline, in order", wanted, found)?;
    expect("the reports are those that came", &expected.reports[..], decided.reports)?;
    let decision = decided.decision;
    let sane = (0.0..=1.0).contains(&decision.confidence)
        && decision.low <= decision.high
        && decision.value.is_finite();
    expect("a decision is one", true, sane)?;
    for (place, report) in decided.reports.iter().enumerate() {
        if *report == Report::Equivocated {
            let honest = decided.honest.and_then(|honest| honest.get(place)).copied().unwrap_or(0.0);
            let found = (decision.quorum.contains(place), honest);
            expect("a convict is in no quorum", (false, 0.0), found)?;
        }
    }
    Ok(())
}

/// Counts of frames: exactly those that are to be accepted, and the others each for one cause.
fn check_frames(node: &Node) -> Result<(), Finding> {
    let count = |name: &str| node.counters.get(name);
    let AcceptanceCounts {
        frames_accepted, records_accepted, records_replayed, records_unknown_stream, ..
    } = node.acceptance.counts;
    expect("frames_received", Some(node.delivered), count("frames_received"))?;
    expect("frames_accepted", Some(frames_accepted), count("frames_accepted"))?;
    expect("records_accepted", Some(records_accepted), count("records_accepted"))?;
    expect("records_replayed", Some(records_replayed), count("records_replayed"))?;
    expect("records_unknown_stream", Some(records_unknown_stream), count("records_unknown_stream"))?;
    expect("frames in are accepted or rejected", node.delivered, frames_accepted + node.counters.rejected())?;
    let counts = node.acceptance.counts;
    for (name, least) in [
        ("rejected_wrong_role", counts.wrong_role),
        ("rejected_wrong_receiver", counts.wrong_receiver),
        ("rejected_stale", counts.stale),
        ("rejected_future", counts.future),
        ("rejected_unknown_stream", counts.unknown_stream),
        ("rejected_replayed", counts.replayed),
    ] {
        let found = count(name).unwrap_or(0);
        if found < least {
            return Err(Finding::new(name, format!("{least} or more"), found.to_string()));
        }
    }
    Ok(())
}

fn check_subscriptions(counters: &Counted, circled: u64, most: u64) -> Result<(), Finding> {
    let Some(started) = counters.get("requests_started") else { return Ok(()) };
    let ended = ["requests_cancelled", "requests_expired"].map(|name| counters.get(name).unwrap_or(0));
    let live = started.checked_sub(ended.iter().sum::<u64>() + circled);
    expect("subscriptions are bounded", true, live.is_some_and(|live| live <= most))
}

fn check_client_counters(counters: &Counted, client: &ExpectedClient) -> Result<(), Finding> {
    let RoundCounts {
        reported,
        repeated,
        equivocating,
        late,
        early,
        decided,
        skipped,
        missed,
        late_max_ns,
        ..
    } = client.rounds.counts;
    let expected = [
        ("records_reported", reported),
        ("records_repeated", repeated),
        ("records_equivocating", equivocating),
        ("records_late", late),
        ("records_early", early),
        ("rounds_decided", decided),
        ("rounds_undecided", 0),
        ("rounds_skipped", skipped),
        ("rounds_missed", missed),
        ("close_late_max_ns", late_max_ns),
        ("equivocations_proven", client.proofs),
        ("distributions_unused", client.unused),
        ("distributions_invalid", 0),
        ("frames_unexpected", client.unexpected),
        ("fleets_installed", client.installed),
    ];
    expected.into_iter().try_for_each(|(name, count)| expect(name, Some(count), counters.get(name)))?;
    let count = |names: &[&str]| -> u64 { names.iter().filter_map(|name| counters.get(name)).sum() };
    let told = count(&["distributions_published", "distributions_aged"]);
    expect("distributions that are used are told of", told, client.told)?;
    let used = count(&[
        "distributions_published",
        "distributions_renewed",
        "distributions_superseded",
        "distributions_doubted",
    ]);
    expect("each distribution is used once at most", true, used <= client.published)?;
    let records = reported + repeated + equivocating + late + early;
    expect("every record became something", counters.get("records_accepted"), Some(records))
}
