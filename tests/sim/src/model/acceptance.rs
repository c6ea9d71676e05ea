//! Which frames a receiver has to accept, by `docs/PROTOCOL.md`.

use std::collections::{BTreeMap, BTreeSet};

use centauri_wire::Limits;

use crate::frame::{ReadFrame, ReadRecord, Said};

/// Nonces and timestamps that a receiver tells apart.
const NONCES: u64 = 256;
const TIMESTAMPS: usize = 32;

/// What became of the frames that somebody with the sender's key has made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AcceptanceCounts {
    pub(crate) frames_accepted: u64,
    pub(crate) records_accepted: u64,
    pub(crate) records_replayed: u64,
    pub(crate) records_unknown_stream: u64,
    pub(crate) wrong_role: u64,
    pub(crate) wrong_receiver: u64,
    /// Requests among the accepted frames.
    pub(crate) requests: u64,
    pub(crate) stale: u64,
    pub(crate) future: u64,
    pub(crate) unknown_stream: u64,
    pub(crate) replayed: u64,
}

/// A receiver's memory, with sets where the receiver has windows of bits.
#[derive(Debug)]
pub(crate) struct Acceptance {
    own: u32,
    limits: Limits,
    /// Of timestamps ahead of the clock, the newest that is accepted.
    pub(crate) reserved_ns: i64,
    /// Sender and stream.
    tracked: BTreeSet<(u32, u32)>,
    nonces: BTreeMap<(u32, u32), BTreeSet<u64>>,
    /// By sender and kind of message.
    timestamps: BTreeMap<(u32, u8), BTreeSet<i64>>,
    /// The numbers of accepted requests by sender.
    requests: BTreeMap<u32, BTreeSet<u64>>,
    pub(crate) counts: AcceptanceCounts,
}

impl Acceptance {
    pub(crate) fn new(own: u32, limits: Limits, tracked: BTreeSet<(u32, u32)>) -> Self {
        Self {
            own,
            limits,
            reserved_ns: i64::MAX,
            tracked,
            nonces: BTreeMap::new(),
            timestamps: BTreeMap::new(),
            requests: BTreeMap::new(),
            counts: AcceptanceCounts::default(),
        }
    }

    /// What is left of a frame whose signature is good: `None` if it is to be rejected, else its records that are fresh.
    pub(crate) fn judge(&mut self, now_ns: i64, frame: &ReadFrame) -> Option<Vec<ReadRecord>> {
        let now = i128::from(now_ns);
        let timestamp = i128::from(frame.timestamp_ns);
        let oldest = (now - i128::from(self.limits.past_ns)).max(i128::from(self.limits.not_before_ns));
        if !may_send(frame) {
            self.counts.wrong_role += 1;
        } else if ![0, self.own].contains(&frame.receiver) {
            self.counts.wrong_receiver += 1;
        } else if timestamp < oldest {
            self.counts.stale += 1;
        } else if timestamp > (now + i128::from(self.limits.future_ns)).min(now.max(self.reserved_ns.into()))
        {
            self.counts.future += 1;
        } else if let Said::Stream(records) = &frame.said {
            return self.records(frame.sender, records);
        } else if let Said::Decisions(records) = &frame.said {
            let all: Vec<ReadRecord> = records.iter().map(|decision| decision.record).collect();
            return self.records(frame.sender, &all);
        } else if self.is_fresh_timestamp(frame) {
            if let Said::Request(request) = &frame.said {
                self.counts.requests += 1;
                self.requests.entry(frame.sender).or_default().insert(request.number);
            }
            self.counts.frames_accepted += 1;
            return Some(Vec::new());
        } else {
            self.counts.replayed += 1;
        }
        None
    }

    /// How many subscriptions there can be at most, `of_sender_max` for each sender.
    pub(crate) fn subscriptions_max(&self, of_sender_max: usize) -> u64 {
        self.requests.values().map(|numbers| numbers.len().min(of_sender_max) as u64).sum()
    }

    fn records(&mut self, sender: u32, records: &[ReadRecord]) -> Option<Vec<ReadRecord>> {
        let (mut fresh, mut replayed, mut unknown) = (Vec::new(), 0, 0);
        for record in records {
            let pair = (sender, record.stream);
            if !self.tracked.contains(&pair) {
                unknown += 1;
            } else if self.is_fresh_nonce(pair, record.nonce) {
                fresh.push(*record);
            } else {
                replayed += 1;
            }
        }
        if fresh.is_empty() {
            *(if replayed > 0 { &mut self.counts.replayed } else { &mut self.counts.unknown_stream }) += 1;
            return None;
        }
        self.counts.frames_accepted += 1;
        self.counts.records_accepted += fresh.len() as u64;
        self.counts.records_replayed += replayed;
        self.counts.records_unknown_stream += unknown;
        Some(fresh)
    }

    /// Whether the nonce has not been seen and is not too old to tell; it is seen from now on.
    fn is_fresh_nonce(&mut self, pair: (u32, u32), nonce: u64) -> bool {
        let seen = self.nonces.entry(pair).or_default();
        let too_old = seen.last().is_some_and(|newest| newest.saturating_sub(nonce) >= NONCES);
        !too_old && seen.insert(nonce)
    }

    fn is_fresh_timestamp(&mut self, frame: &ReadFrame) -> bool {
        let kind = match frame.said {
            Said::Request(_) => 1,
            Said::Stream(_) => 2,
            Said::Sample { of_outputs: true, .. } => 3,
            Said::Sample { .. } => 4,
            Said::Distribution(_) => 5,
            Said::Decisions(_) => 6,
            Said::Answer(_) => 7,
        };
        let seen = self.timestamps.entry((frame.sender, kind)).or_default();
        let too_old =
            seen.len() >= TIMESTAMPS && seen.first().is_some_and(|oldest| frame.timestamp_ns < *oldest);
        if too_old || !seen.insert(frame.timestamp_ns) {
            return false;
        }
        if seen.len() > TIMESTAMPS {
            seen.pop_first();
        }
        true
    }
}

/// The table of who may send what, by the numbers that roles have in the simulator.
fn may_send(frame: &ReadFrame) -> bool {
    let outputs = matches!(frame.said, Said::Sample { of_outputs: true, .. });
    match frame.sender {
        ..=10 => matches!(frame.said, Said::Stream(_) | Said::Answer(_)) || outputs,
        11..=30 => !matches!(frame.said, Said::Distribution(_)),
        31..=40 => matches!(frame.said, Said::Distribution(_)),
        41..=42 => !matches!(frame.said, Said::Stream(_) | Said::Distribution(_)) && !outputs,
        _ => matches!(frame.said, Said::Request(_) | Said::Sample { of_outputs: false, .. }),
    }
}
