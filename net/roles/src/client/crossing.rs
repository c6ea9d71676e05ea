//! Records on their way from the shard that verified them to the shard that owns their stream.

use centauri_wire::NodeId;
use rtrb::{Consumer, Producer, RingBuffer};

use super::rounds::StreamIndex;
use super::sharding::Sharding;

/// So many records are put into a queue at once; fewer at the end of each batch of frames.
const HANDOVER: usize = 256;

/// A record of an accepted frame, as the owner of its stream needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crossed {
    /// When its frame came: by that it is judged, not by when the owner looks.
    pub(super) received_ns: i64,
    pub(super) round: i64,
    pub(super) value: f64,
    /// Among the owner's streams.
    pub(super) index: StreamIndex,
    pub(super) node: NodeId,
    pub(super) position: u8,
}

/// The way to one other shard.
#[derive(Debug)]
struct Outgoing {
    waiting: Vec<Crossed>,
    queue: Producer<Crossed>,
}

/// A client's place among shards, and its ends of the queues between them. Each queue has one writer and one reader, and neither
/// ever waits for the other.
#[derive(Debug)]
pub(super) struct Crossing {
    pub(super) sharding: Sharding,
    pub(super) own: u8,
    /// By the shard at the other end; none to itself.
    outgoing: Vec<Option<Outgoing>>,
    /// In the order of the shards at the other ends.
    pub(super) incoming: Vec<Consumer<Crossed>>,
    /// Records handed over.
    pub(super) crossed: u64,
    /// Records for which there was no room.
    pub(super) overflowed: u64,
}

impl Crossing {
    fn alone(sharding: Sharding, own: u8) -> Self {
        Self { sharding, own, outgoing: Vec::new(), incoming: Vec::new(), crossed: 0, overflowed: 0 }
    }

    /// Of a client that is not divided: nothing crosses.
    pub(super) fn none() -> Self {
        Self::alone(Sharding::WHOLE, 0)
    }

    /// Those of all shards, joined by queues.
    pub(super) fn group(sharding: Sharding) -> Vec<Self> {
        // The count has been checked.
        let count = u8::try_from(sharding.count.saturating_sub(1)).unwrap_or(u8::MAX);
        let mut all: Vec<Self> = (0..=count).map(|own| Self::alone(sharding, own)).collect();
        let mut readers: Vec<Vec<Consumer<Crossed>>> = all.iter().map(|_| Vec::new()).collect();
        for (from, crossing) in all.iter_mut().enumerate() {
            for (to, readers) in readers.iter_mut().enumerate() {
                crossing.outgoing.push((from != to).then(|| {
                    let (queue, reader) = RingBuffer::new(sharding.queue_records);
                    readers.push(reader);
                    Outgoing { waiting: Vec::with_capacity(HANDOVER), queue }
                }));
            }
        }
        for (crossing, readers) in all.iter_mut().zip(readers) {
            crossing.incoming = readers;
        }
        all
    }

    pub(super) fn is_own_sender(&self, sender: NodeId) -> bool {
        self.sharding.of_sender(sender) == usize::from(self.own)
    }

    /// Sends a record to its owner, together with others.
    pub(super) fn push(&mut self, owner: u8, record: Crossed) {
        let Some(Some(outgoing)) = self.outgoing.get_mut(usize::from(owner)) else { return };
        outgoing.waiting.push(record);
        if outgoing.waiting.len() >= HANDOVER {
            outgoing.hand_over(&mut self.crossed, &mut self.overflowed);
        }
    }

    /// Hands over what waits for others to go with it.
    pub(super) fn flush(&mut self) {
        for outgoing in self.outgoing.iter_mut().flatten() {
            outgoing.hand_over(&mut self.crossed, &mut self.overflowed);
        }
    }
}

impl Outgoing {
    fn hand_over(&mut self, crossed: &mut u64, overflowed: &mut u64) {
        if self.waiting.is_empty() {
            return;
        }
        let (sent, left) = self.queue.push_partial_slice(&self.waiting);
        *crossed += sent.len() as u64;
        *overflowed += left.len() as u64;
        self.waiting.clear();
    }
}
