//! Those who asked for decisions, and the decisions on their way to them.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use centauri_engine::{Decision, Fleet, Report, Status};
use centauri_wire::{DecisionRecord, FRAME_BYTES_DATAGRAM, Header, Registry, Request, StreamId};

use super::granted::Granted;
use crate::requests::{
    Grant, Query, Refusal, Reply, Subscription, Subscriptions, age_us, deliver, resolve_own,
};
use crate::signer::Signer;
use crate::{ConfigError, Effects, SubscriberLimits, Windows};

/// A decision to be sent.
#[derive(Debug, Clone, Copy)]
struct Outgoing {
    windows: Windows,
    record: DecisionRecord,
}

/// Who asked for decisions, and what is to be sent to them.
#[derive(Debug)]
pub(super) struct Followers {
    pub(super) subscriptions: Subscriptions,
    /// … of the other shards, where there are any.
    pub(super) granted: Granted,
    /// The number of each stream that is decided here, in the order of the engine's.
    streams: Vec<Option<StreamId>>,
    /// Two streams have one number, so a number does not say which is meant.
    ambiguous: Option<StreamId>,
    /// The nonce of the next record; `None` when there is none left.
    nonce: Option<u64>,
    waiting: Vec<Outgoing>,
    pub(super) sent: u64,
}

impl Followers {
    pub(super) fn new(limits: SubscriberLimits, past_ns: u64, now_ns: i64) -> Result<Self, ConfigError> {
        Ok(Self {
            subscriptions: Subscriptions::new(limits, past_ns)?,
            granted: Granted::alone(),
            streams: Vec::new(),
            ambiguous: None,
            nonce: Some(u64::try_from(now_ns).unwrap_or(0)),
            waiting: Vec::new(),
            sent: 0,
        })
    }

    /// Tells which streams there are.
    pub(super) fn know(&mut self, streams: Vec<Option<StreamId>>) {
        let mut seen = BTreeSet::new();
        self.ambiguous = streams.iter().flatten().copied().find(|stream| !seen.insert(*stream));
        self.streams = streams;
    }

    /// The number of a stream of the engine's.
    pub(super) fn stream(&self, engine: centauri_engine::StreamId) -> Option<StreamId> {
        *self.streams.get(engine.0 as usize)?
    }

    /// Takes in a request for decisions of the fleet's streams; gives what is to be answered.
    pub(super) fn request(
        &mut self,
        now_ns: i64,
        (from, header): (SocketAddr, Header),
        request: &Request<'_>,
        fleet: &Fleet,
        effects: &mut Effects,
    ) -> Option<Reply> {
        let Self { subscriptions, streams, ambiguous, .. } = self;
        let resolve = |query: &Query, _| resolve(fleet, streams, *ambiguous, query);
        subscriptions.request(now_ns, from, header, request, resolve, effects)
    }

    /// Takes up a subscription that was kept; says whether it could.
    pub(super) fn restore(&mut self, now_ns: i64, kept: &[u8], registry: &Registry, fleet: &Fleet) -> bool {
        let Self { subscriptions, streams, ambiguous, .. } = self;
        let resolve = |query: &Query, _| resolve(fleet, streams, *ambiguous, query);
        subscriptions.restore(now_ns, kept, registry, resolve).is_some()
    }

    /// Tells other shards what is granted here, and looks what they have granted.
    pub(super) fn exchange(&mut self, now_ns: i64) {
        // A place that is free again is free for all shards, also where this one has nothing to send.
        self.subscriptions.expire(now_ns);
        self.granted.exchange(&self.subscriptions);
    }

    /// Takes in a decision on a round of the wire's `stream`, if anybody may want it.
    pub(super) fn take(
        &mut self,
        (stream, windows): (StreamId, Windows),
        round: i64,
        decision: &Decision,
        reports: &[Report],
    ) {
        if self.subscriptions.iter().next().is_none() && self.granted.is_empty() {
            return;
        }
        let Some(nonce) = self.nonce else { return };
        self.nonce = nonce.checked_add(1);
        let Decision { value, confidence, mean, sd, low, high, quorum, .. } = *decision;
        let record = DecisionRecord {
            stream,
            age_us: 0,
            nonce,
            round,
            decided: decision.status == Status::Decided,
            replicas: u8::try_from(reports.len()).unwrap_or(u8::MAX),
            reported: reports.iter().filter(|r| matches!(r, Report::Value(_))).count() as u32,
            value,
            confidence: confidence.clamp(0.0, 1.0),
            mean,
            sd,
            low,
            high,
            quorum: quorum.positions().collect(),
        };
        self.waiting.push(Outgoing { windows, record });
    }

    /// Sends each follower what it asked for of the decisions taken in.
    pub(super) fn send(&mut self, now_ns: i64, signer: &mut Signer, effects: &mut Effects) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        let own = self.subscriptions.live(now_ns).iter();
        self.sent += deliver(
            &waiting,
            own.chain(self.granted.others(now_ns)),
            Outgoing::is_for,
            |outgoing| outgoing.record(now_ns),
            |records, emit| signer.records(now_ns, FRAME_BYTES_DATAGRAM, records, emit),
            Some(Signer::room::<DecisionRecord>(FRAME_BYTES_DATAGRAM)),
            effects,
        );
        self.waiting = waiting;
        self.waiting.clear();
    }
}

/// What there is for a query.
fn resolve(
    fleet: &Fleet,
    streams: &[Option<StreamId>],
    ambiguous: Option<StreamId>,
    query: &Query,
) -> Result<Grant, Refusal> {
    if let Some(stream) = ambiguous {
        let reason = format!("decisions are not sent here: two streams have the number {stream}");
        return Err(Refusal::new(centauri_wire::Outcome::Unknown, reason));
    }
    // Streams of the model that are not decided here cannot be asked for.
    let named = fleet.streams().iter().zip(streams);
    resolve_own(query, named.filter_map(|(stream, number)| Some(((*number)?, stream.name()))))
}

impl Outgoing {
    fn is_for(&self, subscription: &Subscription) -> bool {
        subscription.wants(self.record.stream) && subscription.begins_span(self.windows, self.record.round)
    }

    fn record(&self, now_ns: i64) -> DecisionRecord {
        DecisionRecord { age_us: age_us(self.windows, self.record.round, now_ns), ..self.record }
    }
}
