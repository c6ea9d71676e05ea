//! The places for subscriptions that the parts of a node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many subscriptions all parts of a node serve, of which each part has a copy of this.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<AtomicUsize>);

impl Places {
    pub(crate) fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes a place, if fewer than `most` are taken; says whether it did.
    pub(crate) fn take(&self, most: usize) -> bool {
        let one_more = |taken: usize| (taken < most).then_some(taken + 1);
        self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    pub(crate) fn give_back(&self, count: usize) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_take_no_more_than_there_are() {
        let places = Places::default();
        let take = |places: Places| move || (0..1_000).filter(|_| places.take(1_500)).count();
        let threads = [places.clone(), places.clone()].map(|places| std::thread::spawn(take(places)));
        let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!((taken, places.taken(), places.take(1_500)), (1_500, 1_500, false));
        places.give_back(2);
        assert!(places.take(1_500) && places.take(1_500) && !places.take(1_500));
    }
}
