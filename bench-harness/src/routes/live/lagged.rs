//! A replica that hears of each measurement late.

use centauri_roles::{Effects, Replica, Role};
use centauri_wire::{FrameView, MessageView};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A replica at whose door frames of readings wait until their time. Only the first record of a frame is looked at: a source sends each
/// reading in a frame of its own.
pub(super) struct Lagged {
    inner: Replica,
    /// When each reading may come in, by its number at the source; `i64::MAX` for never.
    from_ns: Vec<i64>,
    waiting: BTreeMap<(i64, u64), (SocketAddr, Vec<u8>)>,
    /// Frames of readings that have come.
    heard: u64,
    /// It wants to look at the clock so often, in nanoseconds.
    attention_ns: i64,
    looked_ns: i64,
}

impl Lagged {
    pub(super) fn new(inner: Replica, from_ns: Vec<i64>, attention_ns: i64) -> Self {
        Self { inner, from_ns, waiting: BTreeMap::new(), heard: 0, attention_ns, looked_ns: i64::MIN }
    }

    /// When a frame may come in; none for those that do not wait.
    fn admitted_ns(&self, bytes: &[u8]) -> Option<i64> {
        let frame = FrameView::parse(bytes).ok()?;
        let MessageView::Stream(records) = frame.message() else { return None };
        let reading = records.iter().next()?.round;
        usize::try_from(reading).ok().and_then(|reading| self.from_ns.get(reading)).copied()
    }
}

impl Role for Lagged {
    fn handle(&mut self, now_ns: i64, from: SocketAddr, bytes: &[u8], effects: &mut Effects) -> bool {
        let Some(admitted_ns) = self.admitted_ns(bytes) else {
            return self.inner.handle(now_ns, from, bytes, effects);
        };
        self.heard += 1;
        self.waiting.insert((admitted_ns, self.heard), (from, bytes.to_vec()));
        true
    }

    fn tick(&mut self, now_ns: i64, effects: &mut Effects) {
        self.looked_ns = now_ns;
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now_ns) {
            let (from, bytes) = entry.remove();
            self.inner.handle(now_ns, from, &bytes, effects);
        }
        self.inner.tick(now_ns, effects);
    }

    fn next_deadline(&self) -> Option<i64> {
        let waiting = self.waiting.first_key_value().map(|((at, _), _)| *at);
        let look = Some(self.looked_ns.saturating_add(self.attention_ns));
        [self.inner.next_deadline(), waiting, look].into_iter().flatten().min()
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut list = self.inner.counters();
        list.push(("readings_heard", self.heard));
        list
    }
}
