//! Data sources: each reading goes, signed, to whoever asked for it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use centauri_wire::{
    FRAME_BYTES_DATAGRAM, Limits, MessageView, NodeId, Record, Registry, SigningIdentity, StreamId, Verifier,
};

use crate::counters::counters;
use crate::requests::{Subscriptions, resolve_own};
use crate::signer::Signer;
use crate::{ConfigError, EVENTS_PER_TICK_MAX, Effects, Role, SubscriberLimits};

/// What a source is told.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// The number of its stream.
    pub stream: StreamId,
    /// Its stream's name, by which it can be asked for; none if empty.
    pub name: String,
    /// Bounds on subscriptions.
    pub subscribers: SubscriberLimits,
    /// The acceptance of frames.
    pub limits: Limits,
    /// The number of the first reading.
    pub first_sequence: i64,
}

impl SourceConfig {
    /// A source of `stream` with the defaults: readings are numbered from 0.
    #[must_use]
    pub fn new(stream: StreamId) -> Self {
        Self {
            stream,
            name: String::new(),
            subscribers: SubscriberLimits::default(),
            limits: Limits::default(),
            first_sequence: 0,
        }
    }
}

counters! {
    /// What became of readings.
    SourceCounters {
        readings_taken,
        readings_not_finite,
        readings_too_old,
        records_sent,
        frames_unexpected,
    }
}

/// A source: sends one signed record for each reading to every subscriber.
///
/// A record's round is the number of the reading, its source timestamp the reading's time, exactly.
/// Readings come in the order of their time from an iterator of `(at_ns, value)`, live or replayed; one
/// that is older than the one before goes out at once. Only one reading is held at a time.
///
/// A request's period thins the stream: in each span of that length, counted from the Unix epoch, the first
/// reading is sent. A reading older than the request's validity is not sent to that subscriber.
pub struct Source {
    stream: StreamId,
    name: String,
    readings: Box<dyn Iterator<Item = (i64, f64)> + Send>,
    next: Option<(i64, f64)>,
    sequence: i64,
    /// `None` when there is no nonce left.
    nonce: Option<u64>,
    verifier: Verifier,
    signer: Signer,
    subscriptions: Subscriptions,
    counters: SourceCounters,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("stream", &self.stream)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// A source at time `now_ns`, at which its nonces begin.
    ///
    /// # Errors
    /// A bound in the configuration that is out of range.
    pub fn new(
        config: &SourceConfig,
        registry: Arc<Registry>,
        identity: SigningIdentity,
        mut readings: Box<dyn Iterator<Item = (i64, f64)> + Send>,
        now_ns: i64,
    ) -> Result<Self, ConfigError> {
        let next = readings.next();
        Ok(Self {
            stream: config.stream,
            name: config.name.clone(),
            readings,
            next,
            sequence: config.first_sequence,
            nonce: Some(u64::try_from(now_ns).unwrap_or(0)),
            verifier: Verifier::new(registry, config.limits).for_node(identity.id()),
            signer: Signer::new(identity),
            subscriptions: Subscriptions::new(config.subscribers, config.limits.past_ns)?,
            counters: SourceCounters::default(),
        })
    }

    /// Accepts no timestamp from now on that is both after `reserved_ns` and ahead of the clock.
    pub fn reserve_until(&mut self, reserved_ns: i64) {
        self.verifier.reserve_until(reserved_ns);
    }

    /// The newest timestamp of a frame that was accepted.
    #[must_use]
    pub fn newest_accepted_ns(&self) -> Option<i64> {
        self.verifier.newest_accepted_ns()
    }

    /// The requests that it serves as bytes, by node and number, to be kept over a restart.
    pub fn kept_requests(&self) -> impl Iterator<Item = ((NodeId, u64), Vec<u8>)> {
        self.subscriptions.kept()
    }

    /// Takes up a request that was kept, until it expires; says whether it could.
    pub fn restore_request(&mut self, now_ns: i64, kept: &[u8]) -> bool {
        let own = std::iter::once((self.stream, self.name.as_str()));
        let resolve = |query: &_, _| resolve_own(query, own);
        self.subscriptions.restore(now_ns, kept, self.verifier.registry(), resolve).is_some()
    }

    /// Whether every reading has been sent.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.next.is_none()
    }

    /// Takes in a reading of `at_ns` that has just been made, and sends it to those who want it; one that comes beside the
    /// iterator's.
    pub fn take(&mut self, now_ns: i64, at_ns: i64, value: f64, effects: &mut Effects) {
        self.counters.readings_taken += 1;
        let round = self.sequence;
        self.sequence = self.sequence.saturating_add(1);
        if !value.is_finite() {
            self.counters.readings_not_finite += 1;
            return;
        }
        // Ages are told in whole microseconds: a frame that is a whole number of them younger than the
        // reading lets the receiver recover the reading's time to the nanosecond.
        let age_ns = i128::from(now_ns).max(i128::from(at_ns)) - i128::from(at_ns);
        let (Ok(age_us), Some(nonce)) = (u32::try_from(age_ns / 1_000), self.nonce) else {
            self.counters.readings_too_old += 1;
            return;
        };
        let timestamp_ns = at_ns.saturating_add(i64::from(age_us) * 1_000);
        let stream = self.stream;
        let mut frame = None;
        for subscription in self.subscriptions.live(now_ns) {
            let span = subscription.span_of(at_ns, 0);
            let is_next =
                subscription.last_span.is_none_or(|last| span != last || subscription.period_ns == 1);
            if !is_next || !subscription.is_valid(at_ns, now_ns) {
                continue;
            }
            subscription.last_span = Some(span);
            if frame.is_none() {
                let record = Record { stream, age_us, nonce, round, value, readings: 1 };
                self.signer.records(timestamp_ns, FRAME_BYTES_DATAGRAM, [record], |bytes, _| {
                    frame = Some(effects.keep(bytes));
                });
                self.nonce = nonce.checked_add(1);
            }
            if let Some(frame) = &frame {
                effects.send_kept(subscription.address, frame.clone());
                self.counters.records_sent += 1;
            }
        }
    }
}

impl Role for Source {
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        let Ok(accepted) = self.verifier.check(now_ns, bytes) else { return false };
        let MessageView::Request(request) = accepted.message() else {
            self.counters.frames_unexpected += 1;
            return true;
        };
        let own = std::iter::once((self.stream, self.name.as_str()));
        let header = accepted.header();
        let resolve = |query: &_, _| resolve_own(query, own);
        let reply = self.subscriptions.request(now_ns, from, header, request, resolve, effects);
        if let Some(reply) = reply {
            self.signer.answer(now_ns, reply.to, &reply.answer(), effects);
        }
        true
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        for _ in 0..EVENTS_PER_TICK_MAX {
            let Some((at_ns, value)) = self.next.filter(|(at_ns, _)| *at_ns <= now_ns) else { return };
            self.take(now_ns, at_ns, value, effects);
            self.next = self.readings.next();
        }
    }

    fn next_deadline(&self) -> Option<i64> {
        self.next.map(|(at_ns, _)| at_ns)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = Vec::new();
        self.counters.list(&mut list);
        self.subscriptions.counters.list(&mut list);
        list.push(("encode_failed", self.signer.failed));
        list.extend(self.verifier.counters().iter());
        list
    }
}
