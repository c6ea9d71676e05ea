//! The open connections, by a name that is not used twice.

use super::outbox::{Flushed, Outbox};
use super::{TcpCounters, Waiting};
use std::fmt;
use std::net::TcpStream;

/// Names a connection of a driver. No later connection has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnectionId {
    slot: u32,
    /// Grows with every connection in the slot.
    generation: u32,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

impl ConnectionId {
    /// As one word, below 2^56.
    #[must_use]
    pub fn to_word(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    /// The name that became this word.
    #[must_use]
    pub fn of_word(word: u64) -> Self {
        Self { slot: (word >> 32) as u32, generation: word as u32 }
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    stream: Option<TcpStream>,
    outbox: Outbox,
}

/// The open connections.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    max: usize,
    /// Most bytes that wait to be sent on one.
    send_bytes_max: usize,
    /// Those with something to send that the kernel has not been offered.
    to_flush: Vec<ConnectionId>,
}

impl Table {
    /// For at most `max` connections, with at most `send_bytes_max` bytes waiting to be sent on each.
    pub(super) fn new(max: usize, send_bytes_max: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), max, send_bytes_max, to_flush: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Names a connection; `None`, and the connection is closed, if there are as many as may be.
    pub(super) fn insert(&mut self, stream: TcpStream) -> Option<ConnectionId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < self.max => {
                self.slots.push(Slot::default());
                u32::try_from(self.slots.len() - 1).ok()?
            }
            None => return None,
        };
        let place = self.slots.get_mut(slot as usize)?;
        // What is to be sent is put together before the kernel has it; more need not be waited for. Without it, it is slower.
        let _ = stream.set_nodelay(true);
        place.stream = Some(stream);
        Some(ConnectionId { slot, generation: place.generation })
    }

    /// The connection, if it is open.
    pub(super) fn get(&self, id: ConnectionId) -> Option<&TcpStream> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.stream.as_ref().filter(|_| slot.generation == id.generation)
    }

    /// Forgets the connection, if it is open.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<TcpStream> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        let stream = slot.stream.take_if(|_| slot.generation == id.generation)?;
        slot.outbox = Outbox::default();
        // A slot whose names are used up is not used again.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(id.slot);
        }
        Some(stream)
    }

    /// Offers the kernel what waits on the connection, if there is no room for `parts` and it may take some. No other connection's is
    /// touched: theirs go out together, when they are flushed.
    pub(super) fn make_room(&mut self, id: ConnectionId, parts: &[&[u8]], counters: &mut TcpCounters) {
        let max = self.send_bytes_max;
        let outbox = self.slots.get(id.slot as usize).map(|slot| &slot.outbox);
        if outbox.is_some_and(|outbox| !outbox.is_blocked && !outbox.has_room(parts, max)) {
            // What it leaves is still to be flushed, which has the kernel tell when it takes more.
            self.flush_one(id, counters);
        }
    }

    /// Puts all `parts` behind what waits to be sent on the connection; says whether it is open and has room for them.
    pub(super) fn queue(&mut self, id: ConnectionId, parts: &[&[u8]], counters: &mut TcpCounters) -> bool {
        let max = self.send_bytes_max;
        let slot = self.slots.get_mut(id.slot as usize);
        let Some(slot) = slot.filter(|slot| slot.generation == id.generation && slot.stream.is_some()) else {
            counters.unsent += 1;
            return false;
        };
        let was_waiting = slot.outbox.waiting() > 0;
        let is_taken = slot.outbox.push(parts, max);
        counters.unsent += u64::from(!is_taken);
        if is_taken && !was_waiting {
            self.to_flush.push(id);
        }
        is_taken
    }

    /// What waits to be sent on the connection.
    pub(super) fn waiting(&self, id: ConnectionId) -> Option<Waiting> {
        let slot = self.slots.get(id.slot as usize)?;
        let is_open = slot.generation == id.generation && slot.stream.is_some();
        is_open.then(|| slot.outbox.state())
    }

    /// Offers the kernel all that it has not been offered. `blocked` is called for each connection that it takes no more on
    /// for now, and is to see to it that [`Table::flush_one`] is called when it does.
    pub(super) fn flush(
        &mut self,
        counters: &mut TcpCounters,
        mut blocked: impl FnMut(ConnectionId, &TcpStream),
    ) {
        let mut ids = std::mem::take(&mut self.to_flush);
        for id in ids.drain(..) {
            if self.flush_one(id, counters) == Flushed::Blocked
                && let Some(stream) = self.get(id)
            {
                blocked(id, stream);
            }
        }
        self.to_flush = ids;
    }

    /// Offers the kernel what waits to be sent on the connection.
    pub(super) fn flush_one(&mut self, id: ConnectionId, counters: &mut TcpCounters) -> Flushed {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation);
        let Some(Slot { stream: Some(stream), outbox, .. }) = slot else { return Flushed::Broken };
        let (sent, flushed) = outbox.flush(stream);
        counters.bytes_sent += sent as u64;
        flushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn stream(listener: &TcpListener) -> TcpStream {
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    }

    #[test]
    fn names_are_not_used_twice_and_the_limit_holds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut table = Table::new(2, 100);
        let first = table.insert(stream(&listener)).unwrap();
        let second = table.insert(stream(&listener)).unwrap();
        assert!(table.insert(stream(&listener)).is_none());
        assert_eq!(table.len(), 2);
        assert!(table.remove(first).is_some());
        assert!(table.remove(first).is_none() && table.get(first).is_none());
        let third = table.insert(stream(&listener)).unwrap();
        assert!(third != first && third != second);
        assert!(table.get(first).is_none() && table.get(third).is_some());
        let counters = &mut TcpCounters::default();
        assert!(!table.queue(first, &[b"to nobody"], counters));
        assert!(
            table.queue(third, &[&[0; 50], &[0; 50]], counters) && !table.queue(third, &[b"x"], counters)
        );
        assert_eq!((counters.unsent, counters.bytes_sent), (2, 0));
        table.flush(counters, |_, _| panic!("100 bytes always fit"));
        assert_eq!((counters.unsent, counters.bytes_sent), (2, 100));
        for id in [first, second, third] {
            assert_eq!(ConnectionId::of_word(id.to_word()), id);
            assert!(id.to_word() < 1 << 56);
        }
    }

    #[test]
    fn the_last_name_of_a_slot_retires_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut table = Table::new(1, 100);
        let first = table.insert(stream(&listener)).unwrap();
        table.remove(first);
        table.slots[0].generation = u32::MAX;
        let last = table.insert(stream(&listener)).unwrap();
        assert!(table.remove(last).is_some());
        assert!(table.insert(stream(&listener)).is_none());
        assert!(table.get(last).is_none());
    }
}
