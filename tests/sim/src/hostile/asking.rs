//! Requests that a lying replica makes by hand.

use centauri_wire::{NodeId, Request, RequestAction, SigningIdentity};

use crate::{Dice, MS, Plan, replica_id};

/// Who asks, and at what time.
pub(super) struct Asking<'a> {
    pub(super) plan: &'a Plan,
    pub(super) identity: &'a SigningIdentity,
    pub(super) now_ns: i64,
}

/// Requests of a computation's kind that are no good, for one reason each: a source that there is none of, one that waits for the
/// computation, a window that is too long, one that is too short for as many as there would be.
const BAD: [&str; 5] = [
    "max(s/*,nowhere)",
    "mean(s/1) via town,s/1",
    "sum(s/*) over 9h",
    "min(s/*) over 1s by 300s",
    "median(s/*)",
];

impl Asking<'_> {
    /// More requests than a receiver remembers the timestamps of, and the first of them once more.
    pub(super) fn many(&self, to: NodeId, dice: &mut Dice) -> Vec<Option<Vec<u8>>> {
        let mut all: Vec<_> = (0..36).map(|at| self.request(at, to, dice)).collect();
        all.extend(all.first().cloned());
        all
    }

    /// The request that is signed `at` nanoseconds later; some name another receiver.
    pub(super) fn request(&self, at: i64, to: NodeId, dice: &mut Dice) -> Option<Vec<u8>> {
        let action = if dice.chance(0.2) {
            RequestAction::Cancel
        } else {
            RequestAction::Start {
                query: dice.pick(&["*", "1", "2-3", "4294967295", "no query"]).copied().unwrap_or("*"),
                validity_ns: 1 + dice.bits() / 4,
                ttl_ns: 1 + dice.bits() / 4,
                period_ns: if dice.chance(0.5) { 1 } else { 1 + dice.bits() / 4 },
            }
        };
        let number = dice.below(24) as u64;
        let receiver = if dice.chance(0.9) { to } else { replica_id(0) };
        self.sign(at, receiver, &Request { request_id: number, action })
    }

    /// A request for a computation, mostly one that others ask for, too; and sometimes its cancellation at once, which may be the
    /// faster.
    pub(super) fn computation(&self, to: NodeId, dice: &mut Dice) -> Vec<Option<Vec<u8>>> {
        let asked = self.plan.streams.iter().filter(|stream| stream.asked.is_some()).collect::<Vec<_>>();
        let Some(stream) = dice.pick(&asked) else { return Vec::new() };
        let Some(asked) = &stream.asked else { return Vec::new() };
        let words = if dice.chance(0.5) { &asked.query } else { &asked.other_words };
        let query = if dice.chance(0.3) { dice.pick(&BAD).copied().unwrap_or("*") } else { words };
        let every_ns = if dice.chance(0.1) { 1 } else { stream.period_ns.unsigned_abs() };
        let action = RequestAction::Start {
            query,
            validity_ns: asked.validity_ns.unsigned_abs(),
            ttl_ns: dice.between(MS, 200 * MS).unsigned_abs(),
            period_ns: every_ns,
        };
        let request_id = dice.below(4) as u64;
        let mut all = vec![self.sign(0, to, &Request { request_id, action })];
        if dice.chance(0.5) {
            all.push(self.sign(1, to, &Request { request_id, action: RequestAction::Cancel }));
        }
        all
    }

    fn sign(&self, at: i64, to: NodeId, request: &Request<'_>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        request.encode(self.now_ns.saturating_add(at), to, self.identity, &mut bytes).ok()?;
        Some(bytes)
    }
}
