//! The nodes that a node asks to stream to it.

use std::net::SocketAddr;

use centauri_wire::{NodeId, QUERY_BYTES_MAX, Request, RequestAction};

use crate::error::check_number;
use crate::signer::Signer;
use crate::{ConfigError, Effects, Note, StreamQuery};

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

/// How a node asks others to stream to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestPolicy {
    /// The number that the requests carry; renewals and the cancellation carry the same.
    pub request_id: u64,
    /// Data older than this is not wanted, in nanoseconds.
    pub validity_ns: i64,
    /// How long a request holds, in nanoseconds; it is renewed when half of that has passed.
    pub ttl_ns: i64,
    /// The least time between two elements of a stream, in nanoseconds; 1 for all of them.
    pub period_ns: i64,
    /// Until a node is heard for the first time it is asked this often, in nanoseconds.
    pub retry_ns: i64,
}

impl Default for RequestPolicy {
    /// All elements of the last minute, half a minute at a time; every quarter of a second until heard.
    fn default() -> Self {
        Self {
            request_id: 1,
            validity_ns: 60_000_000_000,
            ttl_ns: 30_000_000_000,
            period_ns: 1,
            retry_ns: 250_000_000,
        }
    }
}

#[derive(Debug)]
struct Asked {
    node: NodeId,
    address: SocketAddr,
    query: String,
    due_ns: i64,
    heard: bool,
}

/// The nodes asked, in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Upstreams {
    policy: RequestPolicy,
    asked: Vec<Asked>,
    /// The earliest of the `due_ns`; `None` once cancelled.
    due_ns: Option<i64>,
    pub(crate) sent: u64,
}

impl Upstreams {
    pub(crate) fn new(
        policy: RequestPolicy,
        upstreams: &[Upstream],
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
        let mut asked = Vec::with_capacity(upstreams.len());
        for upstream in upstreams {
            let query = upstream.query.to_string();
            if !(1..=QUERY_BYTES_MAX).contains(&query.len()) {
                return Err(ConfigError::Query { found: query });
            }
            let Upstream { node, address, .. } = *upstream;
            asked.push(Asked { node, address, query, due_ns: now_ns, heard: false });
        }
        asked.sort_by_key(|asked| asked.node);
        let due_ns = asked.first().map(|_| now_ns);
        Ok(Self { policy, asked, due_ns, sent: 0 })
    }

    /// Notes that something of `node` was accepted.
    pub(crate) fn heard(&mut self, node: NodeId, effects: &mut Effects) {
        let Ok(at) = self.asked.binary_search_by_key(&node, |asked| asked.node) else { return };
        if let Some(asked) = self.asked.get_mut(at).filter(|asked| !asked.heard) {
            asked.heard = true;
            effects.note(Note::Heard { node });
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<i64> {
        self.due_ns
    }

    /// Sends the requests that are due.
    pub(crate) fn tick(&mut self, now_ns: i64, signer: &mut Signer, effects: &mut Effects) {
        if self.due_ns.is_none_or(|due| now_ns < due) {
            return;
        }
        let RequestPolicy { request_id, validity_ns, ttl_ns, period_ns, retry_ns } = self.policy;
        for asked in &mut self.asked {
            if asked.due_ns > now_ns {
                continue;
            }
            let action = RequestAction::Start {
                query: &asked.query,
                validity_ns: validity_ns.unsigned_abs(),
                ttl_ns: ttl_ns.unsigned_abs(),
                period_ns: period_ns.unsigned_abs(),
            };
            let sent = signer.request(now_ns, asked.address, &Request { request_id, action }, effects);
            self.sent += u64::from(sent);
            let half = (ttl_ns / 2).max(1);
            let wait = if asked.heard { half } else { half.min(retry_ns) };
            asked.due_ns = now_ns.saturating_add(wait);
        }
        self.due_ns = self.asked.iter().map(|asked| asked.due_ns).min();
    }

    /// Tells every node to stop, and asks no more.
    pub(crate) fn cancel(&mut self, now_ns: i64, signer: &mut Signer, effects: &mut Effects) {
        if self.due_ns.take().is_none() {
            return;
        }
        let request = Request { request_id: self.policy.request_id, action: RequestAction::Cancel };
        for asked in &self.asked {
            self.sent += u64::from(signer.request(now_ns, asked.address, &request, effects));
        }
    }
}
