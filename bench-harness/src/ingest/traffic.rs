//! What is sent: signed frames, made before anything is measured, and what must come of them.

use super::fleet::{NOBODY, PERIOD_NS, REPLICAS, Senders};
use crate::fleet::seed::{self, generator};
use centauri_wire::{
    FRAME_BYTES_MAX, NodeId, Record, STREAM_LENGTH_BYTES, SigningIdentity, StreamFrameBuilder, StreamId,
};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::ops::Range;

/// How honest the traffic is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Share of the frames that are forged: they take the place of good ones.
    pub forged: f64,
    /// Share of further frames that must not count: replays, stale, malformed, misdirected and badly signed ones, one kind
    /// as often as the other.
    pub hostile: f64,
}

impl Mix {
    /// Nothing but good frames.
    pub const CLEAN: Self = Self { forged: 0.0, hostile: 0.0 };
}

/// Frames in the order of sending, and what a client must make of them.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes: Vec<u8>,
    frames: Vec<Range<usize>>,
    /// Frames of the rounds up to each, itself included.
    pub rounds: Vec<usize>,
    /// Counters that are not zero at the end.
    pub expected: BTreeMap<&'static str, u64>,
}

/// What is wrong with a frame that must not count.
const WRONGS: [&str; 11] = [
    "rejected_replayed",
    "rejected_stale",
    "rejected_future",
    "rejected_length",
    "rejected_version",
    "rejected_malformed",
    "rejected_unknown_sender",
    "rejected_wrong_role",
    "rejected_unknown_stream",
    "rejected_bad_s",
    "rejected_bad_r",
];

impl Traffic {
    /// One frame of each node for each of `rounds` rounds, in an order that changes from round to round.
    ///
    /// # Errors
    /// Nothing that numbers in their ranges bring about.
    pub fn new(senders: &Senders, rounds: usize, mix: Mix, seed: u64) -> anyhow::Result<Self> {
        let mut maker = Maker::new(senders, mix, seed);
        let mut traffic = Self::default();
        let records = senders.streams_each as u64;
        for round in 0..rounds {
            for made in maker.round(round)? {
                traffic.push(&made.frame);
                match made.cause {
                    Some(cause) => traffic.count(cause, 1),
                    None => {
                        traffic.count("frames_accepted", 1);
                        traffic.count("records_accepted", records);
                        traffic.count("records_reported", records);
                    }
                }
            }
            traffic.rounds.push(traffic.frames.len());
        }
        traffic.count("frames_received", traffic.frames.len() as u64);
        traffic.count("rounds_decided", (rounds * senders.streams()) as u64);
        traffic.expected.retain(|_, count| *count > 0);
        Ok(traffic)
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The frames in the order of sending.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().filter_map(|frame| self.bytes.get(frame.clone()))
    }

    /// Bytes of all frames on a byte stream, each with its length before it.
    #[must_use]
    pub fn bytes_on_stream(&self) -> u64 {
        (self.bytes.len() + self.frames.len() * STREAM_LENGTH_BYTES) as u64
    }

    /// Bytes of the longest frame.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.frames.iter().map(Range::len).max().unwrap_or(0)
    }

    fn count(&mut self, name: &'static str, more: u64) {
        *self.expected.entry(name).or_default() += more;
    }

    fn push(&mut self, frame: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame);
        self.frames.push(start..self.bytes.len());
    }
}

/// A frame, and what must come of it.
#[derive(Clone, Debug)]
pub struct Made {
    /// The frame.
    pub frame: Vec<u8>,
    /// The counter of what is wrong with it; `None` if it must be accepted.
    pub cause: Option<&'static str>,
    /// The good frame's place in the round that this one repeats.
    pub repeats: Option<usize>,
}

/// Makes the frames of one round after the other.
#[derive(Debug)]
pub struct Maker<'a> {
    senders: &'a Senders,
    mix: Mix,
    values: Values,
    rng: ChaCha8Rng,
    /// Apart, so that equal rounds have equal values whatever else is sent.
    truths: ChaCha8Rng,
    frame: Vec<u8>,
}

impl<'a> Maker<'a> {
    /// Begins.
    #[must_use]
    pub fn new(senders: &'a Senders, mix: Mix, seed: u64) -> Self {
        Self {
            senders,
            mix,
            values: Values::default(),
            rng: generator(seed::of(seed, &format!("traffic {} {}", mix.forged, mix.hostile))),
            truths: generator(seed::of(seed, "values")),
            frame: Vec::new(),
        }
    }

    /// The frames of a round: one of each node, and those that must not count, in the order of sending.
    ///
    /// # Errors
    /// Nothing that numbers in their ranges bring about.
    pub fn round(&mut self, round: usize) -> anyhow::Result<Vec<Made>> {
        self.values.draw(self.senders.streams(), &mut self.truths);
        let mut order: Vec<usize> = (0..self.senders.nodes.len()).collect();
        order.shuffle(&mut self.rng);
        let mut all = Vec::with_capacity(order.len() * 2);
        for node in order {
            self.good(node, round)?;
            let frame = self.frame.clone();
            if self.rng.random_bool(self.mix.forged) {
                let frame = forged(&frame, &mut self.rng);
                all.push(Made { frame, cause: Some("rejected_forged"), repeats: None });
                continue;
            }
            let place = all.len();
            all.push(Made { frame, cause: None, repeats: None });
            if self.rng.random_bool(self.mix.hostile) {
                let wrong = self.wrong(node, round, place, &all)?;
                all.push(wrong);
            }
        }
        Ok(all)
    }

    /// The node's frame for a round.
    fn good(&mut self, node: usize, round: usize) -> anyhow::Result<()> {
        let identity = self.senders.nodes.get(node).ok_or_else(|| anyhow::anyhow!("no node {node}"))?;
        self.signed(identity, node, round, 0, 0)
    }

    /// A frame of a node's streams, `stream_ahead` streams on, signed `late_ns` before its round.
    fn signed(
        &mut self,
        identity: &SigningIdentity,
        node: usize,
        round: usize,
        late_ns: i64,
        stream_ahead: usize,
    ) -> anyhow::Result<()> {
        let (group, replica) = (node / REPLICAS, node % REPLICAS);
        let round_ns = round as i64 * PERIOD_NS;
        let mut builder = StreamFrameBuilder::begin(&mut self.frame, round_ns - late_ns, FRAME_BYTES_MAX);
        for at in 0..self.senders.streams_each {
            let StreamId(number) = self.senders.stream(group, at);
            builder.push(&Record {
                stream: StreamId(number + stream_ahead as u32),
                age_us: 500,
                nonce: round as u64 + 1,
                round: round as i64,
                value: self.values.get(number as usize, replica),
                readings: 60,
            })?;
        }
        builder.finish(identity)?;
        Ok(())
    }

    /// A frame that must not count, once the node's good one has been sent, which is the last of `all`.
    fn wrong(&mut self, node: usize, round: usize, place: usize, all: &[Made]) -> anyhow::Result<Made> {
        let at = self.rng.random_range(0..WRONGS.len());
        let cause = WRONGS.get(at).copied().unwrap_or("rejected_replayed");
        let identity = |senders: &Senders| senders.nodes.get(node).cloned();
        let owner = identity(self.senders).ok_or_else(|| anyhow::anyhow!("no node {node}"))?;
        // Past the good frame's nonces, where the nonces must not be what is wrong.
        let next = round + 1;
        match cause {
            "rejected_stale" => self.signed(&owner, node, round, 3_600 * PERIOD_NS, 0)?,
            "rejected_future" => self.signed(&owner, node, round, -3_600 * PERIOD_NS, 0)?,
            "rejected_wrong_role" => {
                let monitor = self.senders.monitor.clone();
                self.signed(&monitor, node, round, 0, 0)?;
            }
            "rejected_unknown_stream" => self.signed(&owner, node, round, 0, self.senders.streams())?,
            "rejected_bad_s" | "rejected_bad_r" => self.signed(&owner, node, next, PERIOD_NS, 0)?,
            _ => {
                self.frame.clear();
                self.frame.extend_from_slice(all.last().map_or(&[], |good| &good.frame));
            }
        }
        spoil(cause, &mut self.frame);
        let repeats = (cause == "rejected_replayed").then_some(place);
        Ok(Made { frame: self.frame.clone(), cause: Some(cause), repeats })
    }
}

/// What cannot be signed is done to the bytes.
fn spoil(cause: &str, frame: &mut Vec<u8>) {
    let signature = frame.len().saturating_sub(64);
    let mut set = |at: usize, value: u8| {
        if let Some(byte) = frame.get_mut(at) {
            *byte = value;
        }
    };
    match cause {
        "rejected_length" => frame.truncate(signature),
        "rejected_version" => set(7, 2),
        "rejected_malformed" => set(9, 1),
        "rejected_unknown_sender" => set_sender(frame, NOBODY),
        "rejected_bad_s" => (signature + 32..signature + 64).for_each(|at| set(at, 0xff)),
        "rejected_bad_r" => (signature..signature + 32).for_each(|at| set(at, 0xff)),
        _ => {}
    }
}

fn set_sender(frame: &mut [u8], sender: NodeId) {
    if let Some(field) = frame.get_mut(16..20) {
        field.copy_from_slice(&sender.0.to_le_bytes());
    }
}

/// The frame with a bit changed that no check but the signature's can see: of a value, of R or of s.
fn forged(frame: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let signature = frame.len() - 64;
    // A value's lowest byte; a low byte of R, of which nearly every value is canonical; a low byte of s.
    let places = [32 + 24, signature + 5, signature + 32 + 5];
    let at = places.get(rng.random_range(0..places.len())).copied().unwrap_or(signature);
    if let Some(byte) = frame.get_mut(at) {
        *byte ^= 1 << rng.random_range(0..8);
    }
    frame
}

/// What the replicas of each stream report in one round: like the rounds of work A.
#[derive(Debug, Default)]
struct Values {
    values: Vec<[f64; REPLICAS]>,
}

impl Values {
    fn draw(&mut self, streams: usize, rng: &mut ChaCha8Rng) {
        self.values.clear();
        for _ in 0..streams {
            let truth = rng.random_range(12.0..52.0);
            let liars = if rng.random_bool(0.5) { rng.random_range(1..=2) } else { 0 };
            let (first, agreed) = (rng.random_range(0..REPLICAS), rng.random_range(0.0..64.0));
            self.values.push(std::array::from_fn(|i| {
                // The sum of four uniform numbers: sd 4, as most of the noises of the work.
                let noise: f64 = (0..4).map(|_| rng.random_range(-7.0..7.0)).sum::<f64>() / 2.02;
                if (i + REPLICAS - first) % REPLICAS < liars { agreed } else { truth + noise }
            }));
        }
    }

    fn get(&self, stream: usize, replica: usize) -> f64 {
        self.values.get(stream).and_then(|values| values.get(replica)).copied().unwrap_or(0.0)
    }
}
