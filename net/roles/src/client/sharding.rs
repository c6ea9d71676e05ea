//! How senders and streams are divided among the shards of a client.

use centauri_wire::{NodeId, claimed_sender};

use super::rounds::{STREAMS_A_LINE, StreamIndex};
use crate::ConfigError;
use crate::error::check_number;

/// So many streams that come one after the other in frames stay together, since their reports share a cache line.
const NEIGHBOURS: u32 = STREAMS_A_LINE as u32;

/// The most shards.
pub(super) const SHARDS_MAX: usize = 256;

/// How senders and streams are divided among the shards of a client.
///
/// A frame is verified by the shard of the sender that it claims, so that each nonce is remembered in one place. A round is kept
/// and decided by the shard of its stream, eight neighbours of the configuration's list always by the same.
#[derive(Debug, Clone, Copy)]
pub struct Sharding {
    /// How many shards: 1 to 256.
    pub count: usize,
    /// Which of so many shards (the second number) a number belongs to. For senders it must be the rule by which frames are
    /// brought to shards; what it gives is taken modulo the count.
    pub shard_of: fn(u32, usize) -> usize,
    /// So many records wait between each two shards at most; more are dropped and counted.
    pub queue_records: usize,
}

impl Sharding {
    /// Everything in one place.
    pub(super) const WHOLE: Self = Self { count: 1, shard_of: |_, _| 0, queue_records: 0 };

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_number("shards", self.count as i128, (1..=SHARDS_MAX).contains(&self.count), "1 to 256")?;
        let records = self.queue_records;
        check_number("queue_records", records as i128, (1..=1 << 24).contains(&records), "1 to 16,777,216")
    }

    /// The shard of a sender.
    #[must_use]
    pub fn of_sender(&self, sender: NodeId) -> usize {
        self.of(sender.0)
    }

    /// The shard of the sender that a frame claims; the first where the bytes are too short to claim any.
    #[must_use]
    pub fn of_frame(&self, bytes: &[u8]) -> usize {
        claimed_sender(bytes).map_or(0, |sender| self.of_sender(sender))
    }

    /// The shard of a stream by its place in the configuration's list.
    #[must_use]
    pub fn of_stream(&self, place: u32) -> usize {
        self.of(place / NEIGHBOURS)
    }

    fn of(&self, number: u32) -> usize {
        (self.shard_of)(number, self.count).checked_rem(self.count).unwrap_or(0)
    }
}

/// Gives each stream of the configuration its home, in order.
#[derive(Debug)]
pub(super) struct Homes {
    sharding: Sharding,
    /// How many streams each shard has been given.
    given: Vec<StreamIndex>,
}

/// Where a stream's rounds are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) shard: u8,
    /// Among the shard's streams.
    pub(super) index: StreamIndex,
}

impl Homes {
    pub(super) fn new(sharding: Sharding) -> Self {
        Self { sharding, given: vec![0; sharding.count] }
    }

    /// The home of the stream at `place`, which comes after all that were asked for before.
    pub(super) fn next(&mut self, place: u32) -> Home {
        let shard = self.sharding.of_stream(place);
        let mut index = 0;
        if let Some(given) = self.given.get_mut(shard) {
            index = *given;
            *given += 1;
        }
        // There are at most 256.
        Home { shard: u8::try_from(shard).unwrap_or(u8::MAX), index }
    }
}
