//! The nodes that a node asks to stream to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use centauri_wire::{Answer, Header, NodeId, Outcome, QUERY_BYTES_MAX, Request, RequestAction, StreamId};

use super::clocks::Clock;
use super::{ClockBound, ClockEstimate, ComputationQuery, Query, StreamQuery};
use crate::error::check_number;
use crate::signer::Signer;
use crate::{ConfigError, Effects, Note};

/// A node that is asked to stream, and what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The node.
    pub node: NodeId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Which of its streams.
    pub query: StreamQuery,
}

/// A replica that is asked for a computation.
#[derive(Debug, Clone, PartialEq)]
pub struct ComputationUpstream {
    /// The replica.
    pub node: NodeId,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is to compute.
    pub query: ComputationQuery,
    /// How often, in nanoseconds: the paper's rate `r` as a period.
    pub every_ns: i64,
    /// Readings that are older when the window is closed do not count, in nanoseconds: the paper's `v`.
    pub validity_ns: i64,
}

impl ComputationUpstream {
    /// The number under which results come, the same from every replica that is asked the same.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.query.stream(self.every_ns, self.validity_ns)
    }

    /// Whether it can be asked for at all.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_number("every_ns", self.every_ns, self.every_ns > 0, "at least 1")?;
        check_number("validity_ns", self.validity_ns, self.validity_ns > 0, "at least 1")?;
        let query = self.query.to_string();
        if query.len() > QUERY_BYTES_MAX { Err(ConfigError::query(&query)) } else { Ok(()) }
    }
}

/// How a node asks others to stream to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPolicy {
    /// The number of the first request to a node; others go on from it. Renewals and the cancellation carry the same.
    pub request_id: u64,
    /// Data older than this is not wanted, in nanoseconds.
    pub validity_ns: i64,
    /// How long a request holds, in nanoseconds; it is renewed when half of that has passed since it was answered.
    pub ttl_ns: i64,
    /// The least time between two elements of a stream, in nanoseconds; 1 for all of them.
    pub period_ns: i64,
    /// Until a request or its renewal is answered it is sent again this often, in nanoseconds.
    pub retry_ns: i64,
    /// How far off another node's clock may be before it is named.
    pub clocks: ClockBound,
}

impl Default for RequestPolicy {
    /// All elements of the last minute, half a minute at a time; every quarter of a second until answered; clocks a tenth of a
    /// second off.
    fn default() -> Self {
        Self {
            request_id: 1,
            validity_ns: 60_000_000_000,
            ttl_ns: 30_000_000_000,
            period_ns: 1,
            retry_ns: 250_000_000,
            clocks: ClockBound::default(),
        }
    }
}

/// Numbers of requests for what a node needs only as long as others ask it for something, or on behalf of a stream of its own.
const NEEDED: u64 = 1 << 63;
/// … on behalf of one stream, whose number is in the lower half.
const FOR_ONE: u64 = 1 << 62;

/// Why something is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// For one of the node's streams.
    Stream(StreamId),
    /// For several.
    Several,
}

impl Reason {
    fn request_id(self) -> u64 {
        match self {
            Self::Several => NEEDED,
            Self::Stream(stream) => NEEDED | FOR_ONE | u64::from(stream.0),
        }
    }

    /// Of a request with this number; `None` for one that is not of this kind.
    fn of(request_id: u64) -> Option<Self> {
        let stream = StreamId((request_id & u64::from(u32::MAX)) as u32);
        match request_id & (NEEDED | FOR_ONE) {
            0 | FOR_ONE => None,
            NEEDED => Some(Self::Several),
            _ => Some(Self::Stream(stream)),
        }
    }
}

#[derive(Debug)]
struct Asked {
    node: NodeId,
    request_id: u64,
    address: SocketAddr,
    query: String,
    validity_ns: i64,
    period_ns: i64,
    due_ns: i64,
    /// When it was asked last.
    last_ns: Option<i64>,
    /// So many answers may be to what was asked for before.
    foreign: u32,
    /// When it was asked first of the times since it answered last.
    sent_ns: Option<i64>,
    /// How often it was asked since.
    sent: u8,
    /// How many more answers may be to requests from before that.
    stale: u8,
    /// Requests without an answer: more answers than that are to nothing.
    open: u32,
    /// Something of the node was accepted since this was asked for: it is there.
    heard: bool,
    refused: Option<Outcome>,
}

impl Asked {
    /// So many answers are passed over at most: those to others may have been lost.
    const STALE_MAX: u8 = 8;

    fn note_sent(&mut self, now_ns: i64) {
        self.open = self.open.saturating_add(1);
        self.last_ns = Some(now_ns);
        self.sent_ns = self.sent_ns.or(Some(now_ns));
        self.sent = self.sent.saturating_add(1);
    }

    /// A time before that of the request that this answer is to; `None` where that cannot be told. Requests that are sent
    /// again carry the same number, so an answer does not say to which of them it is.
    fn answered_since(&mut self) -> Option<i64> {
        let (sent_ns, sent) = (self.sent_ns.take(), std::mem::take(&mut self.sent));
        if self.stale > 0 {
            self.stale -= 1;
            return None;
        }
        self.stale = sent.saturating_sub(1).min(Self::STALE_MAX);
        sent_ns
    }
}

/// So long after its answer a request is renewed.
fn half(ttl_ns: i64) -> i64 {
    (ttl_ns / 2).max(1)
}

/// The requests in the order of nodes and numbers.
#[derive(Debug)]
pub(crate) struct Upstreams {
    policy: RequestPolicy,
    asked: Vec<Asked>,
    clocks: BTreeMap<NodeId, Clock>,
    /// The earliest of the `due_ns`; `None` once cancelled, or without requests.
    due_ns: Option<i64>,
    pub(crate) sent: u64,
    refused: u64,
    answers_stray: u64,
}

impl Upstreams {
    pub(crate) fn new(
        policy: RequestPolicy,
        upstreams: &[Upstream],
        computations: &[ComputationUpstream],
        now_ns: i64,
    ) -> Result<Self, ConfigError> {
        for (key, value) in [
            ("request.validity_ns", policy.validity_ns),
            ("request.ttl_ns", policy.ttl_ns),
            ("request.period_ns", policy.period_ns),
            ("request.retry_ns", policy.retry_ns),
        ] {
            check_number(key, value, value > 0, "at least 1")?;
        }
        let mut all = Self {
            policy,
            asked: Vec::with_capacity(upstreams.len() + computations.len()),
            clocks: BTreeMap::new(),
            due_ns: None,
            sent: 0,
            refused: 0,
            answers_stray: 0,
        };
        let mut number = policy.request_id;
        for upstream in upstreams {
            let times = (policy.period_ns, policy.validity_ns);
            all.add(
                (upstream.node, policy.request_id),
                upstream.address,
                &upstream.query.clone().into(),
                times,
                now_ns,
            )?;
        }
        for upstream in computations {
            upstream.check()?;
            number = number.wrapping_add(1) & !(NEEDED | FOR_ONE);
            let times = (upstream.every_ns, upstream.validity_ns);
            all.add(
                (upstream.node, number),
                upstream.address,
                &upstream.query.clone().into(),
                times,
                now_ns,
            )?;
        }
        Ok(all)
    }

    fn add(
        &mut self,
        (node, request_id): (NodeId, u64),
        address: SocketAddr,
        query: &Query,
        (period_ns, validity_ns): (i64, i64),
        now_ns: i64,
    ) -> Result<(), ConfigError> {
        let query = query.to_string();
        if !(1..=QUERY_BYTES_MAX).contains(&query.len()) {
            return Err(ConfigError::query(&query));
        }
        let new = Asked {
            node,
            request_id,
            address,
            query,
            validity_ns,
            period_ns,
            due_ns: now_ns,
            last_ns: None,
            foreign: 0,
            sent_ns: None,
            sent: 0,
            stale: 0,
            open: 0,
            heard: false,
            refused: None,
        };
        let place = self.asked.partition_point(|known| (known.node, known.request_id) <= (node, request_id));
        self.asked.insert(place, new);
        self.clocks.entry(node).or_default();
        self.due_ns = Some(self.due_ns.map_or(now_ns, |due| due.min(now_ns)));
        Ok(())
    }

    /// Asks `node` from now on for what `query` says, on behalf of the streams of its `via`; it may be a change of what was needed
    /// of it for `reason` before. The times are the least between two elements, and the validity.
    pub(crate) fn need(
        &mut self,
        (node, reason): (NodeId, Reason),
        address: SocketAddr,
        mut query: Query,
        times: (i64, i64),
        now_ns: i64,
    ) {
        let mut text = query.to_string();
        // What is needed comes before on whose behalf: the furthest are left out where there is no room.
        while text.len() > QUERY_BYTES_MAX && query.via.pop().is_some() {
            text = query.to_string();
        }
        let request_id = reason.request_id();
        let key = (node, request_id);
        let found = self.asked.binary_search_by_key(&key, |asked| (asked.node, asked.request_id));
        let known = found.ok().and_then(|at| self.asked.get_mut(at));
        match known {
            Some(known) if known.query == text => {}
            Some(known) if text.len() <= QUERY_BYTES_MAX => {
                // Nodes of a circle that refuse each other all at once would otherwise ask each other anew as fast as they answer.
                let again_ns = known.last_ns.map_or(now_ns, |last| last.saturating_add(self.policy.retry_ns));
                (known.query, known.due_ns, known.heard) = (text, again_ns.max(now_ns), false);
                known.foreign = known.open.min(u32::from(Asked::STALE_MAX));
                self.due_ns = Some(self.due_ns.map_or(known.due_ns, |due| due.min(known.due_ns)));
            }
            Some(_) => {}
            None => {
                // It fits: a query of numbers that is too long asks for all, and computations have been checked.
                let _ = self.add((node, request_id), address, &query, times, now_ns);
            }
        }
    }

    /// Data older than this is not wanted, in nanoseconds.
    pub(crate) fn validity_ns(&self) -> i64 {
        self.policy.validity_ns
    }

    /// Tells those of whom nothing is needed any more.
    pub(crate) fn need_only(
        &mut self,
        now_ns: i64,
        is_needed: impl Fn(NodeId, Reason) -> bool,
        signer: &mut Signer,
        effects: &mut Effects,
    ) {
        let mut sent = 0;
        self.asked.retain(|asked| {
            let keep = Reason::of(asked.request_id).is_none_or(|reason| is_needed(asked.node, reason));
            if !keep {
                let cancel = Request { request_id: asked.request_id, action: RequestAction::Cancel };
                sent += u64::from(signer.request(now_ns, (asked.node, asked.address), &cancel, effects));
            }
            keep
        });
        self.sent += sent;
        self.due_ns = self.due_ns.and_then(|_| self.asked.iter().map(|asked| asked.due_ns).min());
    }

    /// Notes that something of `node` was accepted.
    pub(crate) fn heard(&mut self, node: NodeId, effects: &mut Effects) {
        let first = self.asked.partition_point(|asked| asked.node < node);
        let mut is_new = false;
        for asked in self.asked.iter_mut().skip(first).take_while(|asked| asked.node == node) {
            is_new |= !asked.heard;
            asked.heard = true;
        }
        if is_new {
            effects.note(Note::Heard { node });
        }
    }

    /// Takes in what a node says to a request. An answer to nothing that was asked is counted and no more.
    pub(crate) fn answered(
        &mut self,
        now_ns: i64,
        header: Header,
        answer: &Answer<'_>,
        effects: &mut Effects,
    ) {
        let key = (header.sender, answer.request_id);
        let found = self.asked.binary_search_by_key(&key, |asked| (asked.node, asked.request_id));
        let asked = found.ok().and_then(|at| self.asked.get_mut(at)).filter(|asked| asked.open > 0);
        let Some(asked) = asked else {
            self.answers_stray += 1;
            return;
        };
        asked.open -= 1;
        if let (Some(sent_ns), Some(clock)) = (asked.answered_since(), self.clocks.get_mut(&header.sender)) {
            clock.measure(sent_ns, header.timestamp_ns, now_ns);
            clock.judge(header.sender, self.policy.clocks, effects);
        }
        let refused = answer.outcome.is_refusal().then_some(answer.outcome);
        if refused.is_some() {
            self.refused += 1;
        }
        // After a refusal it is asked again all the same: quotas and places become free.
        if asked.foreign > 0 {
            asked.foreign -= 1;
        } else {
            asked.due_ns = now_ns.saturating_add(half(self.policy.ttl_ns));
        }
        if refused.is_some() && refused != asked.refused {
            effects.note(Note::Refused {
                node: header.sender,
                outcome: answer.outcome,
                query: asked.query.clone(),
                reason: answer.reason.to_owned(),
            });
        }
        asked.refused = refused;
        self.due_ns = self.due_ns.and_then(|_| self.asked.iter().map(|asked| asked.due_ns).min());
    }

    /// What is known of the clocks of the nodes that were asked.
    pub(crate) fn clocks(&self) -> impl Iterator<Item = (NodeId, ClockEstimate)> {
        self.clocks.iter().filter_map(|(node, clock)| Some((*node, clock.estimate()?)))
    }

    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.due_ns
    }

    /// Sends the requests that are due.
    pub(crate) fn tick(&mut self, now_ns: i64, signer: &mut Signer, effects: &mut Effects) {
        if self.due_ns.is_none_or(|due| now_ns < due) {
            return;
        }
        let RequestPolicy { ttl_ns, retry_ns, .. } = self.policy;
        for asked in &mut self.asked {
            if asked.due_ns > now_ns {
                continue;
            }
            let action = RequestAction::Start {
                query: &asked.query,
                validity_ns: asked.validity_ns.unsigned_abs(),
                ttl_ns: ttl_ns.unsigned_abs(),
                period_ns: asked.period_ns.unsigned_abs(),
            };
            let request = Request { request_id: asked.request_id, action };
            let sent = signer.request(now_ns, (asked.node, asked.address), &request, effects);
            self.sent += u64::from(sent);
            asked.note_sent(now_ns);
            asked.due_ns = now_ns.saturating_add(half(ttl_ns).min(retry_ns));
        }
        self.due_ns = self.asked.iter().map(|asked| asked.due_ns).min();
    }

    /// Asks every node anew at once, and often until it answers: the way to it was interrupted.
    pub(crate) fn ask_again(&mut self, now_ns: i64) {
        if self.due_ns.is_none() {
            return;
        }
        for asked in &mut self.asked {
            asked.due_ns = now_ns;
        }
        self.due_ns = Some(now_ns);
    }

    /// Tells every node to stop, and asks no more.
    pub(crate) fn cancel(&mut self, now_ns: i64, signer: &mut Signer, effects: &mut Effects) {
        if self.due_ns.take().is_none() {
            return;
        }
        for asked in &self.asked {
            let request = Request { request_id: asked.request_id, action: RequestAction::Cancel };
            self.sent += u64::from(signer.request(now_ns, (asked.node, asked.address), &request, effects));
        }
    }

    pub(crate) fn list(&self, out: &mut Vec<(&'static str, u64)>) {
        let off = self.clocks.values().filter(|clock| clock.is_off()).count() as u64;
        let furthest = self.clocks().map(|(_, estimate)| estimate.offset_ns.unsigned_abs()).max();
        out.push(("requests_sent", self.sent));
        out.push(("requests_refused_by_others", self.refused));
        out.push(("answers_stray", self.answers_stray));
        out.push(("clocks_off", off));
        out.push(("clock_offset_max_ns", furthest.unwrap_or(0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_wire::KeyFile;

    const FROM: NodeId = NodeId(4);
    const MS: i64 = 1_000_000;

    fn upstreams() -> (Upstreams, Signer) {
        let upstream = Upstream { node: FROM, address: ([127, 0, 0, 1], 9).into(), query: StreamQuery::All };
        let all = Upstreams::new(RequestPolicy::default(), &[upstream], &[], 0).unwrap();
        (all, Signer::new(KeyFile::generate([7; 32]).identity(NodeId(7))))
    }

    fn answered(all: &mut Upstreams, now_ns: i64, stamp_ns: i64, outcome: Outcome) -> usize {
        let header = Header { sender: FROM, receiver: Some(NodeId(7)), timestamp_ns: stamp_ns };
        let answer = Answer { request_id: 1, outcome, ttl_ns: 1, period_ns: 1, reason: "" };
        let mut effects = Effects::new();
        all.answered(now_ns, header, &answer, &mut effects);
        effects.len()
    }

    /// Asked at 0 and at 250 ms over a way of 140 ms each; the first answer comes after the second request.
    #[test]
    fn an_answer_to_an_earlier_request_does_not_name_an_honest_clock() {
        let (mut all, mut signer) = upstreams();
        let mut effects = Effects::new();
        all.tick(0, &mut signer, &mut effects);
        all.tick(250 * MS, &mut signer, &mut effects);
        assert_eq!(effects.sends().count(), 2);
        for (received, stamp) in [(280, 140), (530, 390)] {
            assert_eq!(answered(&mut all, received * MS, stamp * MS, Outcome::Granted), 0);
        }
        let (_, estimate) = all.clocks().next().unwrap();
        assert!(estimate.offset_ns.abs() <= estimate.error_ns, "{estimate:?}");
    }

    /// However much else comes of the node, a request that was lost is sent again; and so is a renewal.
    #[test]
    fn what_is_not_answered_is_asked_again_soon_and_what_is_only_when_half_its_time_has_passed() {
        let (mut all, mut signer) = upstreams();
        let mut effects = Effects::new();
        let mut sent_at = Vec::new();
        for now in (0..60_000).step_by(50) {
            effects.clear();
            all.tick(now * MS, &mut signer, &mut effects);
            if effects.sends().count() > 0 {
                sent_at.push(now);
                // Of five, the first two are lost, and the answer to the fourth, which renews.
                if matches!(sent_at.len(), 3 | 5) {
                    answered(&mut all, now * MS, now * MS, Outcome::Granted);
                }
            }
            all.heard(FROM, &mut effects);
        }
        assert_eq!(sent_at[..5], [0, 250, 500, 15_500, 15_750]);
        assert_eq!(sent_at[5], 30_750);
        assert!(sent_at[6..].iter().zip(&sent_at[5..]).all(|(later, before)| later - before == 250));
    }

    /// Asked at 0; it changes at 100 ms, and the answer to what was asked before comes when the new request has been sent and lost.
    #[test]
    fn an_answer_to_what_was_asked_before_does_not_put_off_what_is_asked_now() {
        let (mut all, mut signer) = upstreams();
        let need = |all: &mut Upstreams, stream: u32, now_ns: i64| {
            let query = StreamQuery::of([StreamId(stream)]).into();
            all.need((FROM, Reason::Several), ([127, 0, 0, 1], 9).into(), query, (1, 1), now_ns);
        };
        let answer = |all: &mut Upstreams, now_ns: i64| {
            let header = Header { sender: FROM, receiver: Some(NodeId(7)), timestamp_ns: now_ns };
            let request_id = Reason::Several.request_id();
            let answer =
                Answer { request_id, outcome: Outcome::Granted, ttl_ns: 1, period_ns: 1, reason: "" };
            all.answered(now_ns, header, &answer, &mut Effects::new());
        };
        let mut sent = |all: &mut Upstreams, now_ns: i64| {
            let mut effects = Effects::new();
            all.tick(now_ns, &mut signer, &mut effects);
            effects.sends().count()
        };
        need(&mut all, 1, 0);
        assert_eq!(sent(&mut all, 0), 2);
        answered(&mut all, 0, 0, Outcome::Granted);
        need(&mut all, 2, 100 * MS);
        assert_eq!((sent(&mut all, 249 * MS), sent(&mut all, 250 * MS)), (0, 1));
        answer(&mut all, 280 * MS);
        assert_eq!((sent(&mut all, 499 * MS), sent(&mut all, 500 * MS)), (0, 1));
        answer(&mut all, 600 * MS);
        // The first request is due again at 15 s.
        assert_eq!((sent(&mut all, 15_000 * MS), sent(&mut all, 15_240 * MS)), (1, 0));
        answered(&mut all, 15_240 * MS, 15_240 * MS, Outcome::Granted);
        assert_eq!((sent(&mut all, 15_599 * MS), sent(&mut all, 15_600 * MS)), (0, 1));
    }

    #[test]
    fn another_way_to_a_node_has_it_asked_at_once() {
        let (mut all, mut signer) = upstreams();
        all.tick(0, &mut signer, &mut Effects::new());
        answered(&mut all, 0, 0, Outcome::Granted);
        assert_eq!(all.next_deadline(), Some(15_000 * MS));
        all.ask_again(2_000 * MS);
        let mut effects = Effects::new();
        all.tick(2_000 * MS, &mut signer, &mut effects);
        assert_eq!((effects.sends().count(), all.next_deadline()), (1, Some(2_250 * MS)));
        all.cancel(2_100 * MS, &mut signer, &mut effects);
        all.ask_again(2_200 * MS);
        assert_eq!(all.next_deadline(), None);
    }

    #[test]
    fn answers_that_nobody_asked_for_make_no_notes() {
        let (mut all, mut signer) = upstreams();
        all.tick(0, &mut signer, &mut Effects::new());
        let notes: usize = (1..100)
            .map(|at| answered(&mut all, at, at, if at % 2 == 0 { Outcome::Full } else { Outcome::Quota }))
            .sum();
        assert_eq!((notes, all.refused, all.answers_stray), (1, 1, 98));
    }

    #[test]
    fn what_is_needed_is_asked_for_however_long_the_way_is_that_it_came() {
        let (mut all, mut signer) = upstreams();
        let via: Vec<String> = (0..16).map(|at| format!("{at}{}", "x".repeat(120))).collect();
        let address = ([127, 0, 0, 1], 9).into();
        let reason = (FROM, Reason::Stream(StreamId(3)));
        let query = Query { via: via.clone(), ..StreamQuery::of([StreamId(1), StreamId(9)]).into() };
        all.need(reason, address, query, (1, 1), 0);
        let asked = all.asked.iter().find(|asked| asked.request_id == reason.1.request_id()).unwrap();
        let query: Query = asked.query.parse().unwrap();
        assert!(asked.query.len() <= QUERY_BYTES_MAX && query.to_string().starts_with("1,9 via 0x"));
        assert!((1..16).contains(&query.via.len()) && via.starts_with(&query.via));
        let mut effects = Effects::new();
        all.tick(0, &mut signer, &mut effects);
        assert_eq!(effects.sends().count(), 2);
    }
}
