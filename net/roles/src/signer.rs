//! A role's signing of its own messages.

use std::net::SocketAddr;

use centauri_wire::{
    Answer, Distribution, DistributionBody, EncodeError, FrameBuilder, FrameRecord, HEADER_BYTES, NodeId,
    Request, SIGNATURE_BYTES, Sample, SampleKind, SigningIdentity,
};

use crate::Effects;

/// A role's key, a buffer for the frame in the making, and the last timestamp given out.
#[derive(Debug)]
pub(crate) struct Signer {
    identity: SigningIdentity,
    frame: Vec<u8>,
    last_ns: Option<i64>,
    /// Which of how many signers with the same key this is: each gives out every so manieth nanosecond.
    turn: (i64, i64),
    /// Messages that could not be encoded: a value that is not finite, or a configuration nobody checked.
    pub(crate) failed: u64,
}

impl Signer {
    pub(crate) fn new(identity: SigningIdentity) -> Self {
        Self { identity, frame: Vec::new(), last_ns: None, turn: (0, 1), failed: 0 }
    }

    /// One of `count` signers with the same key, of which no two give out the same timestamp.
    pub(crate) fn taking_turns(self, own: u8, count: usize) -> Self {
        Self { turn: (i64::from(own), i64::try_from(count).unwrap_or(1).max(1)), ..self }
    }

    /// Who signs.
    pub(crate) fn node(&self) -> NodeId {
        self.identity.id()
    }

    /// A timestamp not given out before: receivers tell messages without a nonce apart by it.
    fn stamp(&mut self, now_ns: i64) -> i64 {
        let stamp = match self.last_ns {
            Some(last) if now_ns <= last => last.saturating_add(1),
            _ => now_ns,
        };
        let (own, count) = self.turn;
        let stamp = stamp.saturating_add((own - stamp.rem_euclid(count)).rem_euclid(count));
        self.last_ns = Some(stamp);
        stamp
    }

    pub(crate) fn request(
        &mut self,
        now_ns: i64,
        (receiver, to): (NodeId, SocketAddr),
        request: &Request<'_>,
        effects: &mut Effects,
    ) -> bool {
        let stamp = self.stamp(now_ns);
        let encoded = request.encode(stamp, receiver, &self.identity, &mut self.frame);
        self.send(encoded, &[to], effects)
    }

    pub(crate) fn answer(
        &mut self,
        now_ns: i64,
        (receiver, to): (NodeId, SocketAddr),
        answer: &Answer<'_>,
        effects: &mut Effects,
    ) -> bool {
        let stamp = self.stamp(now_ns);
        let encoded = answer.encode(stamp, receiver, &self.identity, &mut self.frame);
        self.send(encoded, &[to], effects)
    }

    pub(crate) fn sample(
        &mut self,
        now_ns: i64,
        to: SocketAddr,
        (kind, distribution): (SampleKind, &str),
        values: &[f64],
        effects: &mut Effects,
    ) -> bool {
        let stamp = self.stamp(now_ns);
        let sample = Sample { kind, distribution, values };
        let encoded = sample.encode(stamp, &self.identity, &mut self.frame);
        self.send(encoded, &[to], effects)
    }

    pub(crate) fn distribution(
        &mut self,
        now_ns: i64,
        to: &[SocketAddr],
        (name, body): (&str, &DistributionBody),
        effects: &mut Effects,
    ) -> bool {
        let stamp = self.stamp(now_ns);
        let encoded = Distribution { name, body }.encode(stamp, &self.identity, &mut self.frame);
        self.send(encoded, to, effects)
    }

    /// How many records a frame of at most `bytes_max` bytes has room for.
    pub(crate) fn room<R: FrameRecord>(bytes_max: usize) -> usize {
        (bytes_max.saturating_sub(HEADER_BYTES + SIGNATURE_BYTES) / R::BYTES).max(1)
    }

    /// Signs `records` into frames of at most `bytes_max` bytes and gives each frame's bytes to `emit`, with the number of records
    /// that were taken since the frame before: those that cannot be sent are among them.
    pub(crate) fn records<R: FrameRecord>(
        &mut self,
        timestamp_ns: i64,
        bytes_max: usize,
        records: impl IntoIterator<Item = R>,
        mut emit: impl FnMut(&[u8], usize),
    ) {
        let mut records = records.into_iter().peekable();
        let mut since = 0;
        while records.peek().is_some() {
            let mut frame = FrameBuilder::begin(&mut self.frame, timestamp_ns, bytes_max);
            // A frame without room for one record would never end.
            let mut taken = 0;
            while let Some(record) = records.next_if(|_| taken == 0 || !frame.is_full()) {
                taken += 1;
                if frame.push(&record).is_err() {
                    self.failed += 1;
                }
            }
            since += taken;
            if frame.is_empty() {
                continue;
            }
            match frame.finish(&self.identity) {
                Ok(bytes) => emit(bytes, std::mem::take(&mut since)),
                Err(_) => self.failed += 1,
            }
        }
    }

    fn send(&mut self, encoded: Result<(), EncodeError>, to: &[SocketAddr], effects: &mut Effects) -> bool {
        if encoded.is_err() {
            self.failed += 1;
            return false;
        }
        let frame = effects.keep(&self.frame);
        for &to in to {
            effects.send_kept(to, frame.clone());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use centauri_wire::KeyFile;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_timestamps_of_a_key_are_the_same() {
        let signer = || Signer::new(KeyFile::generate([7; 32]).identity(NodeId(7)));
        let mut alone = signer();
        assert_eq!([5, 5, 9, 2].map(|now| alone.stamp(now)), [5, 6, 9, 10]);
        let mut seen = BTreeSet::new();
        for own in 0..3 {
            let mut signer = signer().taking_turns(own, 3);
            for now in [-7, -7, 100, 100, 101, 102, 90, 1_000] {
                assert!(seen.insert(signer.stamp(now)), "shard {own} at {now}: {seen:?}");
            }
            assert!(signer.stamp(2_000) <= 2_002);
        }
    }
}
