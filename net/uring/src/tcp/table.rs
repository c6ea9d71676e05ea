//! The open connections, by a name that is not used twice.

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
    /// As one word, for the kernel to hand back: below 2^56.
    pub(super) fn to_word(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    pub(super) fn of_word(word: u64) -> Self {
        Self { slot: (word >> 32) as u32, generation: word as u32 }
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    stream: Option<TcpStream>,
}

/// The open connections.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    max: usize,
}

impl Table {
    /// For at most `max` connections.
    pub(super) fn new(max: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), max }
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
        // A slot whose names are used up is not used again.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(id.slot);
        }
        Some(stream)
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
        let mut table = Table::new(2);
        let first = table.insert(stream(&listener)).unwrap();
        let second = table.insert(stream(&listener)).unwrap();
        assert!(table.insert(stream(&listener)).is_none());
        assert_eq!(table.len(), 2);
        assert!(table.remove(first).is_some());
        assert!(table.remove(first).is_none() && table.get(first).is_none());
        let third = table.insert(stream(&listener)).unwrap();
        assert!(third != first && third != second);
        assert!(table.get(first).is_none() && table.get(third).is_some());
        for id in [first, second, third] {
            assert_eq!(ConnectionId::of_word(id.to_word()), id);
            assert!(id.to_word() < 1 << 56);
        }
    }

    #[test]
    fn the_last_name_of_a_slot_retires_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut table = Table::new(1);
        let first = table.insert(stream(&listener)).unwrap();
        table.remove(first);
        table.slots[0].generation = u32::MAX;
        let last = table.insert(stream(&listener)).unwrap();
        assert!(table.remove(last).is_some());
        assert!(table.insert(stream(&listener)).is_none());
        assert!(table.get(last).is_none());
    }
}
