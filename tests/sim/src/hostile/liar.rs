//! Frames that a lying replica makes by hand, under its own signature.

use centauri_wire::{
    Distribution, DistributionBody, DistributionFamily, FRAME_BYTES_MAX, NodeId, Record, Sample, SampleKind,
    SigningIdentity, StreamFrameBuilder, StreamId,
};

use super::Captured;
use super::asking::Asking;
use crate::frame::{Said, read_frame};
use crate::{CLIENT, Dice, MS, Plan, key_of, replica_id};

/// What a replica at `now_ns` of its clock sends besides, and to whom.
pub(crate) fn by_hand(
    plan: &Plan,
    node: NodeId,
    now_ns: i64,
    captured: &Captured,
    dice: &mut Dice,
) -> Vec<(NodeId, Vec<u8>)> {
    let hand =
        Hand { plan, identity: key_of(node).identity(node), now_ns, used: used_nonces(captured, node) };
    let asking = Asking { plan, identity: &hand.identity, now_ns };
    if plan.computes_on_request() && dice.chance(0.25) {
        let to = replica_id(dice.below(plan.replicas));
        return asking.computation(to, dice).into_iter().flatten().map(|frame| (to, frame)).collect();
    }
    let somebody = *dice.pick(&plan.nodes()).unwrap_or(&CLIENT);
    let target = if dice.chance(0.85) { CLIENT } else { somebody };
    let (target, frames) = match dice.below(24) {
        0..7 => (target, hand.two_values(dice)),
        7..10 => (target, vec![hand.used_nonce(dice)]),
        10..13 => (target, vec![hand.wrong_time(dice)]),
        13..15 => (target, vec![hand.extreme(dice)]),
        15..19 => (target, vec![hand.mixed(dice)]),
        19..21 => (somebody, (0..4).map(|at| asking.request(at, somebody, dice)).collect()),
        21 => (somebody, asking.many(somebody, dice)),
        _ => (target, vec![hand.wrong_kind(dice)]),
    };
    frames.into_iter().flatten().map(|frame| (target, frame)).collect()
}

struct Hand<'a> {
    plan: &'a Plan,
    identity: SigningIdentity,
    now_ns: i64,
    /// Nonces that this replica is known to have used, ascending.
    used: Vec<u64>,
}

fn used_nonces(captured: &Captured, node: NodeId) -> Vec<u64> {
    let mut used = Vec::new();
    for frame in captured.iter().rev().take(64).filter_map(|frame| read_frame(frame)) {
        if let Said::Stream(records) = frame.said
            && frame.sender == node.0
        {
            used.extend(records.iter().map(|record| record.nonce));
        }
    }
    used.sort_unstable();
    used
}

impl Hand<'_> {
    /// A record as it might be, of one of the streams.
    fn record(&self, dice: &mut Dice) -> Record {
        let stream = dice.pick(&self.plan.streams);
        let round = stream.map_or(0, |stream| stream.round_at(self.now_ns)) + dice.between(-2, 1);
        Record {
            stream: StreamId(stream.map_or(1, |stream| stream.number)),
            age_us: 0,
            nonce: self.next_nonce(),
            round,
            value: dice.real(10.0, 30.0),
            readings: 1,
        }
    }

    fn next_nonce(&self) -> u64 {
        self.used.last().map_or(self.now_ns.unsigned_abs(), |newest| newest.saturating_add(1))
    }

    fn frame(&self, timestamp_ns: i64, records: &[Record]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut frame = StreamFrameBuilder::begin(&mut bytes, timestamp_ns, FRAME_BYTES_MAX);
        for record in records {
            frame.push(record).ok()?;
        }
        frame.finish(&self.identity).ok()?;
        Some(bytes)
    }

    /// Two values for one round under two nonces; sometimes they are the same, or differ in the last bit or in the sign of
    /// nothing.
    fn two_values(&self, dice: &mut Dice) -> Vec<Option<Vec<u8>>> {
        let mut first = self.record(dice);
        let value = match dice.below(6) {
            0 => first.value,
            1 => f64::from_bits(first.value.to_bits() + 1),
            2 => {
                first.value = 0.0;
                -0.0
            }
            _ => dice.real(10.0, 30.0),
        };
        let second = Record { nonce: first.nonce.saturating_add(1), value, ..first };
        if dice.chance(0.3) {
            return vec![self.frame(self.now_ns, &[first, second])];
        }
        vec![self.frame(self.now_ns, &[first]), self.frame(self.now_ns, &[second])]
    }

    fn used_nonce(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let nonce = dice.pick(&self.used).copied().unwrap_or(0);
        self.frame(self.now_ns, &[Record { nonce, ..self.record(dice) }])
    }

    /// A timestamp about where the receiver's window of freshness ends.
    fn wrong_time(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let limits = self.plan.limits;
        let near = dice.between(-8 * MS, 8 * MS);
        let timestamp_ns = match dice.below(4) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => self.now_ns.saturating_sub_unsigned(limits.past_ns) + near,
            _ => self.now_ns.saturating_add_unsigned(limits.future_ns) + near,
        };
        self.frame(timestamp_ns, &[self.record(dice)])
    }

    fn extreme(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let values = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -0.0, f64::from_bits(1), 1e300, -1e18, 9e15];
        let value = dice.pick(&values).copied().unwrap_or(f64::MAX);
        self.frame(self.now_ns, &[Record { value, ..self.record(dice) }])
    }

    /// Many records of streams, rounds and nonces of all kinds; sometimes so many that their digest is signed.
    fn mixed(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let count = if dice.chance(0.2) { 60 } else { 1 + dice.below(8) };
        let records: Vec<_> = (0..count).map(|_| self.odd(dice)).collect();
        self.frame(self.now_ns, &records)
    }

    fn odd(&self, dice: &mut Dice) -> Record {
        let plain = self.record(dice);
        let round = match dice.below(12) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => plain.round + dice.between(-20, 20),
            _ => plain.round,
        };
        let nonce = match dice.below(40) {
            0 => u64::MAX,
            1 => 0,
            2..6 => plain.nonce.saturating_add_signed(dice.between(-300, 300)),
            _ => plain.nonce.saturating_add_signed(dice.between(-6, 6)),
        };
        let stream = if dice.chance(0.15) { StreamId(dice.bits() as u32) } else { plain.stream };
        Record { stream, round, nonce, ..plain }
    }

    /// A distribution, which no replica may send, or a sample, which the client does not expect.
    fn wrong_kind(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        if dice.chance(0.5) {
            let family = DistributionFamily::Normal { mean: 0.0, sd: 1e9 };
            let body = DistributionBody { offset: 0.0, family };
            Distribution { name: "noise", body: &body }
                .encode(self.now_ns, &self.identity, &mut bytes)
                .ok()?;
        } else {
            let kind = if dice.chance(0.5) { SampleKind::Output } else { SampleKind::Latency };
            let sample = Sample { kind, distribution: "noise", values: &[1e300, -1e300] };
            sample.encode(self.now_ns, &self.identity, &mut bytes).ok()?;
        }
        Some(bytes)
    }
}
