//! Who asked for a node's streams, and for how long.

use std::net::SocketAddr;

use centauri_wire::{Header, NodeId, Request, RequestAction, StreamId};

use crate::counters::counters;
use crate::error::check_number;
use crate::{ConfigError, Effects, Note, StreamQuery};

/// Bounds on the subscriptions that a node serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriberLimits {
    /// The most subscriptions in all.
    pub subscriptions_max: usize,
    /// The most subscriptions of one node.
    pub per_node_max: usize,
    /// A longer time to live counts as this one, in nanoseconds.
    pub ttl_max_ns: i64,
}

impl Default for SubscriberLimits {
    /// 1,024 in all, 4 a node, an hour.
    fn default() -> Self {
        Self { subscriptions_max: 1_024, per_node_max: 4, ttl_max_ns: 3_600_000_000_000 }
    }
}

counters! {
    /// What became of requests.
    RequestCounters {
        requests_started,
        requests_renewed,
        requests_cancelled,
        requests_expired,
        requests_refused_full,
        requests_refused_query,
        requests_outdated,
    }
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    node: NodeId,
    request_id: u64,
    /// Timestamp of the request in force: an older one that was overtaken must not undo it.
    timestamp_ns: i64,
    expires_ns: i64,
    query: StreamQuery,
    pub(crate) address: SocketAddr,
    pub(crate) validity_ns: u64,
    pub(crate) period_ns: i64,
    /// The latest span of `period_ns` in which something was sent.
    pub(crate) last_span: Option<i64>,
}

impl Subscription {
    pub(crate) fn wants(&self, stream: StreamId) -> bool {
        self.query.contains(stream)
    }

    /// Whether data of `source_ns` is young enough at `now_ns`: `source ≥ now − v`.
    pub(crate) fn is_valid(&self, source_ns: i64, now_ns: i64) -> bool {
        source_ns >= now_ns.saturating_sub_unsigned(self.validity_ns)
    }

    /// The span of the asked period, counted from `epoch_ns`, in which `at_ns` lies.
    pub(crate) fn span_of(&self, at_ns: i64, epoch_ns: i64) -> i64 {
        let since = i128::from(at_ns) - i128::from(epoch_ns);
        let span = since.div_euclid(i128::from(self.period_ns.max(1)));
        i64::try_from(span).unwrap_or(if span < 0 { i64::MIN } else { i64::MAX })
    }
}

/// The subscriptions in the order of node and request.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    limits: SubscriberLimits,
    list: Vec<Subscription>,
    pub(crate) counters: RequestCounters,
}

impl Subscriptions {
    pub(crate) fn new(limits: SubscriberLimits) -> Result<Self, ConfigError> {
        check_number("ttl_max_ns", limits.ttl_max_ns, limits.ttl_max_ns > 0, "at least 1")?;
        Ok(Self { limits, list: Vec::new(), counters: RequestCounters::default() })
    }

    /// The subscriptions in force at `now_ns`.
    pub(crate) fn live(&mut self, now_ns: i64) -> &mut [Subscription] {
        self.expire(now_ns);
        &mut self.list
    }

    fn expire(&mut self, now_ns: i64) {
        let before = self.list.len();
        self.list.retain(|subscription| now_ns < subscription.expires_ns);
        self.counters.requests_expired += (before - self.list.len()) as u64;
    }

    /// Takes in an accepted request; `serves` says whether any stream of this node is asked for.
    pub(crate) fn request(
        &mut self,
        now_ns: i64,
        from: SocketAddr,
        header: Header,
        request: &Request<'_>,
        serves: impl Fn(&StreamQuery) -> bool,
        effects: &mut Effects,
    ) {
        self.expire(now_ns);
        let key = (header.sender, request.request_id);
        let found = self.list.binary_search_by_key(&key, |known| (known.node, known.request_id));
        let known = found.ok().and_then(|at| self.list.get(at));
        if known.is_some_and(|known| header.timestamp_ns < known.timestamp_ns) {
            self.counters.requests_outdated += 1;
            return;
        }
        let RequestAction::Start { query, validity_ns, ttl_ns, period_ns } = request.action else {
            self.cancel(found, header.sender, effects);
            return;
        };
        let Some(query) = query.parse().ok().filter(|query| serves(query)) else {
            self.counters.requests_refused_query += 1;
            return;
        };
        let ttl_ns = i64::try_from(ttl_ns).unwrap_or(i64::MAX).min(self.limits.ttl_max_ns);
        let subscription = Subscription {
            node: header.sender,
            request_id: request.request_id,
            timestamp_ns: header.timestamp_ns,
            expires_ns: now_ns.saturating_add(ttl_ns),
            query,
            address: from,
            validity_ns,
            period_ns: i64::try_from(period_ns).unwrap_or(i64::MAX),
            last_span: None,
        };
        self.put(found, subscription, effects);
    }

    fn put(&mut self, found: Result<usize, usize>, mut new: Subscription, effects: &mut Effects) {
        let note = Note::Subscribed { node: new.node, address: new.address };
        match found {
            Ok(at) => {
                let Some(known) = self.list.get_mut(at) else { return };
                if known.period_ns == new.period_ns {
                    new.last_span = known.last_span;
                }
                if known.address != new.address {
                    effects.note(note);
                }
                *known = new;
                self.counters.requests_renewed += 1;
            }
            Err(place) => {
                let of_node = self.list.iter().filter(|known| known.node == new.node).count();
                if self.list.len() >= self.limits.subscriptions_max || of_node >= self.limits.per_node_max {
                    self.counters.requests_refused_full += 1;
                    return;
                }
                self.list.insert(place, new);
                self.counters.requests_started += 1;
                effects.note(note);
            }
        }
    }

    fn cancel(&mut self, found: Result<usize, usize>, node: NodeId, effects: &mut Effects) {
        if let Ok(at) = found {
            self.list.remove(at);
            self.counters.requests_cancelled += 1;
            effects.note(Note::Cancelled { node });
        }
    }
}
