//! Which requests a node has to serve, and what it has to say to each, by `docs/FLEET.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use centauri_roles::{ComputationQuery, SubscriberLimits};

use super::query::{Query, VIA_MAX, What, fits, read_query};
use crate::frame::{ReadRequest, ReadStart};

/// The codes of outcomes, by `docs/PROTOCOL.md`.
pub(crate) const GRANTED: u8 = 0;
const CANCELLED: u8 = 1;
const QUERY: u8 = 2;
const UNKNOWN: u8 = 3;
const QUOTA: u8 = 4;
const RATE: u8 = 5;
/// The code of a circle.
pub(crate) const CYCLE: u8 = 6;
const FULL: u8 = 7;

/// The longest that a replica keeps a window open, and the most windows that it holds.
const BY_MAX_NS: u64 = 3_600_000_000_000;
const WINDOWS_MAX: u64 = 1_024;

/// What a node has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    /// Its streams with their names, of which some have none.
    pub(crate) streams: Vec<(u32, String)>,
    /// The names of what it computes from; `None` where it computes nothing on request.
    pub(crate) catalogue: Option<Vec<String>>,
    pub(crate) limits: SubscriberLimits,
}

/// What has to be said to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedAnswer {
    pub(crate) to: SocketAddr,
    pub(crate) receiver: u32,
    pub(crate) number: u64,
    pub(crate) outcome: u8,
    pub(crate) ttl_ns: u64,
    pub(crate) period_ns: u64,
    /// The reason where it is known to the word: of a circle the way round, and none of what is no refusal.
    pub(crate) reason: Option<String>,
}

/// What became of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestCounts {
    pub(crate) started: u64,
    pub(crate) renewed: u64,
    pub(crate) cancelled: u64,
    pub(crate) outdated: u64,
    pub(crate) expired: u64,
    /// Those that were served until a circle was found.
    pub(crate) circled: u64,
    /// By the outcome's code.
    pub(crate) refused: [u64; 8],
}

/// A request that is served.
#[derive(Debug, Clone)]
struct Live {
    timestamp_ns: i64,
    expires_ns: i64,
    address: SocketAddr,
    what: What,
    /// Who waits for it.
    via: Vec<String>,
    /// All that makes a difference to the results of a computation, and their number.
    computation: Option<(String, u32)>,
}

/// The requests of a node, with a map where the node has lists.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    own: Own,
    live: BTreeMap<(u32, u64), Live>,
    /// When each request was last cancelled, by its sender's clock.
    ended: BTreeMap<(u32, u64), i64>,
    /// What has to be said in this step, in order.
    pub(crate) answers: Vec<ExpectedAnswer>,
    pub(crate) counts: RequestCounts,
}

impl Requests {
    pub(crate) fn new(own: Own) -> Self {
        Self { own, ..Self::default() }
    }

    /// Nothing is served beyond its time to live.
    pub(crate) fn expire(&mut self, now_ns: i64) {
        let before = self.live.len();
        self.live.retain(|_, live| now_ns < live.expires_ns);
        self.counts.expired += (before - self.live.len()) as u64;
    }

    /// How many different computations are asked for.
    pub(crate) fn running(&self) -> u64 {
        self.keys().collect::<BTreeSet<_>>().len() as u64
    }

    /// How many requests for computations are served with the work of another.
    pub(crate) fn shared(&self) -> u64 {
        self.keys().count() as u64 - self.running()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.live.values().filter_map(|live| live.computation.as_ref().map(|(key, _)| key.as_str()))
    }

    /// When the next request for a computation expires.
    pub(crate) fn next_expiry_ns(&self) -> Option<i64> {
        self.live.values().filter(|live| live.computation.is_some()).map(|live| live.expires_ns).min()
    }

    /// The way that a request has to tell that is made for the stream of this name: the stream, and what waits for it at replicas.
    pub(crate) fn way(&self, name: &str, is_replica: impl Fn(u32) -> bool) -> Vec<String> {
        let mut way = vec![name.to_owned()];
        let waiting = self.live.iter().filter(|((sender, _), _)| is_replica(*sender));
        for next in waiting.flat_map(|(_, live)| &live.via) {
            if way.len() < VIA_MAX && !way.contains(next) {
                way.push(next.clone());
            }
        }
        way
    }

    /// Whether somebody at this address wants a stream at `now_ns`.
    pub(crate) fn is_wanted(&self, now_ns: i64, to: SocketAddr, stream: u32) -> bool {
        let of_name = |names: &[String]| {
            let own = self.own.streams.iter().filter(|(number, _)| *number == stream);
            own.flat_map(|(_, name)| names.iter().map(move |pattern| (pattern, name)))
                .any(|(pattern, name)| fits(pattern.as_bytes(), name.as_bytes()))
        };
        self.live.values().any(|live| {
            let is_of = match (&live.what, &live.computation) {
                (_, Some((_, number))) => *number == stream,
                (What::Numbers(ranges), _) => {
                    ranges.iter().any(|(low, high)| (*low..=*high).contains(&stream))
                }
                (What::Names(names), _) => of_name(names),
                (What::Computation(_), None) => false,
            };
            is_of && live.address == to && now_ns < live.expires_ns
        })
    }

    /// Takes up a request that was kept on a disk.
    pub(crate) fn restore(
        &mut self,
        now_ns: i64,
        address: SocketAddr,
        (sender, timestamp_ns): (u32, i64),
        request: &ReadRequest,
    ) {
        self.take(now_ns, address, (sender, timestamp_ns), request);
        // Nobody has asked just now.
        self.answers.clear();
    }

    /// Takes in a request that was accepted.
    pub(crate) fn take(
        &mut self,
        now_ns: i64,
        address: SocketAddr,
        (sender, timestamp_ns): (u32, i64),
        request: &ReadRequest,
    ) {
        self.expire(now_ns);
        let key = (sender, request.number);
        let known = self.live.get(&key).map(|live| live.timestamp_ns);
        if known.into_iter().chain(self.ended.get(&key).copied()).any(|newer| timestamp_ns < newer) {
            self.counts.outdated += 1;
            return;
        }
        let answer = |outcome, ttl_ns, period_ns, reason| ExpectedAnswer {
            to: address,
            receiver: sender,
            number: request.number,
            outcome,
            ttl_ns,
            period_ns,
            reason,
        };
        let Some(start) = &request.start else {
            self.ended.insert(key, timestamp_ns);
            self.counts.cancelled += u64::from(self.live.remove(&key).is_some());
            self.answers.push(answer(CANCELLED, 0, 0, Some(String::new())));
            return;
        };
        match self.judge(key, start) {
            Ok(query) => {
                let ttl_ns = start.ttl_ns.min(self.own.limits.ttl_max_ns.unsigned_abs());
                let live = Live {
                    timestamp_ns,
                    expires_ns: now_ns.saturating_add_unsigned(ttl_ns),
                    address,
                    computation: computation(&query, start),
                    what: query.what,
                    via: query.via,
                };
                let count = match self.live.insert(key, live) {
                    Some(_) => &mut self.counts.renewed,
                    None => &mut self.counts.started,
                };
                *count += 1;
                self.answers.push(answer(GRANTED, ttl_ns, start.period_ns, Some(String::new())));
            }
            Err((outcome, reason)) => {
                if outcome == CYCLE && self.live.remove(&key).is_some() {
                    self.ended.insert(key, timestamp_ns);
                    self.counts.circled += 1;
                }
                if let Some(count) = self.counts.refused.get_mut(usize::from(outcome)) {
                    *count += 1;
                }
                let least_ns = self.own.limits.period_min_ns.unsigned_abs();
                self.answers.push(answer(outcome, 0, if outcome == RATE { least_ns } else { 0 }, reason));
            }
        }
    }

    /// What is asked for, or why it is refused.
    fn judge(&self, key: (u32, u64), start: &ReadStart) -> Result<Query, (u8, Option<String>)> {
        let refused = |outcome| (outcome, None);
        let query = read_query(&start.query).ok_or(refused(QUERY))?;
        let is_computation = matches!(query.what, What::Computation(_));
        let is_all = start.period_ns == 1 && !is_computation;
        if start.period_ns < self.own.limits.period_min_ns.unsigned_abs() && !is_all {
            return Err(refused(RATE));
        }
        let others = || self.live.keys().filter(|known| **known != key);
        if others().count() >= self.own.limits.subscriptions_max {
            return Err(refused(FULL));
        }
        if others().filter(|(sender, _)| *sender == key.0).count() >= self.own.limits.per_node_max {
            return Err(refused(QUOTA));
        }
        let waiting = self.wanted(&query, start).map_err(refused)?;
        match waiting.into_iter().find(|name| query.via.contains(name)) {
            Some(name) => Err((CYCLE, Some(way_round(&name, &query.via)))),
            None => Ok(query),
        }
    }

    /// The names of what is asked for; the refusal's code where there is not all of it.
    fn wanted(&self, query: &Query, start: &ReadStart) -> Result<Vec<String>, u8> {
        let matching = |names: &[String], patterns: &[String]| -> Option<Vec<String>> {
            let fits_one = |pattern: &String, name: &String| fits(pattern.as_bytes(), name.as_bytes());
            let is_found = |pattern: &String| names.iter().any(|name| fits_one(pattern, name));
            let found = names.iter().filter(|name| patterns.iter().any(|pattern| fits_one(pattern, name)));
            patterns.iter().all(is_found).then(|| found.cloned().collect())
        };
        match &query.what {
            What::Numbers(ranges) => {
                let is_in = |number: u32| ranges.iter().any(|(low, high)| (*low..=*high).contains(&number));
                let own: Vec<_> = self.own.streams.iter().filter(|(number, _)| is_in(*number)).collect();
                let computed = self.live.values().filter_map(|live| live.computation.as_ref());
                let is_some = !own.is_empty() || computed.into_iter().any(|(_, number)| is_in(*number));
                if is_some {
                    Ok(own.into_iter().map(|(_, name)| name.clone()).collect())
                } else {
                    Err(UNKNOWN)
                }
            }
            What::Names(patterns) => {
                let named = self.own.streams.iter().map(|(_, name)| name.clone());
                let names: Vec<String> = named.filter(|name| !name.is_empty()).collect();
                matching(&names, patterns).ok_or(UNKNOWN)
            }
            What::Computation(computed) => {
                let catalogue = self.own.catalogue.as_ref().ok_or(UNKNOWN)?;
                let found = matching(catalogue, &computed.patterns).ok_or(UNKNOWN)?;
                let (over_ns, by_ns) = computed.times_ns(start.period_ns);
                let windows = by_ns.div_ceil(start.period_ns) + 1;
                let is_small = over_ns <= BY_MAX_NS && by_ns <= BY_MAX_NS && windows <= WINDOWS_MAX;
                if is_small { Ok(found) } else { Err(QUOTA) }
            }
        }
    }
}

fn computation(query: &Query, start: &ReadStart) -> Option<(String, u32)> {
    let What::Computation(computed) = &query.what else { return None };
    let whole = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    let text = start.query.split(" via ").next().unwrap_or_default();
    // Which number it is makes no difference here; who asks the same is told by the key.
    let number =
        text.parse::<ComputationQuery>().ok()?.stream(whole(start.period_ns), whole(start.validity_ns));
    Some((computed.key(start.period_ns, start.validity_ns), number.0))
}

/// A circle's way, as the node that closes it has to say it.
fn way_round(name: &str, via: &[String]) -> String {
    let between = via.iter().take_while(|waiting| *waiting != name).map(|waiting| format!("{waiting} → "));
    format!("a circle: {name} → {}{name}", between.collect::<String>())
}
