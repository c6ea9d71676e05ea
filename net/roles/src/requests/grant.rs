//! What a node has for a query, or why it serves it not, and the answer.

use std::net::SocketAddr;

use centauri_wire::{Answer, NodeId, Outcome, StreamId};

use super::{Asked, Query};
use crate::StreamQuery;

/// Which of a node's streams a subscription is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wanted {
    /// As they were asked for, in order: what a node gets later counts, too.
    Numbers(StreamQuery),
    /// These, in order.
    List(Vec<StreamId>),
    /// The results of this computation, which is done as long as it is asked for so.
    Computation(StreamId),
}

impl Wanted {
    pub(crate) fn contains(&self, stream: StreamId) -> bool {
        match self {
            Self::Numbers(numbers) => numbers.contains_in_order(stream),
            Self::List(list) => list.binary_search(&stream).is_ok(),
            Self::Computation(own) => *own == stream,
        }
    }
}

/// What a node has for a query: which of its streams, and how many they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grant {
    pub(crate) streams: Wanted,
    pub(crate) count: usize,
}

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) outcome: Outcome,
    pub(crate) period_ns: i64,
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, period_ns: 0, reason: reason.into() }
    }
}

/// The times of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) period_ns: i64,
    pub(crate) validity_ns: i64,
}

/// What is to be said to a request, and what was granted.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) to: (NodeId, SocketAddr),
    pub(super) request_id: u64,
    pub(super) outcome: Outcome,
    pub(super) ttl_ns: i64,
    pub(super) period_ns: i64,
    pub(super) reason: String,
    pub(crate) granted: Option<(Query, Terms)>,
}

impl Reply {
    pub(crate) fn answer(&self) -> Answer<'_> {
        let Self { request_id, outcome, ttl_ns, period_ns, reason, .. } = self;
        let (ttl_ns, period_ns) = (ttl_ns.unsigned_abs(), period_ns.unsigned_abs());
        Answer { request_id: *request_id, outcome: *outcome, ttl_ns, period_ns, reason }
    }
}

/// What a node that has streams under names and numbers, and computes nothing on request, has for a query.
pub(crate) fn resolve_own<'a>(
    query: &Query,
    own: impl Iterator<Item = (StreamId, &'a str)> + Clone,
) -> Result<Grant, Refusal> {
    let none = |what: &str| Refusal::new(Outcome::Unknown, format!("no stream here is {what}"));
    match &query.asked {
        Asked::Numbers(numbers) => {
            let count = own.filter(|(stream, _)| numbers.contains(*stream)).count();
            let streams = Wanted::Numbers(numbers.clone().in_order());
            if count > 0 { Ok(Grant { streams, count }) } else { Err(none(&numbers.to_string())) }
        }
        Asked::Names(patterns) => {
            // One look at each stream: a request may name it in many ways, but takes the memory of one.
            let mut is_found = vec![false; patterns.len()];
            let mut found: Vec<StreamId> = Vec::new();
            for (stream, name) in own.filter(|(_, name)| !name.is_empty()) {
                let mut fits = false;
                for (is_found, pattern) in is_found.iter_mut().zip(patterns) {
                    // Who has fitted once need not fit again where another does.
                    if !(fits && *is_found) && pattern.matches(name) {
                        (fits, *is_found) = (true, true);
                    }
                }
                if fits {
                    found.push(stream);
                }
            }
            if let Some((pattern, _)) = patterns.iter().zip(is_found).find(|(_, is_found)| !is_found) {
                return Err(none(&pattern.to_string()));
            }
            found.sort_unstable();
            found.dedup();
            Ok(Grant { count: found.len(), streams: Wanted::List(found) })
        }
        Asked::Computation(_) => {
            Err(Refusal::new(Outcome::Unknown, "this node computes nothing on request; ask a replica"))
        }
    }
}
