//! Who asked for a node's streams, and for how long.

use std::net::SocketAddr;
use std::sync::Arc;

use centauri_wire::{Header, NodeId, Outcome, REASON_BYTES_MAX, Registry, Request, RequestAction, StreamId};

use super::cancelled::Cancelled;
use super::grant::{Grant, Refusal, Reply, Terms, Wanted};
use super::kept::Kept;
use super::places::Places;
use super::{Asked, Query};
use crate::counters::counters;
use crate::error::check_number;
use crate::{ConfigError, Effects, Note, Windows, connection_of};

/// Bounds on the subscriptions that a node serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriberLimits {
    /// The most subscriptions in all.
    pub subscriptions_max: usize,
    /// The most subscriptions of one node.
    pub per_node_max: usize,
    /// The most streams of all subscriptions of one node together.
    pub streams_per_node_max: usize,
    /// A longer time to live counts as this one, in nanoseconds.
    pub ttl_max_ns: i64,
    /// A request for results more often than this is refused, in nanoseconds. One for all there are (a period of 1) is not, but
    /// for computations.
    pub period_min_ns: i64,
}

impl Default for SubscriberLimits {
    /// 1,024 in all, 16 and 1,048,576 streams a node, an hour, a millisecond.
    fn default() -> Self {
        Self {
            subscriptions_max: 1_024,
            per_node_max: 16,
            streams_per_node_max: 1 << 20,
            ttl_max_ns: 3_600_000_000_000,
            period_min_ns: 1_000_000,
        }
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
        requests_refused_unknown,
        requests_refused_quota,
        requests_refused_rate,
        requests_refused_cycle,
        requests_outdated,
    }
}

/// One subscription. What is large in it is shared by its copies.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) node: NodeId,
    request_id: u64,
    /// Timestamp of the request in force: an older one that was overtaken must not undo it.
    timestamp_ns: i64,
    pub(crate) expires_ns: i64,
    streams: Arc<Wanted>,
    count: usize,
    /// What was asked for.
    pub(crate) query: Arc<str>,
    /// The streams of the asking node that wait for these.
    pub(crate) via: Arc<[String]>,
    pub(crate) address: SocketAddr,
    pub(crate) validity_ns: u64,
    pub(crate) period_ns: i64,
    /// The latest span of `period_ns` in which something was sent.
    pub(crate) last_span: Option<i64>,
}

impl Subscription {
    pub(crate) fn wants(&self, stream: StreamId) -> bool {
        self.streams.contains(stream)
    }

    /// The computation that it keeps running. Who asks for whatever streams there are keeps none.
    pub(crate) fn computation(&self) -> Option<StreamId> {
        match *self.streams {
            Wanted::Computation(stream) => Some(stream),
            Wanted::Numbers(_) | Wanted::List(_) => None,
        }
    }

    /// Whether data of `source_ns` is young enough at `now_ns`: `source ≥ now − v`.
    pub(crate) fn is_valid(&self, source_ns: i64, now_ns: i64) -> bool {
        source_ns >= now_ns.saturating_sub_unsigned(self.validity_ns)
    }

    /// Whether no earlier window than that of `round` opens in the same span of the period asked for. Every replica of a set
    /// decides so by the windows alone, so that all of them send the same rounds.
    pub(crate) fn begins_span(&self, windows: Windows, round: i64) -> bool {
        if self.period_ns <= windows.period_ns() {
            return true;
        }
        let epoch = windows.epoch_ns();
        let span = |round: i64| windows.opens_ns(round).map(|opens| self.span_of(opens, epoch));
        let before = round.checked_sub(1).and_then(span);
        before.is_none() || before != span(round)
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
    cancelled: Cancelled,
    /// What is asked for, or on whose behalf, may not be what it was.
    changed: bool,
    /// How often the list has changed in any way, renewals included.
    pub(crate) changes: u64,
    /// What other parts of the node serve beside these.
    places: Places,
    /// None expires before this, `None` for none at all.
    first_expiry_ns: Option<i64>,
    pub(crate) counters: RequestCounters,
}

impl Subscriptions {
    /// None yet. Requests older than `past_ns` are not accepted.
    pub(crate) fn new(limits: SubscriberLimits, past_ns: u64) -> Result<Self, ConfigError> {
        check_number("ttl_max_ns", limits.ttl_max_ns, limits.ttl_max_ns > 0, "at least 1")?;
        check_number("period_min_ns", limits.period_min_ns, limits.period_min_ns > 0, "at least 1")?;
        Ok(Self {
            limits,
            list: Vec::new(),
            cancelled: Cancelled::new(past_ns),
            changed: false,
            changes: 0,
            places: Places::default(),
            first_expiry_ns: None,
            counters: RequestCounters::default(),
        })
    }

    /// Those of a part of a node: no more than allowed are served by all parts together.
    pub(crate) fn sharing(&mut self, places: Places) {
        self.places = places;
    }

    /// The subscriptions in force at `now_ns`.
    pub(crate) fn live(&mut self, now_ns: i64) -> &mut [Subscription] {
        self.expire(now_ns);
        &mut self.list
    }

    /// Those in force when it was looked last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.list.iter()
    }

    /// All subscriptions as bytes, by node and request, to be kept over a restart; but for those that came on a connection, which
    /// ends with the process: who asked asks again on another.
    pub(crate) fn kept(&self) -> impl Iterator<Item = ((NodeId, u64), Vec<u8>)> {
        let lasting = self.list.iter().filter(|subscription| connection_of(subscription.address).is_none());
        lasting.map(|subscription| {
            let Subscription { node, request_id, timestamp_ns, expires_ns, validity_ns, period_ns, .. } =
                *subscription;
            let (address, query) = (subscription.address, (*subscription.query).to_owned());
            let kept =
                Kept { node, request_id, timestamp_ns, expires_ns, validity_ns, period_ns, address, query };
            ((node, request_id), kept.encode())
        })
    }

    /// Takes up a subscription that was kept, as if it had just been asked for, until it expires; gives what was granted, if it
    /// could.
    pub(crate) fn restore(
        &mut self,
        now_ns: i64,
        bytes: &[u8],
        registry: &Registry,
        resolve: impl FnOnce(&Query, Terms) -> Result<Grant, Refusal>,
    ) -> Option<(Query, Terms)> {
        let kept = Kept::decode(bytes).filter(|kept| kept.expires_ns > now_ns)?;
        // One that has been taken out of the registry would not be served if it asked.
        registry.by_id(kept.node)?;
        let header = Header { sender: kept.node, receiver: None, timestamp_ns: kept.timestamp_ns };
        let action = RequestAction::Start {
            query: &kept.query,
            validity_ns: kept.validity_ns,
            ttl_ns: kept.expires_ns.abs_diff(now_ns),
            period_ns: kept.period_ns.unsigned_abs(),
        };
        let request = Request { request_id: kept.request_id, action };
        // Who subscribed has been told of before.
        self.request(now_ns, kept.address, header, &request, resolve, &mut Effects::new())?.granted
    }

    /// Whether what is asked for, or on whose behalf, may have changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// When a subscription may expire next.
    pub(crate) fn next_expiry_ns(&self) -> Option<i64> {
        self.first_expiry_ns
    }

    /// Ends those that were not renewed.
    pub(crate) fn expire(&mut self, now_ns: i64) {
        if self.first_expiry_ns.is_none_or(|first| now_ns < first) {
            return;
        }
        let before = self.list.len();
        self.list.retain(|subscription| now_ns < subscription.expires_ns);
        let expired = before - self.list.len();
        self.changed |= expired > 0;
        self.changes += u64::from(expired > 0);
        self.places.give_back(expired);
        self.first_expiry_ns = self.list.iter().map(|subscription| subscription.expires_ns).min();
        self.counters.requests_expired += expired as u64;
    }

    /// Takes in an accepted request; `resolve` says what the node has for a query. Gives what is to be answered.
    pub(crate) fn request(
        &mut self,
        now_ns: i64,
        from: SocketAddr,
        header: Header,
        request: &Request<'_>,
        resolve: impl FnOnce(&Query, Terms) -> Result<Grant, Refusal>,
        effects: &mut Effects,
    ) -> Option<Reply> {
        self.expire(now_ns);
        let key = (header.sender, request.request_id);
        let found = self.list.binary_search_by_key(&key, |known| (known.node, known.request_id));
        let known = found.ok().and_then(|at| self.list.get(at));
        let is_older = known.is_some_and(|known| header.timestamp_ns < known.timestamp_ns);
        if is_older || self.cancelled.has_overtaken(key, header.timestamp_ns) {
            self.counters.requests_outdated += 1;
            return None;
        }
        let to = (header.sender, from);
        let reply = Reply {
            to,
            request_id: request.request_id,
            outcome: Outcome::Cancelled,
            ttl_ns: 0,
            period_ns: 0,
            reason: String::new(),
            granted: None,
        };
        let RequestAction::Start { query: text, validity_ns, ttl_ns, period_ns } = request.action else {
            self.cancelled.note(now_ns, key, header.timestamp_ns);
            self.cancel(found, header.sender, effects);
            return Some(reply);
        };
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let terms = Terms { period_ns: whole(period_ns), validity_ns: whole(validity_ns) };
        let ttl_ns = whole(ttl_ns).min(self.limits.ttl_max_ns);
        let judged = self.judge(found, header.sender, text, terms, resolve);
        Some(match judged {
            Err(Refusal { outcome, period_ns, mut reason }) => {
                self.count_refused(outcome);
                if let (Outcome::Cycle, Ok(at)) = (outcome, found) {
                    // It was granted before the circle was closed.
                    self.cancelled.note(now_ns, key, header.timestamp_ns);
                    self.remove(at);
                }
                while reason.len() > REASON_BYTES_MAX {
                    reason.pop();
                }
                Reply { outcome, period_ns, reason, ..reply }
            }
            Ok((query, Grant { streams, count })) => {
                let is_computed = matches!(query.asked, Asked::Computation(_));
                let subscription = Subscription {
                    node: header.sender,
                    request_id: request.request_id,
                    timestamp_ns: header.timestamp_ns,
                    expires_ns: now_ns.saturating_add(ttl_ns),
                    streams: Arc::new(streams),
                    count,
                    query: text.into(),
                    via: query.via.as_slice().into(),
                    address: from,
                    // Of a computation the validity says which readings count, and not which results are wanted.
                    validity_ns: if is_computed { u64::MAX } else { validity_ns },
                    period_ns: terms.period_ns,
                    last_span: None,
                };
                self.put(found, subscription, effects);
                let (outcome, period_ns) = (Outcome::Granted, terms.period_ns);
                Reply { outcome, ttl_ns, period_ns, granted: Some((query, terms)), ..reply }
            }
        })
    }

    /// Whether a request can be served, and with what.
    fn judge(
        &self,
        found: Result<usize, usize>,
        node: NodeId,
        text: &str,
        terms: Terms,
        resolve: impl FnOnce(&Query, Terms) -> Result<Grant, Refusal>,
    ) -> Result<(Query, Grant), Refusal> {
        let query: Query =
            text.parse().map_err(|error: ConfigError| Refusal::new(Outcome::Query, error.to_string()))?;
        let least = self.limits.period_min_ns;
        let is_all = terms.period_ns == 1 && !matches!(query.asked, Asked::Computation(_));
        if terms.period_ns < least && !is_all {
            let reason = format!("a period of {} ns, at least {least} ns are allowed", terms.period_ns);
            return Err(Refusal { period_ns: least, ..Refusal::new(Outcome::Rate, reason) });
        }
        let others =
            || self.list.iter().enumerate().filter(|(at, _)| found != Ok(*at)).map(|(_, known)| known);
        let of_node = || others().filter(|known| known.node == node);
        let most = self.limits.subscriptions_max;
        let full =
            |total| Refusal::new(Outcome::Full, format!("{total} subscriptions, at most {most} are served"));
        let total = self.places.taken().saturating_sub(usize::from(found.is_ok()));
        if total >= most {
            return Err(full(total));
        }
        let (held, each) = (of_node().count(), self.limits.per_node_max);
        if held >= each {
            let reason = format!("{held} subscriptions of this node, at most {each} are allowed");
            return Err(Refusal::new(Outcome::Quota, reason));
        }
        let grant = resolve(&query, terms)?;
        let streams = of_node().fold(grant.count, |sum, known| sum.saturating_add(known.count));
        let each = self.limits.streams_per_node_max;
        if streams > each {
            let reason = format!("{streams} streams with these, at most {each} are allowed for one node");
            return Err(Refusal::new(Outcome::Quota, reason));
        }
        // Another part of the node may have taken the last place meanwhile.
        if found.is_err() && !self.places.take(most) {
            return Err(full(most));
        }
        Ok((query, grant))
    }

    fn remove(&mut self, at: usize) {
        self.list.remove(at);
        self.changed = true;
        self.changes += 1;
        self.places.give_back(1);
    }

    fn count_refused(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Unknown => &mut self.counters.requests_refused_unknown,
            Outcome::Quota => &mut self.counters.requests_refused_quota,
            Outcome::Rate => &mut self.counters.requests_refused_rate,
            Outcome::Cycle => &mut self.counters.requests_refused_cycle,
            Outcome::Full => &mut self.counters.requests_refused_full,
            _ => &mut self.counters.requests_refused_query,
        };
        *count += 1;
    }

    fn put(&mut self, found: Result<usize, usize>, mut new: Subscription, effects: &mut Effects) {
        let note = Note::Subscribed { node: new.node, address: new.address };
        self.changes += 1;
        self.first_expiry_ns =
            Some(self.first_expiry_ns.map_or(new.expires_ns, |first| first.min(new.expires_ns)));
        match found {
            Ok(at) => {
                let Some(known) = self.list.get_mut(at) else { return };
                if known.period_ns == new.period_ns {
                    new.last_span = known.last_span;
                }
                if known.address != new.address {
                    effects.note(note);
                }
                self.changed |= (&known.streams, &known.via) != (&new.streams, &new.via);
                *known = new;
                self.counters.requests_renewed += 1;
            }
            Err(place) => {
                self.list.insert(place, new);
                self.changed = true;
                self.counters.requests_started += 1;
                effects.note(note);
            }
        }
    }

    fn cancel(&mut self, found: Result<usize, usize>, node: NodeId, effects: &mut Effects) {
        if let Ok(at) = found {
            self.remove(at);
            self.counters.requests_cancelled += 1;
            effects.note(Note::Cancelled { node });
        }
    }
}
