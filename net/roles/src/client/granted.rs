//! The requests for decisions that the shards of a client have granted, for all of them to see.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::requests::{Places, Subscription, Subscriptions};

type List = Arc<[Subscription]>;

/// What one shard has granted.
#[derive(Debug, Default)]
struct Slot {
    /// How often it has been told.
    version: AtomicU64,
    /// Held no longer than it takes to exchange a pointer.
    list: Mutex<List>,
}

/// A shard's view of what all shards have granted.
///
/// A node's requests come to one shard, which grants them and counts them against its quota; decisions are sent by the shards that make
/// them. So each shard tells the others its list whenever it has changed, and what is told stands until the next list: nothing
/// queues up, and nothing can be lost.
#[derive(Debug)]
pub(super) struct Granted {
    own: usize,
    slots: Arc<[Slot]>,
    /// The version of the own list that the others have.
    told: u64,
    /// Of each shard the version that was seen last, and its list.
    seen: Vec<(u64, List)>,
}

impl Granted {
    /// Of a client that is not divided.
    pub(super) fn alone() -> Self {
        Self { own: 0, slots: [].into(), told: 0, seen: Vec::new() }
    }

    /// One for each of the shards, and the places that they share.
    pub(super) fn group(count: usize) -> (Vec<Self>, Places) {
        let slots: Arc<[Slot]> = (0..count).map(|_| Slot::default()).collect();
        let of =
            |own| Self { own, slots: Arc::clone(&slots), told: 0, seen: vec![(0, List::default()); count] };
        ((0..count).map(of).collect(), Places::default())
    }

    /// Tells the others what is granted here, if that has changed, and looks what they have told.
    pub(super) fn exchange(&mut self, own: &Subscriptions) {
        if let Some(slot) = self.slots.get(self.own).filter(|_| self.told != own.changes) {
            self.told = own.changes;
            let list: List = own.iter().cloned().collect();
            *slot.list.lock().unwrap_or_else(PoisonError::into_inner) = list;
            slot.version.store(own.changes, Ordering::Release);
        }
        for (place, (slot, (version, list))) in self.slots.iter().zip(&mut self.seen).enumerate() {
            let newest = slot.version.load(Ordering::Acquire);
            if place == self.own || newest == *version {
                continue;
            }
            // Whoever holds it is exchanging it: there will be another look.
            let told = match slot.list.try_lock() {
                Ok(told) => Arc::clone(&told),
                Err(TryLockError::Poisoned(told)) => Arc::clone(&told.into_inner()),
                Err(TryLockError::WouldBlock) => continue,
            };
            (*version, *list) = (newest, told);
        }
    }

    /// What the other shards have granted and is in force at `now_ns`.
    pub(super) fn others(&self, now_ns: i64) -> impl Iterator<Item = &Subscription> {
        self.seen.iter().flat_map(|(_, list)| list.iter()).filter(move |known| now_ns < known.expires_ns)
    }

    /// Whether the other shards have granted nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.seen.iter().all(|(_, list)| list.is_empty())
    }
}
